/* What the shared log tells its owner: records, its end, and that commits wait. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/histogram.h"
#include "core/log.h"
#include "core/thread.h"
#include "store/shared/log_shared_priv.h"
#include "store/shared/trial.h"

static void
tell_stall(struct sq_log_shared *s, const char *why, bool begin)
{
	struct sq_log_shared_tell *t = &s->tell;

	pthread_mutex_lock(&t->lock);
	if (t->stalled ? strcmp(t->why, why) != 0 : begin) {
		t->stalled = true;
		snprintf(t->why, sizeof t->why, "%s", why);
		s->cfg.stalled(s->cfg.owner, t->why);
	}
	pthread_mutex_unlock(&t->lock);
}

void
sq_log_shared_stall(struct sq_log_shared *s, const char *why)
{
	tell_stall(s, why, true);
}

void
sq_log_shared_stall_on(struct sq_log_shared *s, const char *why)
{
	tell_stall(s, why, false);
}

static void
tell_goes_on(struct sq_log_shared *s)
{
	struct sq_log_shared_tell *t = &s->tell;

	pthread_mutex_lock(&t->lock);
	if (t->stalled) {
		t->stalled = false;
		s->cfg.stalled(s->cfg.owner, NULL);
	}
	pthread_mutex_unlock(&t->lock);
}

/* Under the lock.  The record is part of the log, and so of what is in use. */
static void
tell_note(struct sq_log_shared *s, struct sq_log_mark mark, uint64_t bytes)
{
	struct sq_log_shared_known *k = &s->known;

	k->mark = mark;
	sq_used_add(&k->used, mark.lsn, bytes);
	s->run.segment.bytes += bytes;
	s->run.care.bytes += bytes;
	s->run.care.records++;
}

void
sq_log_shared_commit(struct sq_log_shared *s, bool found)
{
	struct sq_log_batch *b = &s->run.batch;
	const struct sq_log_mark mark = {b->lsn, b->chain};
	uint64_t bytes = sq_buf_len(&b->record), now_ms = 0, took_us;
	struct sq_list entries;

	sq_list_init(&entries);
	took_us = sq_log_batch_done(b, &entries, sq_clock_us());
	if (s->cfg.file.commits != NULL)
		sq_histogram_observe(s->cfg.file.commits, took_us);
	pthread_mutex_lock(&s->lock);
	tell_note(s, mark, bytes);
	s->known.counts.records++;
	s->known.counts.bytes += bytes;
	s->known.counts.unknown_found += found;
	s->queue.unanswered_ms = 0;
	pthread_mutex_unlock(&s->lock);
	tell_goes_on(s);
	sq_trial_applies(mark.lsn, mark.chain, true);
	(void)s->cfg.applied(s->cfg.owner, mark.lsn, (struct sq_bytes){0}, &entries);
	pthread_mutex_lock(&s->lock);
	if (!sq_list_empty(&s->queue.pending)) {
		s->queue.unanswered_ms = now_ms = sq_clock_ms();
		if (s->queue.watch_idle)
			pthread_cond_signal(&s->late);
	}
	atomic_store_explicit(&s->since_ms, now_ms, memory_order_relaxed);
	pthread_mutex_unlock(&s->lock);
}

int
sq_log_shared_apply(
    struct sq_log_shared *s, uint64_t lsn, uint64_t chain, struct sq_bytes data, size_t size)
{
	struct sq_log_mark before;
	int rc;

	pthread_mutex_lock(&s->lock);
	before = s->known.mark;
	s->known.mark = (struct sq_log_mark){lsn, chain};
	pthread_mutex_unlock(&s->lock);
	sq_trial_applies(lsn, chain, false);
	rc = s->cfg.applied(s->cfg.owner, lsn, data, NULL);
	pthread_mutex_lock(&s->lock);
	if (rc == SQ_OK)
		tell_note(s, s->known.mark, size);
	else
		s->known.mark = before;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void
sq_log_shared_end(struct sq_log_shared *s)
{
	struct sq_list back;

	sq_list_init(&back);
	pthread_mutex_lock(&s->lock);
	s->queue.ended = true;
	s->queue.unanswered_ms = 0;
	sq_log_batch_back(&s->run.batch, &s->queue.pending);
	sq_list_splice(&back, &s->queue.pending);
	atomic_store_explicit(&s->since_ms, 0, memory_order_relaxed);
	pthread_mutex_unlock(&s->lock);
	s->cfg.role(s->cfg.owner, SQ_LOG_FENCED, sq_rule_epoch(s->run.rule), &back);
}

/* The watch */

/* An append has waited since 'since_ms', unless the log goes on meanwhile. */
static void
watch_tell(struct sq_log_shared *s, uint64_t since_ms)
{
	struct sq_log_shared_tell *t = &s->tell;
	bool late;

	pthread_mutex_lock(&t->lock);
	pthread_mutex_lock(&s->lock);
	late = s->queue.unanswered_ms == since_ms && !t->stalled;
	if (late)
		snprintf(t->why, sizeof t->why, "%s",
		    s->known.look.why[0] != '\0' ? s->known.look.why : "the log does not answer");
	pthread_mutex_unlock(&s->lock);
	if (late) {
		t->stalled = true;
		s->cfg.stalled(s->cfg.owner, t->why);
	}
	pthread_mutex_unlock(&t->lock);
}

void *
sq_log_shared_watch(void *arg)
{
	struct sq_log_shared *s = arg;
	struct sq_log_shared_queue *q = &s->queue;

	pthread_mutex_lock(&s->lock);
	while (!q->watch_stop) {
		uint64_t since_ms = q->unanswered_ms, now_ms = sq_clock_ms();

		if (since_ms == 0) {
			q->watch_idle = true;
			pthread_cond_wait(&s->late, &s->lock);
			q->watch_idle = false;
		} else if (now_ms < since_ms + SQ_LOG_SHARED_LATE_MS) {
			(void)sq_cond_wait_until(
			    &s->late, &s->lock, since_ms + SQ_LOG_SHARED_LATE_MS);
		} else {
			pthread_mutex_unlock(&s->lock);
			watch_tell(s, since_ms);
			pthread_mutex_lock(&s->lock);
			if (!q->watch_stop)
				(void)sq_cond_wait_until(
				    &s->late, &s->lock, now_ms + SQ_LOG_SHARED_LATE_MS);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}
