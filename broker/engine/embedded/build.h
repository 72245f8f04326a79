/* The build of a transaction of the embedded engine, until its commit: the bytes of its log entry,
 * and the items that go into their queues after the commit.  On the transaction's worker. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_BUILD_H
#define SQ_BROKER_ENGINE_EMBEDDED_BUILD_H

#include "broker/engine/engine.h"
#include "store/log.h"

/* The engine's part of struct sq_txn. */
struct sq_build {
	struct sq_log_entry entry;
	struct sq_buf log;   /* operations to be made durable: oplog.h */
	struct sq_buf puts;  /* struct sq_put each */
	size_t last_message; /* for sq_oplog_message() */
	bool pressing;       /* it has more than settlements */
	int64_t wall_ahead;  /* ms from the workers' clock to the wall clock; 0: not read yet */
	uint64_t arrived_ms; /* of all stored puts into timed queues: for sq_oplog_put() */
};

_Static_assert(sizeof(struct sq_build) <= sizeof(((struct sq_txn *)0)->own.bytes),
    "a transaction has room for the engine's part");

static inline struct sq_build *
sq_build_of(const struct sq_txn *txn)
{
	return (struct sq_build *)(uintptr_t)txn->own.bytes;
}

static inline struct sq_txn *
sq_build_txn(struct sq_log_entry *entry)
{
	return SQ_CONTAINER_OF((unsigned char *)SQ_CONTAINER_OF(entry, struct sq_build, entry),
	    struct sq_txn, own.bytes[0]);
}

/* A put whose commit is pending. */
struct sq_put {
	struct sq_queue *queue; /* a reference */
	struct sq_item item;
};

/* The puts; '*n' gets their number. */
static inline struct sq_put *
sq_build_puts(const struct sq_txn *txn, size_t *n)
{
	const struct sq_build *b = sq_build_of(txn);

	*n = sq_buf_len(&b->puts) / sizeof(struct sq_put);
	return (struct sq_put *)(void *)sq_buf_data(&b->puts);
}

/* Whether the transaction stays below the limits with 'items' and 'bytes' more; see
 * sq_txn_ops.room. */
struct sq_build_limits {
	uint64_t bytes, items;
};
bool sq_build_room(
    const struct sq_txn *, const struct sq_build_limits *, uint64_t items, uint64_t bytes);

/* Functions of struct sq_txn_ops. */
int sq_build_put(struct sq_txn *, struct sq_queue *, struct sq_item *);
bool sq_build_pass(struct sq_txn *, struct sq_consumer *, struct sq_item *);
void sq_build_settle(struct sq_txn *, struct sq_queue *, struct sq_item *, enum sq_settle_how);
void sq_build_record(struct sq_txn *, const struct sq_record_key *, struct sq_bytes value);
bool sq_build_is_durable(const struct sq_txn *);
/* Have the commit make or delete a queue. */
void sq_build_queue_open(struct sq_txn *, uint64_t queue, const char *name);
void sq_build_queue_delete(struct sq_txn *, uint64_t queue);

/* Bytes of the log entry so far. */
uint64_t sq_build_bytes(const struct sq_txn *);
/* The entry to append; the transaction does not change any more. */
struct sq_log_entry *sq_build_entry(struct sq_txn *);
/* Frees the build of the transaction. */
void sq_build_fini(struct sq_txn *);

#endif
