/* Transactions, and the keys of the records that they write. */
#ifndef SQ_BROKER_ENGINE_TXN_H
#define SQ_BROKER_ENGINE_TXN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "store/log.h"
#include "web/worker.h"

struct sq_engine;

/* A small durable value that the broker keeps beside its queues (broker/engine/record.h).  A key is
 * written each time its value changes; the last commit counts. */
struct sq_record_key {
	uint8_t kind;
	uint64_t id, sub;
};

/* A transaction.  The caller embeds it, zeroed but for 'worker', 'engine' and 'done', and keeps it
 * until done() runs on 'worker'. */
struct sq_txn {
	struct sq_worker *worker;
	struct sq_engine *engine;
	void (*done)(struct sq_txn *, int err); /* 0, or SQ_EIO: nothing of it holds */

	/* The engine's. */
	struct sq_task task;
	struct sq_log_entry entry;
	struct sq_buf log;   /* what is to be durable */
	struct sq_buf ops;   /* what follows the commit in memory */
	size_t last_message; /* where the last message stands in it */
	bool pressing;       /* it is not settlements only */
	int64_t wall_ahead;  /* what the wall clock is ahead of the workers'; 0: not asked yet */
};

#endif
