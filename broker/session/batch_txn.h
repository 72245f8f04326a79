/* The transactions of a batch, and its answer.  On the session's worker.
 *
 * A batch without durable content is done before older batches with it: outcomes are sent in the
 * order of their lane's numbers. */
#ifndef SQ_BROKER_SESSION_BATCH_TXN_H
#define SQ_BROKER_SESSION_BATCH_TXN_H

#include "broker/publish/traced.h"
#include "broker/session/call_txn.h"
#include "core/list.h"
#include "proto/link/lane_in.h"
#include "proto/link/notes.h"

struct sq_batch;

struct sq_batch_txn {
	struct sq_call_txn base;
	struct sq_list node; /* of the lane */
	uint8_t lane;
	uint64_t first, last; /* of its numbers */
	uint16_t *held;       /* QoS 2 ids that it added */
	uint16_t n_held;
	struct sq_notes notes; /* on the outcomes */
	struct sq_traced_batch traced;
	bool releases; /* it has released a QoS 2 id */
	bool ended;    /* all of its transactions are done, with 'err' */
	int err;
};

/* The batches of a session that are not yet answered, by lane. */
struct sq_batches {
	struct sq_list rows[SQ_LANES]; /* struct sq_batch_txn */
	bool failed[SQ_LANES];         /* a commit failed: the lane is closed until the next
	                                * attach */
};

/* Begins an attachment: a lane whose commit failed takes batches again. */
void sq_batches_begin(struct sq_session *);
/* Begins the transaction of a batch for its call. */
struct sq_batch_txn *
sq_batch_txn_new(struct sq_session *, struct sq_call *call, const struct sq_batch *);
/* Notes a QoS 2 id that the batch has added. */
void sq_batch_txn_held(struct sq_batch_txn *, uint16_t packet_id);
/* Puts the record of the lane, which admits numbers up to 'last', into the transaction; before each
 * commit. */
void sq_batch_txn_persist(struct sq_batch_txn *, uint64_t last);
void sq_batch_txn_commit(struct sq_batch_txn *);
/* The session is gone: see sq_call_txn_abandon(). */
void sq_batch_txn_abandon(struct sq_batch_txn *);

/* For sq_publish_more.split; 'arg' is the batch's.  Commits the numbers before 'number' with their
 * outcomes: after a crash the rest comes again, and nothing twice.  Returns the transaction under
 * construction.  NULL: it holds nothing durable. */
struct sq_txn *sq_batch_txn_split(void *arg, uint64_t number);
/* For sq_publish_more.part: commits the numbers before 'number' with any content, and with the
 * receipts that the shard owes.  Returns the transaction under construction. */
struct sq_txn *sq_batch_txn_part(void *arg, uint64_t number);

/* Answers a batch of 'n' numbers from 'first', all of them done, with their outcomes and notes. */
void sq_batch_txn_known(struct sq_session *, struct sq_call *, uint8_t lane, uint64_t first,
    uint16_t n, struct sq_bytes notes);

#endif
