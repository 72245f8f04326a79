/* Structure:
 *
 *   commit() --> log --applied()--> delta --checkpoint--> tables
 *                         |                                 |
 *                         +--> queues <--------pager--------+
 *
 *   build       a transaction before its commit
 *   log         store/log.h: makes entries durable
 *   delta       durable, and not in the tables yet
 *   checkpoint  writes the delta into the tables, and says how far
 *   pager       reads items that queues have in the tables only
 *   health      why nothing can be made durable or read
 *
 * This file, embedded_start.c and embedded_commit.c alone know all of them.  Threads: the workers, the
 * log's, the checkpoint's and the pager's.
 *
 * With a log of several brokers (files.shared) the engine follows first: records that another broker
 * has made durable are applied to the delta, and checkpoints run, without queues.  When the log is
 * this broker's, own() makes what is there the state of a start. */
#include "broker/engine/embedded/embedded_priv.h"

#include "core/clock.h"
#include "core/wallclock.h"

/* Queues. */

static void
queue_restore(struct embedded *e, struct sq_queue *q, struct sq_kept_start *start)
{
	struct sq_gap gap = {
	    .to = sq_seq(e->start_lsn + 1, 0) - 1,
	    .open = start->listed,
	    .n = start->n,
	    .bytes = start->bytes,
	    .skip = start->skip,
	    .n_skip = start->n_skip,
	    .tried = start->tried,
	    .n_tried = start->n_tried,
	};

	if (q->cfg.timed) { /* what is behind the images is in no image */
		uint64_t tails = gap.n * SQ_TABLE_ITEM_TAIL;

		gap.bytes -= tails < gap.bytes ? tails : gap.bytes;
	}
	for (uint32_t i = 0; i < start->restored.n; i++) {
		struct sq_item *item = &start->restored.v[i]; /* pushed to an empty ring */

		item->expires_ms = sq_wallclock_to_mono(item->expires_ms, sq_clock_ms());
	}
	start->skip = NULL;
	start->tried = NULL;
	sq_queue_restore(q, &gap, &start->restored);
}

/* Makes a queue in the store; at a start perhaps without its owner's transaction. */
static void
queue_make(struct embedded *e, struct sq_queue *q, struct sq_txn *txn)
{
	struct sq_txn *own = NULL;

	q->id = atomic_fetch_add(&e->next_queue, 1);
	if (txn == NULL) {
		txn = own = sq_txn_unattended(&e->engine, NULL);
		sq_delta_make(e->delta, q->id, q->cfg.name);
	}
	sq_build_queue_open(txn, q->id, q->cfg.name);
	if (own != NULL)
		sq_embedded_commit(own);
}

static struct sq_queue *
embedded_queue_open(struct sq_engine *engine, struct sq_txn *txn, const struct sq_queue_cfg *cfg)
{
	struct embedded *e = sq_embedded_of(engine);
	struct sq_queue *q = sq_queue_new(engine, &e->store, &e->metrics, cfg);
	struct sq_kept_queue *kept = NULL;

	if (!cfg->durable)
		return q;
	if (!atomic_load_explicit(&e->started, memory_order_relaxed))
		kept = sq_delta_open(e->delta, cfg->name);
	if (kept != NULL) {
		q->id = kept->id;
		queue_restore(e, q, &kept->start);
	} else {
		queue_make(e, q, txn);
	}
	pthread_mutex_lock(&e->queues_lock);
	sq_list_push_back(&e->queues, &q->paged);
	pthread_mutex_unlock(&e->queues_lock);
	return q;
}

static void
embedded_queue_close(struct sq_queue *q)
{
	struct embedded *e = sq_embedded_of(q->engine);

	pthread_mutex_lock(&e->queues_lock);
	sq_list_remove(&q->paged);
	pthread_mutex_unlock(&e->queues_lock);
	sq_queue_close(q);
}

static void
embedded_queue_delete(struct sq_txn *txn, struct sq_queue *q)
{
	if (q->id != 0)
		sq_build_queue_delete(txn, q->id);
	embedded_queue_close(q);
}

/* Health and lease. */

static bool
embedded_leased(const struct sq_engine *engine)
{
	const struct embedded *e = sq_embedded_of(engine);

	return sq_log_leased(e->log);
}

static bool
embedded_healthy(struct sq_engine *engine, struct sq_buf *why)
{
	struct embedded *e = sq_embedded_of(engine);

	sq_embedded_tick(e);
	return sq_health_is_good(e->health, why);
}

static bool
embedded_stalled(struct sq_engine *engine)
{
	return sq_health_stalls(sq_embedded_of(engine)->health);
}

static bool
embedded_full(const struct sq_engine *engine)
{
	return sq_health_full(sq_embedded_of(engine)->health);
}

static const struct sq_log *
embedded_log(const struct sq_engine *engine)
{
	return sq_embedded_of(engine)->log;
}

static bool
embedded_txn_room(const struct sq_txn *txn, uint64_t items, uint64_t bytes)
{
	return sq_build_room(txn, &sq_embedded_of(txn->engine)->limits, items, bytes);
}

static struct sq_engine *
embedded_open(const struct sq_engine_cfg *cfg, struct sq_buf *err)
{
	return sq_embedded_open(&sq_engine_embedded, cfg, err);
}

const struct sq_engine_ops sq_engine_embedded = {
    .name = "embedded",
    .durable = true,
    .open = embedded_open,
    .close = sq_embedded_close,
    .healthy = embedded_healthy,
    .stalled = embedded_stalled,
    .leased = embedded_leased,
    .full = embedded_full,
    .log = embedded_log,
    .start =
	{
	    .own = sq_embedded_own,
	    .load = sq_embedded_load,
	    .load_error = sq_embedded_load_error,
	    .claim = sq_embedded_claim,
	    .ready = sq_embedded_ready,
	},
    .queue =
	{
	    .open = embedded_queue_open,
	    .delete = embedded_queue_delete,
	    .close = embedded_queue_close,
	    .limits = sq_queue_limits,
	    .full = sq_queue_full,
	    .busy = sq_queue_busy,
	    .depth = sq_queue_depth,
	    .attend = sq_queue_attend,
	    .yields = sq_queue_yields,
	    .state = sq_queue_state,
	    .peek = sq_queue_peek,
	    .draw = sq_queue_draw,
	    .recall = sq_queue_recall,
	    .scan = sq_queue_scan,
	    .pause = sq_queue_pause,
	    .empty = sq_queue_empty,
	},
    .txn =
	{
	    .room = embedded_txn_room,
	    .put = sq_build_put,
	    .pass = sq_build_pass,
	    .settle = sq_build_settle,
	    .record = sq_build_record,
	    .is_durable = sq_build_is_durable,
	    .commit = sq_embedded_commit,
	},
    .consumer =
	{
	    .consume = sq_queue_consume,
	    .demand = sq_queue_demand,
	    .sent = sq_queue_sent,
	    .cancel = sq_queue_cancel,
	},
};
