/* Open, start and end of the embedded engine: embedded.c has the structure. */
#include "broker/engine/embedded/embedded_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/embedded/item.h"
#include "broker/engine/embedded/snapshot.h"
#include "broker/metrics/metrics.h"
#include "core/mem.h"
#include "core/memory.h"
#include "store/dir.h"
#include "store/held.h"

enum {
	SEGMENTS = 8, /* of a journal */
	SEGMENT_MIN = 1 << 20,
	/* The limits of a transaction's puts. */
	TXN_BYTES = SQ_LOG_ENTRY_MAX / 8 * 3,
	TXN_ITEMS = 1 << (SQ_SEQ_BITS - 1),
};

/* Start. */

int
sq_embedded_load(struct sq_engine *engine, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg)
{
	return sq_delta_records(sq_embedded_of(engine)->delta, kind, fn, arg);
}

const char *
sq_embedded_load_error(const struct sq_engine *engine)
{
	return sq_table_error(sq_embedded_of(engine)->table);
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

int
sq_embedded_claim(struct sq_queue *q, uint64_t seq, struct sq_item *out)
{
	struct embedded *e = sq_embedded_of(q->engine);
	struct claim c = {.out = out};
	int err;

	if (sq_queue_claim(q, seq, out))
		return SQ_OK;
	if (sq_queue_skips(q, seq))
		return SQ_ENOTFOUND;
	err = sq_pager_item(e->pager, q->id, seq, claim_item, &c);
	if (err == SQ_OK && !c.good)
		err = SQ_EINVAL;
	if (err == SQ_OK) {
		out->attempts = sq_gap_attempts(&q->gap, seq, out->attempts);
		sq_queue_skip(q, out);
	}
	return err;
}

static void
unopened_delete(void *arg, struct sq_kept_queue *kept)
{
	struct sq_txn *txn = arg;

	sq_build_queue_delete(txn, kept->id);
}

void
sq_embedded_ready(struct sq_engine *engine)
{
	struct embedded *e = sq_embedded_of(engine);
	struct sq_txn *txn = sq_txn_unattended(engine, NULL);

	sq_delta_unopened(e->delta, unopened_delete, txn);
	atomic_store(&e->started, true);
	sq_embedded_check_room(e);
	if (e->files.shared != NULL)
		sq_embedded_page_out(e); /* checkpoints have gone on */
	else
		sq_checkpoint_start(e->checkpoint);
	if (sq_build_is_durable(txn))
		sq_embedded_commit(txn);
	else
		free(txn);
}

static void
embedded_promote(struct embedded *e)
{
	e->start_lsn = sq_delta_promote(e->delta);
	atomic_store(&e->next_queue, sq_delta_last_queue(e->delta) + 1);
}

void
sq_embedded_own(struct sq_engine *engine)
{
	struct embedded *e = sq_embedded_of(engine);

	if (e->files.shared != NULL) /* else it has owned from its open */
		embedded_promote(e);
}

/* The log. */

/* Whether the delta has room for what another broker has committed: without it checkpoints come
 * first. */
static bool
follow_room(const struct embedded *e)
{
	uint64_t max, used = sq_log_used(e->log, &max);

	return used == 0 || (used < max && sq_memory_level() < SQ_MEMORY_REFUSED);
}

/* A record of another broker.  Refused, it is offered again: it is applied as a whole, or not at all. */
static int
embedded_followed(struct embedded *e, uint64_t lsn, struct sq_bytes data)
{
	bool complete = atomic_load_explicit(&e->complete, memory_order_acquire);
	char text[96];
	int rc;

	if (complete && !follow_room(e))
		return SQ_ENOMEM;
	if (!sq_oplog_sound(data)) {
		snprintf(text, sizeof text, "record %llu of the log is malformed",
		    (unsigned long long)lsn);
		sq_health_note(e->health, SQ_HEALTH_DAMAGE, text);
		return SQ_EINVAL;
	}
	rc = sq_delta_replay(e->delta, lsn, data);
	if (complete) {
		sq_embedded_check_room(e);
		sq_embedded_throttle(e, data.len);
	}
	return rc;
}

static int
embedded_applied(void *owner, uint64_t lsn, struct sq_bytes data, struct sq_list *entries)
{
	struct embedded *e = owner;

	if (entries != NULL) {
		sq_embedded_committed(e, lsn, entries);
		return SQ_OK;
	}
	if (e->files.shared != NULL)
		return embedded_followed(e, lsn, data);
	return sq_delta_replay(e->delta, lsn, data);
}

static void
embedded_owns(struct embedded *e, uint64_t epoch)
{
	if (atomic_exchange(&e->role.owns, true))
		return; /* a claim of one's own again: nobody was between */
	e->engine.boot = (uint32_t)epoch;
	if (e->role.tell != NULL)
		e->role.tell(e->role.owner, SQ_ENGINE_OWNS, NULL);
}

static void
embedded_lost(struct embedded *e, struct sq_list *back)
{
	static const char why[] = "another broker has taken the log over, or may have";

	if (back != NULL)
		sq_list_splice(&e->role.back, back);
	atomic_store(&e->role.lost, true);
	atomic_store(&e->store.held_back, true);
	sq_health_note(e->health, SQ_HEALTH_LOST, why);
	if (e->role.tell != NULL)
		e->role.tell(e->role.owner, SQ_ENGINE_LOST, why);
}

static void
embedded_role(void *owner, enum sq_log_role role, uint64_t epoch, struct sq_list *back)
{
	struct embedded *e = owner;

	if (role == SQ_LOG_OWNS)
		embedded_owns(e, epoch);
	else if (role == SQ_LOG_FENCED)
		embedded_lost(e, back);
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
	    .shared = e->files.shared,
	    .mark = meta.mark,
	    .format = SQ_OPLOG_FORMAT,
	    .rows = &sq_snapshot_source,
	    .rows_owner = e->table,
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

/* Checkpoints. */

void
sq_embedded_page_out(struct embedded *e)
{
	pthread_mutex_lock(&e->queues_lock);
	SQ_LIST_FOR_EACH(q, &e->queues, struct sq_queue, paged)
		sq_queue_page_out(q);
	pthread_mutex_unlock(&e->queues_lock);
}

/* While another broker may own the state, what waits in durable queues stays there. */
static void
embedded_hold_back(struct embedded *e, bool hold)
{
	if (atomic_exchange(&e->store.held_back, hold) == hold || hold)
		return;
	pthread_mutex_lock(&e->queues_lock);
	SQ_LIST_FOR_EACH(q, &e->queues, struct sq_queue, paged)
		sq_queue_go_on(q);
	pthread_mutex_unlock(&e->queues_lock);
}

void
sq_embedded_tick(struct embedded *e)
{
	bool leased = !atomic_load(&e->role.owns) || sq_log_leased(e->log);

	sq_health_tick(e->health, sq_log_busy_ms(e->log), leased);
	embedded_hold_back(e, !leased || atomic_load(&e->role.lost));
}

/* A checkpoint's 'after': its records may leave the log, and its items memory. */
static void
embedded_written(void *owner, uint64_t lsn)
{
	struct embedded *e = owner;

	atomic_store_explicit(&e->store.clean, sq_seq(lsn + 1, 0), memory_order_release);
	sq_log_release(e->log, lsn);
	if (atomic_load(&e->started))
		sq_embedded_page_out(e);
	sq_embedded_check_room(e);
}

static void
embedded_tick(void *owner)
{
	sq_embedded_tick(owner);
}

static void
embedded_page(struct sq_queue *q)
{
	sq_pager_want(sq_embedded_of(q->engine)->pager, q);
}

static void
embedded_scan(struct sq_scan *s)
{
	sq_pager_scan(sq_embedded_of(s->queue->engine)->pager, s);
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
	    .tick = embedded_tick,
	    .owner = e,
	};

	e->pager = sq_pager_new(&pager);
	e->checkpoint = sq_checkpoint_new(&checkpoint);
	atomic_store_explicit(&e->complete, true, memory_order_release);
	if (e->files.shared != NULL)
		sq_checkpoint_start(e->checkpoint);
}

/* Opens tables of the log that the engine has; those of a shared log are there already: seed.h. */
static int
embedded_open_table(struct embedded *e, struct sq_buf *err)
{
	bool shared = e->files.shared != NULL;
	int rc;

	if (shared && !sq_table_there(e->files.dir)) {
		sq_buf_printf(err, "%s: there are no tables of the brokers' log", e->files.dir);
		return SQ_EINVAL;
	}
	rc = sq_table_open(&e->table, e->files.dir, e->files.max_bytes, false, err);
	if (rc != SQ_OK || sq_table_meta(e->table).shared == shared)
		return rc;
	if (shared)
		sq_buf_printf(err,
		    "%s: has the messages of a broker with a log of its own, which are in no log "
		    "of "
		    "several brokers",
		    e->files.dir);
	else
		sq_buf_printf(err,
		    "%s: belongs to a log of several brokers: only a broker with that log opens it",
		    e->files.dir);
	return SQ_EINVAL;
}

/* Opens files and replays, or begins to follow; SQ_OK, or an error with a line in 'err'. */
static int
embedded_start(struct embedded *e, struct sq_buf *err)
{
	struct sq_table_meta meta;
	int rc;

	e->lock = sq_store_lock(e->files.dir, err);
	if (e->lock < 0)
		return SQ_EIO;
	sq_held_forget(e->files.dir);
	rc = embedded_open_table(e, err);
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
	if (e->files.shared == NULL)
		embedded_promote(e);
	e->hold = sq_hold_new(e->table, e->files.dir, &e->metrics);
	embedded_open_parts(e);
	return SQ_OK;
}

/* Transactions that the log has given back: their owners wait for them no more. */
static void
embedded_forget(struct sq_list *back)
{
	SQ_LIST_FOR_EACH_SAFE(entry, back, struct sq_log_entry, node) {
		struct sq_txn *txn = sq_build_txn(entry);
		size_t n;
		struct sq_put *put = sq_build_puts(txn, &n);

		sq_list_remove(&entry->node);
		for (size_t i = 0; i < n; i++) {
			sq_item_fini(&put[i].item);
			sq_queue_unref(put[i].queue);
		}
		sq_build_fini(txn);
	}
}

void
sq_embedded_close(struct sq_engine *engine)
{
	struct embedded *e = sq_embedded_of(engine);

	sq_checkpoint_stop(e->checkpoint);
	if (e->checkpoint != NULL)
		sq_checkpoint_mark(e->checkpoint);
	sq_log_close(&e->log); /* commits to its end, at the rate of checkpoints */
	sq_checkpoint_free(&e->checkpoint);
	sq_hold_free(&e->hold);
	sq_pager_free(&e->pager);
	sq_delta_free(&e->delta);
	sq_table_close(&e->table);
	sq_store_unlock(&e->lock);
	embedded_forget(&e->role.back);
	sq_health_free(&e->health);
	pthread_mutex_destroy(&e->queues_lock);
	free((void *)(uintptr_t)e->files.dir);
	free(e);
}

struct sq_engine *
sq_embedded_open(
    const struct sq_engine_ops *ops, const struct sq_engine_cfg *cfg, struct sq_buf *err)
{
	struct embedded *e = sq_xcalloc(1, sizeof *e);
	const struct sq_health_cfg health = {.max_bytes = cfg->files->max_bytes,
	    .stall_ms = cfg->files->stall_ms,
	    .shared = cfg->files->shared != NULL,
	    .full = &e->store.full,
	    .metrics = cfg->metrics};

	e->engine.ops = ops;
	e->files = *cfg->files;
	e->files.dir = sq_xstrdup(cfg->files->dir);
	e->limits.bytes = cfg->txn_bytes != 0 ? cfg->txn_bytes : TXN_BYTES;
	e->limits.items = cfg->txn_items != 0 ? cfg->txn_items : TXN_ITEMS;
	e->metrics = *cfg->metrics;
	e->health = sq_health_new(&health);
	e->lock = -1;
	pthread_mutex_init(&e->queues_lock, NULL);
	sq_list_init(&e->queues);
	sq_list_init(&e->role.back);
	e->role.tell = cfg->role;
	e->role.owner = cfg->owner;
	e->store.page = embedded_page;
	e->store.scan = embedded_scan;
	e->store.txn_bytes = sq_build_bytes;
	e->store.cache = cfg->files->cache_bytes;
	if (embedded_start(e, err) == SQ_OK)
		return &e->engine;
	sq_embedded_close(&e->engine);
	return NULL;
}
