/* The transactions of a batch, and its answer.
 *
 * A batch that holds nothing durable is done before older ones that do: outcomes leave in the
 * order of the numbers of their lane. */
#ifndef SQ_BROKER_SESSION_BATCH_TXN_H
#define SQ_BROKER_SESSION_BATCH_TXN_H

#include "broker/session/call_txn.h"
#include "core/list.h"
#include "proto/link/notes.h"

struct sq_batch;

struct sq_batch_txn {
	struct sq_call_txn base;
	struct sq_list node; /* of the lane */
	uint8_t lane;
	uint64_t first, last; /* its numbers */
	uint16_t *held;       /* QoS 2 ids that it added */
	uint16_t n_held;
	struct sq_notes notes; /* on its outcomes */
	bool releases;         /* it has released one */
	bool ended;            /* all of its transactions are done, with 'err' */
	int err;
};

/* Begins one for 'call', which bears the batch. */
struct sq_batch_txn *
sq_batch_txn_new(struct sq_session *, struct sq_call *call, const struct sq_batch *);
/* It has added a QoS 2 id. */
void sq_batch_txn_held(struct sq_batch_txn *, uint16_t packet_id);
/* Puts into its transaction that the lane admits numbers up to 'last', before a commit. */
void sq_batch_txn_persist(struct sq_batch_txn *, uint64_t last);
void sq_batch_txn_commit(struct sq_batch_txn *);
/* The session is gone: see sq_call_txn_abandon(). */
void sq_batch_txn_abandon(struct sq_batch_txn *);

/* For struct sq_publish.more; 'arg' is the batch's.  The numbers before 'number' are in the store
 * then, with their outcomes: after a crash the rest comes again, and nothing twice.  Returns the
 * transaction that is built now.  NULL: it holds nothing durable. */
struct sq_txn *sq_batch_txn_split(void *arg, uint64_t number);
/* The same, whatever it holds, and with the receipts that its shard owes by then. */
struct sq_txn *sq_batch_txn_part(void *arg, uint64_t number);

/* Answers a batch of 'n' numbers from 'first', which are all done, with their outcomes and the
 * notes on them (NULL: none). */
void sq_batch_txn_known(struct sq_session *, struct sq_call *, uint8_t lane, uint64_t first,
    uint16_t n, const struct sq_notes *notes);

#endif
