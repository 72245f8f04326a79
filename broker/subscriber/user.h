/* Who serves named queues beside those who pull: broker/push, broker/bridge.  A few, each for all of them;
 * given by broker.c.  Each is called on the worker that owns the queue, or before workers turn; none
 * blocks.  What a user keeps for a queue is '*own', NULL at first. */
#ifndef SQ_BROKER_SUBSCRIBER_USER_H
#define SQ_BROKER_SUBSCRIBER_USER_H

#include "core/buf.h"
#include "core/err.h"
#include "proto/declaration/declaration.h"

struct sq_call;
struct sq_subscriber;
struct sq_subscribers;

enum { SQ_PAUSE_WHY_MAX = 160 };

/* Of judge, test and describe, which are about pushes, a user may lack each (NULL). */
struct sq_subscribers_user {
	/* Whether a push that is new, or another, may be, beside what sq_declaration_check() says:
	 * addresses.  SQ_EDENIED, SQ_EINVAL with a line in 'err'.  Thread: any. */
	int (*judge)(
	    void *arg, const char *space, const struct sq_declaration *, struct sq_buf *err);
	/* The queue is served from now on, or its declaration, or whether it is paused, has changed:
	 * 's->pull' is there, 's->decl' is what counts.  Locks: the write lock of its space is held, once
	 * workers turn. */
	void (*declared)(void *arg, struct sq_subscriber *, void **own);
	/* It is served no more: takers of it were dismissed.  The user lets go of '*own', which is NULL
	 * afterwards; declared() may follow again. */
	void (*ended)(void *arg, struct sq_subscriber *, void **own);
	/* SQ_QUEUE_TEST of a queue with a push, which rules allow: takes the call over.  It answers as
	 * struct sq_queue_tested says, with SQ_QUEUE_DONE also where the target refuses. */
	void (*test)(void *arg, struct sq_subscriber *, void **own, struct sq_call *);
	/* Appends what GET and LIST say of the user's part: members of a JSON object, as "state":"open", or
	 * nothing.  Asked of queues with a push alone.  Thread: any.  Locks: the table's is held. */
	void (*describe)(
	    void *arg, const struct sq_subscriber *, void *const *own, struct sq_buf *json_members);
	void *arg;
};

/* Before workers turn, each once; it is told of the queues that there are already by declared().  It
 * outlives them. */
void sq_subscribers_add_user(struct sq_subscribers *, const struct sq_subscribers_user *);
/* Where the user keeps what it has of a queue.  On the queue's worker. */
void **sq_subscriber_own(struct sq_subscriber *, const struct sq_subscribers_user *);

/* Pauses the queue durably, as a call would, with a reason for people that GET says until it is resumed;
 * UTF-8, of which SQ_PAUSE_WHY_MAX bytes are kept.  Nothing happens to one that is paused already, or
 * ends.  On its worker; declared() follows before it returns. */
void sq_subscriber_pause(struct sq_subscriber *, const char *why);

#endif
