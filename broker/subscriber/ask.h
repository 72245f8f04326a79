/* A call about a named queue that is carried out: its space, the rules for it, its transaction and
 * its answer.  On the worker that owns the queue. */
#ifndef SQ_BROKER_SUBSCRIBER_ASK_H
#define SQ_BROKER_SUBSCRIBER_ASK_H

#include <stdbool.h>

#include "broker/engine/txn.h"
#include "broker/port/call.h"
#include "broker/shard/shard.h"
#include "broker/subscriber/table.h"

/* The space of the call; NULL: it names none of the caller's, and the caller has not exactly one. */
const char *sq_ask_space(const struct sq_call *);
/* Whether the call is well-formed, and the caller may name the space; else it has been answered. */
bool sq_ask_named(struct sq_shard *, struct sq_call *);
/* Whether rules of acl allow what the call asks for; else it has been answered, counted and logged. */
bool sq_ask_allowed(struct sq_shard *, struct sq_call *);
/* Whether they let the caller consume from, manage, or push, the queue of that name in the call's space. */
struct sq_acl_subject *sq_ask_subject(struct sq_shard *, const struct sq_call *);
bool sq_ask_may_see(struct sq_acl_subject *, const char *name);
/* Whether they let the caller know where its messages are pushed to: who manages the queue, or pushes. */
bool sq_ask_may_see_push(struct sq_acl_subject *, const char *name);

/* Answers with 'how', and a text where 'fmt' is not NULL. */
void sq_ask_answer(struct sq_call *, enum sq_queue_how, const char *fmt, ...) SQ_PRINTF(3, 4);

/* A transaction for a call, or for nobody; freed by itself. */
struct sq_ask_txn {
	struct sq_txn txn;
	struct sq_shard *shard;
	struct sq_call *call; /* answered when it is committed; NULL: there is none */
	/* Runs in place of the answer; NULL: the call is answered. */
	void (*then)(void *arg, int err);
	void *arg;
};

struct sq_ask_txn *sq_ask_txn_new(struct sq_shard *, struct sq_call *);
/* Commits; what the call's answer has stands there already. */
void sq_ask_txn_commit(struct sq_ask_txn *);
/* Frees one in which nothing is. */
void sq_ask_txn_drop(struct sq_ask_txn **);

#endif
