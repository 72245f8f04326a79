/* The calls of the log's owner; see store/shared/log_shared.h. */
#include "store/shared/log_shared.h"

#include <assert.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/thread.h"
#include "store/shared/log_shared_priv.h"
#include "store/shared/trial.h"

enum {
	DEADLINE_MS = 2000,
	CLOSE_MS = 1500, /* with a call that began before, less than SQ_STOP_MS */
	SEGMENT_MS = 3600000,
};
#define MAX_BEHIND (UINT64_C(64) << 20)
#define MAX_USED (UINT64_C(1) << 30)
#define SEGMENT_BYTES (UINT64_C(1) << 30)
#define SNAPSHOT_BYTES (UINT64_C(256) << 20)

static struct sq_log_shared *
shared_of(const struct sq_log *l)
{
	return SQ_CONTAINER_OF((struct sq_log *)(uintptr_t)l, struct sq_log_shared, log);
}

static uint64_t
shared_draw(void *arg)
{
	(void)arg;
	return sq_random_u64();
}

static void
shared_configure(struct sq_log_shared *s, const struct sq_log_cfg *cfg)
{
	struct sq_log_shared_cfg *c = &s->shared;

	s->cfg = *cfg;
	*c = *cfg->shared;
	s->cfg.shared = NULL; /* 's->shared' has the defaults */
	s->cfg.format = sq_trial_format(s->cfg.format);
	c->me.format_max = sq_trial_format(c->me.format_max);
	c->deadline_ms = c->deadline_ms != 0 ? c->deadline_ms : DEADLINE_MS;
	c->close_ms = c->close_ms != 0 ? c->close_ms : CLOSE_MS;
	c->max_behind = c->max_behind != 0 ? c->max_behind : MAX_BEHIND;
	c->max_used = c->max_used != 0 ? c->max_used : MAX_USED;
	c->segment_bytes = c->segment_bytes != 0 ? c->segment_bytes : SEGMENT_BYTES;
	c->snapshot_bytes = c->snapshot_bytes != 0 ? c->snapshot_bytes : SNAPSHOT_BYTES;
	c->segment_ms = c->segment_ms != 0 ? c->segment_ms : SEGMENT_MS;
}

static int
shared_open(struct sq_log **out, const struct sq_log_cfg *cfg, struct sq_buf *err)
{
	struct sq_log_shared *s = sq_xcalloc(1, sizeof *s);
	struct sq_log_shared_run *run = &s->run;

	(void)err;
	assert(cfg->shared != NULL && cfg->shared->driver != NULL);
	s->log.ops = &sq_log_shared;
	shared_configure(s, cfg);
	s->known.mark.lsn = s->known.released = cfg->from;
	s->known.mark.chain = cfg->mark.lsn == cfg->from ? cfg->mark.chain : 0;
	sq_used_init(&s->known.used, s->shared.max_used);
	sq_list_init(&s->queue.pending);
	sq_log_batch_init(&run->batch);
	run->rule = sq_rule_new(&(struct sq_rule_cfg){.store = cfg->store,
	    .applied = cfg->from,
	    .chain = s->known.mark.chain,
	    .needs = cfg->mark.lsn > cfg->from ? cfg->mark.lsn : cfg->from,
	    .draw = shared_draw,
	    .isolated_ms = s->shared.isolated_ms});
	sq_trial_break(run->rule);
	run->crowd.peers = sq_log_peers_new();
	run->crowd.beats = sq_clock_wall_ms() / 1000; /* above those of an earlier life */
	run->stale = true;
	run->segment.since_ms = sq_clock_ms();
	pthread_mutex_init(&s->tell.lock, NULL);
	pthread_mutex_init(&s->lock, NULL);
	sq_cond_init(&s->work);
	sq_cond_init(&s->late);
	if (cfg->rows != NULL)
		run->care.snapshots = sq_snapshots_new(
		    &(struct sq_snapshots_cfg){.driver = s->shared.driver,
			.driver_cfg = s->shared.driver_cfg,
			.rows = cfg->rows,
			.rows_owner = cfg->rows_owner,
			.bytes = s->shared.snapshot_bytes});
	*out = &s->log; /* callbacks may come at once */
	sq_thread_start(&s->thread, sq_log_shared_thread, s);
	sq_thread_start(&s->watch, sq_log_shared_watch, s);
	return SQ_OK;
}

static void
shared_free(struct sq_log_shared *s)
{
	struct sq_log_shared_run *run = &s->run;

	sq_snapshots_free(&run->care.snapshots);
	sq_upkeep_free(&run->care.upkeep);
	sq_log_batch_back(&run->batch, &s->queue.pending);
	SQ_LIST_FOR_EACH_SAFE(e, &s->queue.pending, struct sq_log_entry, node)
		sq_list_remove(&e->node);
	sq_log_batch_fini(&run->batch);
	sq_buf_fini(&run->held);
	sq_rule_free(&run->rule);
	sq_log_peers_free(&run->crowd.peers);
	pthread_mutex_destroy(&s->tell.lock);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->late);
	free(s);
}

static void
shared_close(struct sq_log **lp)
{
	struct sq_log_shared *s = shared_of(*lp);

	pthread_mutex_lock(&s->lock);
	s->queue.closing = true;
	s->queue.close_by_ms = sq_clock_ms() + s->shared.close_ms;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_mutex_lock(&s->lock);
	s->queue.watch_stop = true;
	pthread_cond_signal(&s->late);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->watch, NULL);
	shared_free(s);
	*lp = NULL; /* not before: callbacks may use it */
}

static void
shared_claim(struct sq_log *l)
{
	struct sq_log_shared *s = shared_of(l);

	pthread_mutex_lock(&s->lock);
	s->queue.claim = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
}

static void
shared_append(struct sq_log *l, struct sq_log_entry *e)
{
	struct sq_log_shared *s = shared_of(l);
	struct sq_log_shared_queue *q = &s->queue;
	bool wake, watch = false;

	assert(e->data.len > 0 && e->data.len <= SQ_LOG_ENTRY_MAX);
	pthread_mutex_lock(&s->lock);
	/* The thread wakes for the first one, then only for one that presses. */
	wake = q->idle && (!e->patient || sq_list_empty(&q->pending));
	sq_list_push_back(&q->pending, &e->node);
	q->pressing += !e->patient;
	if (wake)
		q->idle = false;
	if (!q->ended && atomic_load_explicit(&s->since_ms, memory_order_relaxed) == 0) {
		q->unanswered_ms = sq_clock_ms();
		atomic_store_explicit(&s->since_ms, q->unanswered_ms, memory_order_relaxed);
		watch = q->watch_idle;
		q->watch_idle = false;
	}
	pthread_mutex_unlock(&s->lock);
	if (wake)
		pthread_cond_signal(&s->work);
	if (watch)
		pthread_cond_signal(&s->late);
}

static void
shared_release(struct sq_log *l, uint64_t lsn)
{
	struct sq_log_shared *s = shared_of(l);
	struct sq_log_shared_known *k = &s->known;

	pthread_mutex_lock(&s->lock);
	if (lsn > k->mark.lsn)
		lsn = k->mark.lsn;
	if (lsn > k->released) {
		k->released = lsn;
		sq_used_release(&k->used, lsn);
		if (s->queue.full && k->used.bytes < s->shared.max_used)
			pthread_cond_signal(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
}

static struct sq_log_mark
shared_mark(const struct sq_log *l)
{
	struct sq_log_shared *s = shared_of(l);
	struct sq_log_mark mark;

	pthread_mutex_lock(&s->lock);
	mark = s->known.mark;
	pthread_mutex_unlock(&s->lock);
	return mark;
}

static uint64_t
shared_last(const struct sq_log *l)
{
	return shared_mark(l).lsn;
}

static uint64_t
shared_busy_ms(const struct sq_log *l)
{
	uint64_t since = atomic_load_explicit(&shared_of(l)->since_ms, memory_order_relaxed);
	uint64_t now = sq_clock_ms();

	return since == 0 || since > now ? 0 : now - since;
}

static uint64_t
shared_used(const struct sq_log *l, uint64_t *max)
{
	struct sq_log_shared *s = shared_of(l);
	uint64_t used;

	pthread_mutex_lock(&s->lock);
	used = s->known.used.bytes;
	pthread_mutex_unlock(&s->lock);
	*max = s->shared.max_used;
	return used;
}

static bool
shared_leased(const struct sq_log *l)
{
	return sq_clock_ms() < atomic_load_explicit(&shared_of(l)->lease_ms, memory_order_relaxed);
}

const struct sq_log_ops sq_log_shared = {
    .name = "shared",
    .open = shared_open,
    .close = shared_close,
    .claim = shared_claim,
    .append = shared_append,
    .release = shared_release,
    .last = shared_last,
    .busy_ms = shared_busy_ms,
    .used = shared_used,
    .mark = shared_mark,
    .leased = shared_leased,
};
