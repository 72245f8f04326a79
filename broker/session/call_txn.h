/* A transaction of a session that answers a call: or several, where one has no room.
 *
 * Its maker embeds it, and has done() when all of them are committed. */
#ifndef SQ_BROKER_SESSION_CALL_TXN_H
#define SQ_BROKER_SESSION_CALL_TXN_H

#include <stdbool.h>

#include "broker/engine/engine.h"

struct sq_call;
struct sq_session;

struct sq_call_txn {
	struct sq_txn *txn;         /* the one that is being built */
	struct sq_txn begun;        /* the first */
	struct sq_session *session; /* pinned, counted in 'running' */
	struct sq_call *call;       /* NULL: nobody waits, or it has its answer */
	/* On the session's worker; SQ_EIO: what it holds never was, SQ_ECLOSED: it was abandoned.
	 * Frees what embeds it, and ends with sq_session_txn_end(). */
	void (*done)(struct sq_call_txn *, int err);
	unsigned pending; /* transactions that are not done */
	int err;
};

/* Begins one, zeroed by its maker, for 'call'; NULL: for nobody who waits. */
void sq_call_txn_init(struct sq_call_txn *, struct sq_session *, struct sq_call *call,
    void (*done)(struct sq_call_txn *, int err));
/* Begins one that is answered by sq_call_txn_answer(), and is freed then. */
struct sq_call_txn *sq_call_txn_new(struct sq_session *, struct sq_call *call);

void sq_call_txn_commit(struct sq_call_txn *);
/* Ends it as one whose commit failed, but for what its parts hold: the session is gone. */
void sq_call_txn_abandon(struct sq_call_txn *);
/* Commits what its transaction holds, and begins another one. */
void sq_call_txn_part(struct sq_call_txn *);
/* The same, unless it holds nothing durable: false. */
bool sq_call_txn_split(struct sq_call_txn *);

/* For done(). */

/* Answers the call, if there is one: what has an answer of its own has put it there. */
void sq_call_txn_answer(struct sq_call_txn *, int err);
/* The commit failed: answers the call so, and has the sidecar attach again. */
void sq_call_txn_refuse(struct sq_call_txn *);

#endif
