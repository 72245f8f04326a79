/* A transaction of a session that answers a call. */
#ifndef SQ_BROKER_SESSION_CALL_TXN_H
#define SQ_BROKER_SESSION_CALL_TXN_H

#include "broker/engine/engine.h"
#include "proto/link/notes.h"

struct sq_call;
struct sq_order_answer;
struct sq_session;

/* Answers its call when it is committed: with outcomes, or with 204.  What does not fit
 * into one transaction takes several: see sq_call_txn_split(). */
struct sq_call_txn {
	struct sq_txn *txn;             /* the one that is being built */
	struct sq_txn begun;            /* the first */
	struct sq_list node;            /* of the lane, for a batch: answered in order */
	struct sq_session *session;     /* pinned, counted in 'running' */
	struct sq_call *call;           /* NULL: it was answered, or has */
	struct sq_order_answer *answer; /* that of a marked Subscriptions: see order.h */
	uint8_t lane;
	uint64_t first, last; /* numbers of a batch; 0: not a batch */
	uint16_t *held;       /* QoS 2 ids that this batch added */
	uint16_t n_held;
	struct sq_notes notes;         /* on the outcomes of a batch */
	bool releases;                 /* it has released one */
	bool receives;                 /* it settles a QoS 2 delivery: received or complete */
	unsigned scans;                /* of retained messages, that go on: see retained_scan.h */
	bool parted;                   /* the last of them commits it */
	size_t scanned, scanned_bytes; /* of topics, at once */
	unsigned pending;              /* transactions that are not done */
	bool ended;                    /* all are, with 'err' */
	int err;
};

/* Begins one for 'call', or for nobody who waits. */
struct sq_call_txn *sq_call_txn_new(struct sq_session *, struct sq_call *call);
void sq_call_txn_held(struct sq_call_txn *, uint16_t packet_id);
void sq_call_txn_commit(struct sq_call_txn *);
/* Ends it as one whose commit failed, but what its parts hold: the session is gone. */
void sq_call_txn_abandon(struct sq_call_txn *);
/* Commits what its transaction holds, and begins another one.  Of a batch the
 * numbers before 'number' are in the store then, with what they were answered: after a crash
 * the rest comes again, and nothing twice.  False: it holds nothing. */
bool sq_call_txn_split(struct sq_call_txn *, uint64_t number);
/* The same of what is no batch, whatever it holds: its next part comes in a later turn. */
void sq_call_txn_part(struct sq_call_txn *);

#endif
