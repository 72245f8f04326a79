/* A transaction of a session whose commit answers a call.  A large one is split: several
 * transactions of the store, one answer.
 *
 * The maker embeds struct sq_call_txn; done() is called once all parts are committed.  On the
 * session's worker. */
#ifndef SQ_BROKER_SESSION_CALL_TXN_H
#define SQ_BROKER_SESSION_CALL_TXN_H

#include <stdbool.h>

#include "broker/engine/parts.h"

struct sq_call;
struct sq_session;

struct sq_call_txn {
	struct sq_parts parts;
	struct sq_session *session; /* pinned, and counted in 'running' */
	struct sq_call *call;       /* NULL: no call waits, or the call has been answered */
	/* Called when all parts are done.  SQ_EIO: the changes were not made; SQ_ECLOSED: the
	 * transaction was abandoned.  Frees the struct that embeds this one, and ends with
	 * sq_session_txn_end(). */
	void (*done)(struct sq_call_txn *, int err);
};

/* Begins a transaction, zeroed by the maker, for 'call'; NULL: no call waits. */
void sq_call_txn_init(struct sq_call_txn *, struct sq_session *, struct sq_call *call,
    void (*done)(struct sq_call_txn *, int err));
/* Makes a transaction whose done() is sq_call_txn_answer() and frees it. */
struct sq_call_txn *sq_call_txn_new(struct sq_session *, struct sq_call *call);

void sq_call_txn_commit(struct sq_call_txn *);
/* Commits the part under construction and has done() get SQ_ECLOSED, because the session is
 * gone. */
void sq_call_txn_abandon(struct sq_call_txn *);
/* Commits the part under construction, and begins the next one. */
void sq_call_txn_part(struct sq_call_txn *);
/* Commits the part and begins the next one.  False, and nothing happens: the part holds nothing
 * durable. */
bool sq_call_txn_split(struct sq_call_txn *);

/* For done(). */

/* Answers the call, if one waits; an answer with content has been put into the call before. */
void sq_call_txn_answer(struct sq_call_txn *, int err);
/* Answers the call with the failure of the commit, and has the sidecar attach again. */
void sq_call_txn_refuse(struct sq_call_txn *);

#endif
