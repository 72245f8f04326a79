/* Transactions, and the keys of the records that they write. */
#ifndef SQ_BROKER_ENGINE_TXN_H
#define SQ_BROKER_ENGINE_TXN_H

#include <stddef.h>
#include <stdint.h>

#include "core/task.h"

struct sq_death_note;
struct sq_engine;

/* A small durable value that the broker keeps beside its queues (broker/engine/record.h).  A key is
 * written each time its value changes; the last commit counts. */
struct sq_record_key {
	uint8_t kind;
	uint64_t id, sub;
};

enum { SQ_TXN_OWN = 136 };

/* A transaction.  The caller embeds it, zeroed but for 'worker', 'engine' and 'done', and keeps it
 * until done() runs on 'worker'.  sq_txn_ops fill and commit it. */
struct sq_txn {
	struct sq_worker *worker;
	struct sq_engine *engine;
	/* 'err' is 0; or SQ_EIO or SQ_ESTALE: none of its changes was made.  SQ_ESTALE: another
	 * process has become the writer of the log. */
	void (*done)(struct sq_txn *, int err);
	/* For sq_queue_cfg.dead(), of the item that is being settled: the caller sets it around that
	 * settlement.  NULL: nothing. */
	const struct sq_death_note *note;

	/* The engine's. */
	struct sq_task task;
	union {
		uint64_t align;
		unsigned char bytes[SQ_TXN_OWN]; /* each engine asserts that its part fits */
	} own;
};

/* Makes an empty transaction without an owner: done() frees it, and an error is reported to nobody.
 * 'worker' NULL: done() runs on any thread, which only the engine itself may request. */
struct sq_txn *sq_txn_unattended(struct sq_engine *, struct sq_worker *);

/* For engines: has 'run' run as the transaction's task, on its worker; without a worker, at once.
 * Thread: any. */
void sq_txn_post(struct sq_txn *, void (*run)(struct sq_task *));

#endif
