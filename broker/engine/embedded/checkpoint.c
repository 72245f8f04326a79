#include "broker/engine/embedded/checkpoint.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/engine/queue/queue.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/fault.h"
#include "core/mem.h"
#include "core/memory.h"
#include "core/thread.h"
#include "store/log.h"

enum {
	CHUNK_BYTES = 32 << 20,
	CHUNK_OPS = 32768,  /* items, changes and records of a chunk, each */
	TIGHT_OPS = 1024,   /* what ends something, of a chunk when there is no room: at first, */
	TIGHT_PART = 4,     /* a part of that where it does not fit either, */
	TIGHT_MIN = 4,      /* and at least, as each may need several pages */
	SWEEP_ITEMS = 4096, /* of deleted queues, per chunk */
	BEGIN_PART = 4,     /* it begins above this part of the journal */
	BEGIN_CHANGES = 1 << 18, /* or with so many settlements for the tables */
	POLL_MS = 100,
	RETRY_MS = 500,
	RATE_FIRST = 32 << 20,
	MARK_MS = 5000,    /* between two writes of the log's mark while nothing else is written */
	ALL_FAILURES = 16, /* of chunks that find no room until others have made some */
};

struct sq_checkpoint {
	struct sq_checkpoint_cfg cfg;
	struct sq_metrics metrics;
	bool started;
	pthread_t thread;
	atomic_uint_fast64_t rate; /* see sq_checkpoint_rate() */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	unsigned tight; /* a chunk did not fit: so many of what ends something */
	bool ended;     /* the chunk ends something */
	bool failed;    /* no full chunk was written since one failed */
	uint64_t marked_ms;
};

/* Notes that the chunk changes the queue's counts, or its row. */
static void
chunk_touch(struct sq_chunk *c, struct sq_kept_queue *q)
{
	if (q->touched)
		return;
	q->touched = true;
	q->n_next = q->n;
	q->bytes_next = q->bytes;
	if (c->n_touched == c->cap_touched) {
		c->cap_touched = c->cap_touched > 0 ? c->cap_touched * 2 : 64;
		c->touched = sq_xrealloc(c->touched, c->cap_touched * sizeof(*c->touched));
	}
	c->touched[c->n_touched++] = q;
}

static int
write_items(struct sq_checkpoint *c, struct sq_chunk *chunk)
{
	struct sq_table *t = c->cfg.table;
	int err = SQ_OK;

	for (size_t i = 0; i < chunk->n_items && err == SQ_OK; i++) {
		const struct sq_delta_item *ai = chunk->items[i];
		const struct sq_item *item = &ai->item;
		struct sq_table_item row = {
		    .queue = ai->queue->id,
		    .seq = item->seq,
		    .origin = item->origin,
		    .expires_ms = ai->expires_ms,
		    .qos = item->qos,
		    .retain = item->retain,
		    .assured = item->assured,
		    .attempts = item->attempts,
		    .arrived_ms = item->arrived_ms,
		    .image = {item->msg.image, sq_image_size(item->msg.image)},
		};

		if (item->subs != NULL)
			row.subs = (struct sq_bytes){item->subs->bytes, item->subs->size};
		chunk_touch(chunk, ai->queue);
		ai->queue->n_next++;
		ai->queue->bytes_next += row.image.len + sq_table_item_tail(&row);
		err = sq_table_put_item(t, &row);
	}
	return err;
}

static int
write_change(struct sq_checkpoint *c, struct sq_chunk *chunk, const struct sq_delta_change *ch)
{
	struct sq_table *t = c->cfg.table;
	struct sq_kept_queue *q = sq_delta_queue(c->cfg.delta, ch->queue);
	uint64_t bytes;
	int err;

	if (q == NULL) /* it goes with its queue */
		return SQ_OK;
	if (ch->attempts > 0)
		return sq_table_set_attempts(t, ch->queue, ch->seq, ch->attempts);
	err = sq_table_delete_item(t, ch->queue, ch->seq, &bytes);
	if (err == SQ_OK && bytes > 0) {
		chunk_touch(chunk, q);
		q->n_next--;
		q->bytes_next -= bytes;
	}
	return err;
}

static int
write_changes(struct sq_checkpoint *c, struct sq_chunk *chunk, const struct sq_list *changes)
{
	int err = SQ_OK;

	SQ_LIST_FOR_EACH(ch, changes, struct sq_delta_change, node) {
		err = write_change(c, chunk, ch);
		if (err != SQ_OK)
			break;
	}
	return err;
}

static int
write_rest(struct sq_checkpoint *c, struct sq_chunk *chunk)
{
	struct sq_table *t = c->cfg.table;
	int err = write_changes(c, chunk, &chunk->deferred);

	if (err == SQ_OK)
		err = write_changes(c, chunk, &chunk->changes);
	if (err != SQ_OK)
		return err;
	SQ_LIST_FOR_EACH(r, &chunk->records, struct sq_delta_record, node) {
		struct sq_bytes value = {r->deleted ? NULL : r->value, r->len};

		err = sq_table_put_record(t, &r->key, value);
		if (err != SQ_OK)
			return err;
	}
	return err;
}

static int
write_queues(struct sq_checkpoint *c, struct sq_chunk *chunk)
{
	struct sq_table *t = c->cfg.table;
	int err = SQ_OK;

	for (size_t i = 0; i < chunk->n_queues && err == SQ_OK; i++) {
		struct sq_kept_queue *q = chunk->queues[i].queue;

		if (!chunk->queues[i].deleted)
			chunk_touch(chunk, q);
		else if (q->listed)
			err = sq_table_delete_queue(t, q->id);
	}
	for (size_t i = 0; i < chunk->n_touched && err == SQ_OK; i++) {
		struct sq_kept_queue *q = chunk->touched[i];
		struct sq_table_queue row = {
		    q->id, q->n_next, q->bytes_next, sq_delta_name(c->cfg.delta, q)};

		err = sq_table_put_queue(t, &row);
	}
	return err;
}

/* After the chunk was taken: the mark is of all that the chunk may have. */
static int
write_mark(struct sq_checkpoint *c)
{
	const struct sq_log_mark mark = sq_log_mark(c->cfg.log);

	return mark.lsn != 0 ? sq_table_put_mark(c->cfg.table, &mark) : SQ_OK;
}

static int
checkpoint_write(struct sq_checkpoint *c, struct sq_chunk *chunk)
{
	struct sq_table *t = c->cfg.table;
	int err = sq_table_begin(t);

	if (err != SQ_OK)
		return err;
	err = sq_table_raise_format(t, sq_delta_format(c->cfg.delta));
	if (err == SQ_OK)
		err = write_rest(c, chunk);
	if (err == SQ_OK)
		err = write_items(c, chunk);
	if (err == SQ_OK)
		err = write_queues(c, chunk);
	if (err == SQ_OK) {
		err = sq_table_sweep(t, c->tight != 0 ? c->tight : SWEEP_ITEMS);
		c->ended |= err > 0;
		err = err > 0 ? SQ_OK : err;
	}
	if (err == SQ_OK)
		err = write_mark(c);
	if (err == SQ_OK) {
		SQ_FAULT("checkpoint-before-commit");
		return sq_table_commit(t, chunk->lsn);
	}
	sq_table_abort(t);
	return err;
}

static void
checkpoint_failed(struct sq_checkpoint *c, int err)
{
	char text[256];

	c->failed = true;
	if (err != SQ_ENOMEM || c->tight == TIGHT_MIN)
		c->tight = 0;
	else
		c->tight = c->tight == 0 ? TIGHT_OPS : c->tight / TIGHT_PART;
	snprintf(text, sizeof text, "tables: %s", sq_table_error(c->cfg.table));
	sq_health_note(c->cfg.health, err == SQ_EINVAL ? SQ_HEALTH_DAMAGE : SQ_HEALTH_TABLES, text);
}

/* Takes the next chunk.  If the last one found no room, changes that free pages come first, as long
 * as there are any: each needs pages before it frees others. */
static void
checkpoint_take(struct sq_checkpoint *c, struct sq_chunk *chunk)
{
	if (c->tight == 0)
		sq_delta_take(c->cfg.delta, CHUNK_BYTES, CHUNK_OPS, chunk);
	else
		c->ended = sq_delta_take_ends(
		    c->cfg.delta, sq_table_meta(c->cfg.table).lsn, c->tight, chunk);
}

/* Writes one chunk; its error. */
static int
checkpoint_chunk(struct sq_checkpoint *c)
{
	struct sq_chunk chunk;
	int err;

	checkpoint_take(c, &chunk);
	err = checkpoint_write(c, &chunk);
	sq_delta_give_back(c->cfg.delta, &chunk, err == SQ_OK);
	if (err != SQ_OK) {
		checkpoint_failed(c, err);
		return err;
	}
	if (c->tight == 0) {
		c->failed = false;
		sq_health_note(c->cfg.health, SQ_HEALTH_TABLES, NULL);
	} else if (!c->ended) {
		c->tight = 0;
	} else if (c->tight < TIGHT_OPS) {
		c->tight *= TIGHT_PART; /* until it does not fit again */
	}
	sq_metric_add(&c->metrics, SQ_M_STORE_CHECKPOINTS, 1);
	sq_metric_set(&c->metrics, SQ_M_STORE_TABLE_BYTES, (int64_t)sq_table_used(c->cfg.table));
	c->cfg.after(c->cfg.owner, chunk.lsn);
	return SQ_OK;
}

int
sq_checkpoint_all(struct sq_checkpoint *c)
{
	unsigned failures = 0;
	size_t n_changes;
	int err;

	assert(!c->started);
	do {
		err = checkpoint_chunk(c);
		if (err != SQ_OK && (c->tight == 0 || ++failures > ALL_FAILURES))
			return err;
	} while (err != SQ_OK || c->tight != 0 || sq_delta_bytes(c->cfg.delta, &n_changes) > 0 ||
	    n_changes > 0);
	return SQ_OK;
}

static bool
checkpoint_due(struct sq_checkpoint *c)
{
	uint64_t max, used = sq_log_used(c->cfg.log, &max);
	uint64_t bytes;
	size_t n_changes;

	sq_metric_set(&c->metrics, SQ_M_STORE_JOURNAL_BYTES, (int64_t)used);
	bytes = sq_delta_bytes(c->cfg.delta, &n_changes);
	/* Settlements make room, and what is written needs less than was feared. */
	if (sq_health_full(c->cfg.health) && (n_changes > 0 || bytes > 0))
		return true;
	/* Items need no memory once they are in the tables. */
	if (sq_memory_level() >= SQ_MEMORY_PACED && (n_changes > 0 || bytes > 0))
		return true;
	/* An older broker may open it soon. */
	if (sq_delta_format(c->cfg.delta) > sq_table_format(c->cfg.table))
		return true;
	/* Nobody publishes to a store in trouble: it must find out by itself that it is over. */
	return used > max / BEGIN_PART || n_changes > BEGIN_CHANGES || c->failed;
}

/* Whether the journal is so full that there is no time to rest. */
static bool
checkpoint_hurries(const struct sq_checkpoint *c)
{
	uint64_t max, used = sq_log_used(c->cfg.log, &max);

	return used > max / 2 || sq_memory_level() >= SQ_MEMORY_PACED;
}

/* Waits 'ms'; false: stop.  Under the lock. */
static bool
checkpoint_wait(struct sq_checkpoint *c, uint64_t ms)
{
	if (!c->stop)
		(void)sq_cond_wait_until(&c->wake, &c->lock, sq_clock_ms() + ms);
	return !c->stop;
}

/* One chunk, and as long a rest if there is time. */
static uint64_t
checkpoint_turn(struct sq_checkpoint *c)
{
	uint64_t max, before = sq_log_used(c->cfg.log, &max);
	uint64_t begin = sq_clock_ms(), took, after, freed, rate;

	if (checkpoint_chunk(c) != SQ_OK)
		return RETRY_MS;
	took = sq_clock_ms() - begin;
	after = sq_log_used(c->cfg.log, &max);
	freed = before > after ? before - after : CHUNK_BYTES;
	rate = atomic_load(&c->rate);
	atomic_store(&c->rate, (rate * 7 + freed * 1000 / (took + 1)) / 8);
	return checkpoint_hurries(c) ? 0 : took;
}

void
sq_checkpoint_mark(struct sq_checkpoint *c)
{
	const struct sq_log_mark mark = sq_log_mark(c->cfg.log);
	const struct sq_table_meta meta = sq_table_meta(c->cfg.table);
	int err;

	if (mark.lsn <= meta.mark.lsn)
		return;
	err = sq_table_begin(c->cfg.table);
	if (err == SQ_OK)
		err = sq_table_put_mark(c->cfg.table, &mark);
	if (err == SQ_OK)
		err = sq_table_commit(c->cfg.table, meta.lsn);
	if (err != SQ_OK)
		sq_table_abort(c->cfg.table);
}

/* Nothing is to be written; items that were read may have to leave memory again. */
static uint64_t
checkpoint_idle(struct sq_checkpoint *c)
{
	uint64_t now_ms = sq_clock_ms();

	if (now_ms - c->marked_ms >= MARK_MS) {
		c->marked_ms = now_ms;
		sq_checkpoint_mark(c);
	}
	if (sq_memory_level() >= SQ_MEMORY_FILLED)
		c->cfg.after(c->cfg.owner, sq_table_meta(c->cfg.table).lsn);
	return POLL_MS;
}

static void *
checkpoint_main(void *arg)
{
	struct sq_checkpoint *c = arg;
	uint64_t wait_ms = POLL_MS;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		if (wait_ms > 0 && !checkpoint_wait(c, wait_ms))
			break;
		if (c->stop)
			break;
		pthread_mutex_unlock(&c->lock);
		c->cfg.tick(c->cfg.owner);
		if (c->cfg.hold != NULL)
			sq_hold_look(c->cfg.hold, c->failed);
		wait_ms = checkpoint_due(c) ? checkpoint_turn(c) : checkpoint_idle(c);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

struct sq_checkpoint *
sq_checkpoint_new(const struct sq_checkpoint_cfg *cfg)
{
	struct sq_checkpoint *c = sq_xcalloc(1, sizeof *c);

	c->cfg = *cfg;
	c->metrics = *cfg->metrics;
	atomic_init(&c->rate, RATE_FIRST);
	pthread_mutex_init(&c->lock, NULL);
	sq_cond_init(&c->wake);
	return c;
}

void
sq_checkpoint_start(struct sq_checkpoint *c)
{
	c->started = true;
	sq_thread_start(&c->thread, checkpoint_main, c);
}

uint64_t
sq_checkpoint_rate(const struct sq_checkpoint *c)
{
	return atomic_load(&c->rate);
}

void
sq_checkpoint_stop(struct sq_checkpoint *c)
{
	if (c == NULL || !c->started)
		return;
	c->started = false;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
}

void
sq_checkpoint_free(struct sq_checkpoint **cp)
{
	struct sq_checkpoint *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	assert(!c->started);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
