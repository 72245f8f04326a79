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
 * This file alone knows all of them.  Threads: the workers, the log's, the checkpoint's and the
 * pager's. */
#include "broker/engine/embedded/embedded.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/engine/embedded/build.h"
#include "broker/engine/embedded/checkpoint.h"
#include "broker/engine/embedded/delta.h"
#include "broker/engine/embedded/health.h"
#include "broker/engine/embedded/hold.h"
#include "broker/engine/embedded/item.h"
#include "broker/engine/embedded/oplog.h"
#include "broker/engine/embedded/pager.h"
#include "broker/engine/embedded/table.h"
#include "broker/engine/files.h"
#include "broker/engine/queue/queue.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/wallclock.h"
#include "store/dir.h"
#include "store/held.h"

enum {
	SEGMENTS = 8, /* of a journal */
	SEGMENT_MIN = 1 << 20,
	THROTTLE_PART = 2,       /* commits are slowed above this part of the journal */
	THROTTLE_MAX_US = 50000, /* for one commit */
	/* The limits of a transaction's puts. */
	TXN_BYTES = SQ_LOG_ENTRY_MAX / 8 * 3,
	TXN_ITEMS = 1 << (SQ_SEQ_BITS - 1),
};

struct embedded {
	struct sq_engine engine;
	struct sq_engine_files files;
	struct sq_build_limits limits;
	struct sq_metrics metrics;
	int lock; /* of the directory */
	struct sq_table *table;
	struct sq_log *log;
	struct sq_delta *delta;
	struct sq_health *health;
	struct sq_checkpoint *checkpoint;
	struct sq_hold *hold; /* the checkpoint's */
	struct sq_pager *pager;
	struct sq_queue_store store;
	bool started; /* ready() was called */
	atomic_uint_fast64_t next_queue;
	pthread_mutex_t queues_lock; /* before a queue's lock */
	struct sq_list queues;       /* the durable ones, by 'paged' */
};

static struct embedded *
embedded_of(const struct sq_engine *e)
{
	return SQ_CONTAINER_OF((struct sq_engine *)(uintptr_t)e, struct embedded, engine);
}

/* Commits. */

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

/* Slows commits to the rate of checkpoints when the journal fills up, so that publishers slow down
 * and none stalls at its end. */
static void
committed_throttle(struct embedded *e, uint64_t bytes)
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

/* The delta needs room in the tables as well, at worst twice its size. */
static void
embedded_check_room(struct embedded *e)
{
	size_t n_changes;

	sq_health_used(
	    e->health, sq_table_used(e->table) + 2 * sq_delta_bytes(e->delta, &n_changes));
}

static void
embedded_committed(struct embedded *e, uint64_t lsn, struct sq_list *entries)
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
	embedded_check_room(e);
	committed_throttle(e, bytes);
}

static int
embedded_applied(void *owner, uint64_t lsn, struct sq_bytes data, struct sq_list *entries)
{
	struct embedded *e = owner;

	if (entries == NULL)
		return sq_delta_replay(e->delta, lsn, data);
	embedded_committed(e, lsn, entries);
	return SQ_OK;
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

static void
embedded_commit(struct sq_txn *txn)
{
	if (!sq_build_is_durable(txn)) {
		sq_txn_post(txn, txn_run);
		return;
	}
#ifdef SQ_BROKEN_ACK
	txn = commit_unsafely(txn);
#endif
	sq_log_append(embedded_of(txn->engine)->log, sq_build_entry(txn));
}

/* Queues. */

static void
queue_restore(struct embedded *e, struct sq_queue *q, struct sq_kept_queue *kept)
{
	struct sq_gap gap = {
	    .to = atomic_load(&e->store.clean) - 1,
	    .open = kept->n > 0,
	    .n = kept->n - kept->n_skip,
	    .bytes = kept->bytes - kept->skip_bytes,
	    .skip = kept->skip,
	    .n_skip = kept->n_skip,
	};

	for (uint32_t i = 0; i < kept->restored.n; i++) {
		struct sq_item *item = &kept->restored.v[i]; /* pushed to an empty ring */

		item->expires_ms = sq_wallclock_to_mono(item->expires_ms, sq_clock_ms());
	}
	kept->skip = NULL;
	kept->n_skip = 0;
	sq_queue_restore(q, &gap, &kept->restored);
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
		embedded_commit(own);
}

static struct sq_queue *
embedded_queue_open(struct sq_engine *engine, struct sq_txn *txn, const struct sq_queue_cfg *cfg)
{
	struct embedded *e = embedded_of(engine);
	struct sq_queue *q = sq_queue_new(engine, &e->store, &e->metrics, cfg);
	struct sq_kept_queue *kept = NULL;

	if (!cfg->durable)
		return q;
	if (!e->started)
		kept = sq_delta_open(e->delta, cfg->name);
	if (kept != NULL) {
		q->id = kept->id;
		queue_restore(e, q, kept);
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
	struct embedded *e = embedded_of(q->engine);

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

/* Start and end. */

static int
embedded_load(struct sq_engine *engine, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg)
{
	return sq_delta_records(embedded_of(engine)->delta, kind, fn, arg);
}

static const char *
embedded_load_error(const struct sq_engine *engine)
{
	return sq_table_error(embedded_of(engine)->table);
}

struct claim {
	struct sq_item *out;
	bool good;
};

static void
claim_item(void *arg, const struct sq_table_item *stored)
{
	struct claim *c = arg;

	c->good = sq_table_item_good(stored);
	if (c->good)
		*c->out = sq_item_from_table(stored);
}

static int
embedded_claim(struct sq_queue *q, uint64_t seq, struct sq_item *out)
{
	struct embedded *e = embedded_of(q->engine);
	struct claim c = {.out = out};
	int err;

	if (sq_queue_claim(q, seq, out))
		return SQ_OK;
	if (sq_queue_skips(q, seq))
		return SQ_ENOTFOUND;
	err = sq_pager_item(e->pager, q->id, seq, claim_item, &c);
	if (err == SQ_OK && !c.good)
		err = SQ_EINVAL;
	if (err == SQ_OK)
		sq_queue_skip(q, out);
	return err;
}

static void
unopened_delete(void *arg, struct sq_kept_queue *kept)
{
	struct sq_txn *txn = arg;

	sq_build_queue_delete(txn, kept->id);
}

static void
embedded_ready(struct sq_engine *engine)
{
	struct embedded *e = embedded_of(engine);
	struct sq_txn *txn = sq_txn_unattended(engine, NULL);

	sq_delta_unopened(e->delta, unopened_delete, txn);
	e->started = true;
	embedded_check_room(e);
	sq_checkpoint_start(e->checkpoint);
	if (sq_build_is_durable(txn))
		embedded_commit(txn);
	else
		free(txn);
}

/* The log of a directory has one owner from its claim to its end. */
static void
embedded_role(void *owner, enum sq_log_role role, uint64_t epoch, struct sq_list *back)
{
	struct embedded *e = owner;

	assert(role == SQ_LOG_OWNS && back == NULL);
	e->engine.boot = (uint32_t)epoch;
}

static void
embedded_log_stalled(void *owner, const char *why)
{
	struct embedded *e = owner;

	sq_health_stalled(e->health, why);
}

static int
embedded_open_log(struct embedded *e, struct sq_buf *err)
{
	struct sq_table_meta meta = sq_table_meta(e->table);
	uint64_t segment = e->files.journal_bytes / SEGMENTS;
	const struct sq_log_cfg cfg = {
	    .dir = e->files.dir,
	    .store = meta.store,
	    .from = meta.lsn,
	    .file =
		{
		    .segment_bytes = segment < SEGMENT_MIN ? SEGMENT_MIN : segment,
		    .max_segments = SEGMENTS,
		    .durability = e->files.durability,
		    .interval_ms = e->files.interval_ms,
		    .boots = meta.boots,
		    .commits = sq_metric_histogram(&e->metrics, SQ_H_COMMIT),
		},
	    .applied = embedded_applied,
	    .role = embedded_role,
	    .stalled = embedded_log_stalled,
	    .owner = e,
	};
	int rc = sq_log_open(&e->log, e->files.log, &cfg, err);

	if (rc == SQ_OK)
		sq_log_claim(e->log);
	return rc;
}

/* A checkpoint's 'after': its records may leave the log, and its items memory. */
static void
embedded_written(void *owner, uint64_t lsn)
{
	struct embedded *e = owner;

	atomic_store_explicit(&e->store.clean, sq_seq(lsn + 1, 0), memory_order_release);
	sq_log_release(e->log, lsn);
	pthread_mutex_lock(&e->queues_lock);
	SQ_LIST_FOR_EACH(q, &e->queues, struct sq_queue, paged)
		sq_queue_page_out(q);
	pthread_mutex_unlock(&e->queues_lock);
	embedded_check_room(e);
}

static void
embedded_page(struct sq_queue *q)
{
	sq_pager_want(embedded_of(q->engine)->pager, q);
}

/* The parts that need the log. */
static void
embedded_open_parts(struct embedded *e)
{
	const struct sq_pager_cfg pager = {
	    .table = e->table, .health = e->health, .store = &e->store, .metrics = &e->metrics};
	const struct sq_checkpoint_cfg checkpoint = {
	    .table = e->table,
	    .delta = e->delta,
	    .log = e->log,
	    .health = e->health,
	    .hold = e->hold,
	    .metrics = &e->metrics,
	    .after = embedded_written,
	    .owner = e,
	};

	e->pager = sq_pager_new(&pager);
	e->checkpoint = sq_checkpoint_new(&checkpoint);
}

/* Opens files and replays; SQ_OK, or an error with a line in 'err'. */
static int
embedded_start(struct embedded *e, struct sq_buf *err)
{
	struct sq_table_meta meta;
	int rc;

	e->lock = sq_store_lock(e->files.dir, err);
	if (e->lock < 0)
		return SQ_EIO;
	sq_held_forget(e->files.dir);
	rc = sq_table_open(&e->table, e->files.dir, e->files.max_bytes, false, err);
	if (rc != SQ_OK)
		return rc;
	meta = sq_table_meta(e->table);
	e->engine.store = meta.store;
	e->delta = sq_delta_new(e->table);
	atomic_init(&e->store.clean, sq_seq(meta.lsn + 1, 0));
	rc = sq_delta_load(e->delta);
	if (rc != SQ_OK) {
		sq_buf_printf(err, "%s: tables: %s", e->files.dir, sq_table_error(e->table));
		return rc;
	}
	rc = embedded_open_log(e, err);
	if (rc != SQ_OK)
		return rc;
	sq_delta_replayed(e->delta);
	atomic_init(&e->next_queue, sq_delta_last_queue(e->delta) + 1);
	e->hold = sq_hold_new(e->table, e->files.dir, &e->metrics);
	embedded_open_parts(e);
	return SQ_OK;
}

static void
embedded_close(struct sq_engine *engine)
{
	struct embedded *e = embedded_of(engine);

	sq_checkpoint_stop(e->checkpoint);
	sq_log_close(&e->log); /* commits to its end, at the rate of checkpoints */
	sq_checkpoint_free(&e->checkpoint);
	sq_hold_free(&e->hold);
	sq_pager_free(&e->pager);
	sq_delta_free(&e->delta);
	sq_table_close(&e->table);
	sq_store_unlock(&e->lock);
	sq_health_free(&e->health);
	pthread_mutex_destroy(&e->queues_lock);
	free((void *)(uintptr_t)e->files.dir);
	free(e);
}

static struct sq_engine *
embedded_open(const struct sq_engine_cfg *cfg, struct sq_buf *err)
{
	struct embedded *e = sq_xcalloc(1, sizeof *e);
	const struct sq_health_cfg health = {.max_bytes = cfg->files->max_bytes,
	    .stall_ms = cfg->files->stall_ms,
	    .full = &e->store.full,
	    .metrics = cfg->metrics};

	e->engine.ops = &sq_engine_embedded;
	e->files = *cfg->files;
	e->files.dir = sq_xstrdup(cfg->files->dir);
	e->limits.bytes = cfg->txn_bytes != 0 ? cfg->txn_bytes : TXN_BYTES;
	e->limits.items = cfg->txn_items != 0 ? cfg->txn_items : TXN_ITEMS;
	e->metrics = *cfg->metrics;
	e->health = sq_health_new(&health);
	e->lock = -1;
	pthread_mutex_init(&e->queues_lock, NULL);
	sq_list_init(&e->queues);
	e->store.page = embedded_page;
	e->store.txn_bytes = sq_build_bytes;
	e->store.cache = cfg->files->cache_bytes;
	if (embedded_start(e, err) == SQ_OK)
		return &e->engine;
	embedded_close(&e->engine);
	return NULL;
}

static bool
embedded_healthy(struct sq_engine *engine, struct sq_buf *why)
{
	struct embedded *e = embedded_of(engine);

	sq_health_tick(e->health, sq_log_busy_ms(e->log));
	return sq_health_is_good(e->health, why);
}

static bool
embedded_stalled(struct sq_engine *engine)
{
	return sq_health_stalls(embedded_of(engine)->health);
}

static bool
embedded_full(const struct sq_engine *engine)
{
	return sq_health_full(embedded_of(engine)->health);
}

static bool
embedded_txn_room(const struct sq_txn *txn, uint64_t items, uint64_t bytes)
{
	return sq_build_room(txn, &embedded_of(txn->engine)->limits, items, bytes);
}

const struct sq_engine_ops sq_engine_embedded = {
    .name = "embedded",
    .durable = true,
    .open = embedded_open,
    .close = embedded_close,
    .healthy = embedded_healthy,
    .stalled = embedded_stalled,
    .full = embedded_full,
    .start =
	{
	    .load = embedded_load,
	    .load_error = embedded_load_error,
	    .claim = embedded_claim,
	    .ready = embedded_ready,
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
	    .commit = embedded_commit,
	},
    .consumer =
	{
	    .consume = sq_queue_consume,
	    .demand = sq_queue_demand,
	    .sent = sq_queue_sent,
	    .cancel = sq_queue_cancel,
	},
};
