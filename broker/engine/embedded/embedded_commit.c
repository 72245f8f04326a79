/* Commits of the embedded engine: from a transaction's end to its queues. */
#include <time.h>

#include "broker/engine/embedded/embedded_priv.h"
#include "broker/metrics/metrics.h"

enum {
	THROTTLE_PART = 2,       /* commits are slowed above this part of the journal */
	THROTTLE_MAX_US = 50000, /* for one commit */
};

static void
committed_txn(struct embedded *e, struct sq_txn *txn, uint64_t lsn, uint32_t *puts)
{
	struct sq_oplog_reader r;
	const struct sq_op_view *op;
	size_t n;
	struct sq_put *put = sq_build_puts(txn, &n);

	sq_oplog_read(&r, sq_build_of(txn)->entry.data);
	while ((op = sq_oplog_next(&r)) != NULL) {
		if (op->kind != SQ_OP_PUT) {
			sq_delta_apply(e->delta, op);
			continue;
		}
		put->item.seq = sq_seq(lsn, (*puts)++);
		put->item.stored = true;
		sq_delta_put(e->delta, op->queue, &put->item, op->put.expires_ms);
		put++;
	}
}

/* On its worker. */
static void
txn_run(struct sq_task *t)
{
	struct sq_txn *txn = SQ_CONTAINER_OF(t, struct sq_txn, task);

	sq_build_fini(txn);
	txn->done(txn, SQ_OK);
}

/* Hands the transaction's items to their queues, before its owner's done(). */
static void
committed_show(struct sq_txn *txn)
{
	size_t n;
	struct sq_put *put = sq_build_puts(txn, &n);

	for (size_t i = 0; i < n; i++) {
		sq_queue_arrive(put[i].queue, &put[i].item);
		sq_queue_unref(put[i].queue);
	}
	sq_txn_post(txn, txn_run);
}

/* So that publishers slow down and none stalls at the log's end. */
void
sq_embedded_throttle(struct embedded *e, uint64_t bytes)
{
	uint64_t max, used = sq_log_used(e->log, &max), us;
	struct timespec pause = {0};

	if (used <= max / THROTTLE_PART)
		return;
	us = bytes * 1000000 / (sq_checkpoint_rate(e->checkpoint) + 1);
	us = us * (used - max / THROTTLE_PART) / (max / THROTTLE_PART);
	pause.tv_nsec = (long)(us < THROTTLE_MAX_US ? us : THROTTLE_MAX_US) * 1000;
	nanosleep(&pause, NULL);
}

/* At worst the delta needs twice its size. */
void
sq_embedded_check_room(struct embedded *e)
{
	size_t n_changes;

	sq_health_used(
	    e->health, sq_table_used(e->table) + 2 * sq_delta_bytes(e->delta, &n_changes));
}

void
sq_embedded_committed(struct embedded *e, uint64_t lsn, struct sq_list *entries)
{
	uint32_t puts = 0;
	uint64_t bytes = 0;

	sq_delta_begin(e->delta, lsn);
	SQ_LIST_FOR_EACH(entry, entries, struct sq_log_entry, node)
		committed_txn(e, sq_build_txn(entry), lsn, &puts);
	sq_delta_end(e->delta);
	SQ_LIST_FOR_EACH_SAFE(entry, entries, struct sq_log_entry, node) {
		sq_list_remove(&entry->node);
		bytes += entry->data.len;
		committed_show(sq_build_txn(entry));
	}
	sq_metric_add(&e->metrics, SQ_M_STORE_COMMITS, 1);
	sq_embedded_check_room(e);
	sq_embedded_throttle(e, bytes);
}

#ifdef SQ_BROKEN_ACK
/* Answers before the commit: a torture run must find that (test/torture). */
static struct sq_txn *
commit_unsafely(struct sq_txn *txn)
{
	struct sq_txn *own = sq_txn_unattended(txn->engine, NULL);

	own->own = txn->own;
	*sq_build_of(txn) = (struct sq_build){0};
	sq_txn_post(txn, txn_run);
	return own;
}
#endif

void
sq_embedded_commit(struct sq_txn *txn)
{
	if (!sq_build_is_durable(txn)) {
		sq_txn_post(txn, txn_run);
		return;
	}
#ifdef SQ_BROKEN_ACK
	txn = commit_unsafely(txn);
#endif
	sq_log_append(sq_embedded_of(txn->engine)->log, sq_build_entry(txn));
}
