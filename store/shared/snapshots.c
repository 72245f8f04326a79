#include "store/shared/snapshots.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/msg.h"
#include "core/thread.h"

enum {
	OVERDUE = 3,    /* times as many bytes as make one due */
	REST_OWNER = 3, /* times the time of a row's write */
	REST_FOLLOWER = 1,
	HURRY_PART = 4,
};

struct sq_snapshots {
	struct sq_snapshots_cfg cfg;
	pthread_t thread;

	/* The thread's. */
	uint64_t newest;            /* number of the newest that it has seen */
	uint64_t size;              /* bytes of that */
	uint64_t base;              /* news.bytes at its record */
	uint64_t looked_ms;         /* when it looked last; 0: not yet */
	uint64_t looked_at;         /* and news.bytes then */
	uint64_t not_before_ms;     /* after a failure */
	uint64_t read_us, write_us; /* of the rows that are being written */

	pthread_mutex_t lock; /* of the members below */
	pthread_cond_t work;
	struct sq_snapshots_news news;
	bool told, stop;
	uint64_t done_ms;
};

uint64_t
sq_snapshots_due(uint64_t least, uint64_t bytes)
{
	return 2 * bytes > least ? 2 * bytes : least;
}

/* What the log tells. */

void
sq_snapshots_tell(struct sq_snapshots *s, const struct sq_snapshots_news *news)
{
	pthread_mutex_lock(&s->lock);
	s->news = *news;
	s->told = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
}

uint64_t
sq_snapshots_age_ms(struct sq_snapshots *s)
{
	uint64_t age_ms;

	pthread_mutex_lock(&s->lock);
	age_ms = sq_clock_ms() - s->done_ms;
	pthread_mutex_unlock(&s->lock);
	return age_ms;
}

/* The thread. */

static void
snapshots_news(struct sq_snapshots *s, struct sq_snapshots_news *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->news;
	pthread_mutex_unlock(&s->lock);
}

/* Rests; false: a snapshot that was begun as owner, or not, is given up. */
static bool
snapshots_goes_on(struct sq_snapshots *s, bool owns, uint64_t rest_ms)
{
	uint64_t until_ms = sq_clock_ms() + rest_ms;
	bool goes_on;

	pthread_mutex_lock(&s->lock);
	while (rest_ms > 0 && !s->stop && sq_clock_ms() < until_ms)
		(void)sq_cond_wait_until(&s->work, &s->lock, until_ms);
	goes_on = !s->stop && s->news.owns == owns;
	pthread_mutex_unlock(&s->lock);
	return goes_on;
}

/* A snapshot of that number is there: from now on the log grows on top of it. */
static void
snapshots_see(struct sq_snapshots *s, const struct sq_shared_snapshot *newest,
    const struct sq_snapshots_news *n)
{
	uint64_t behind = n->applied > newest->lsn ? n->applied - newest->lsn : 0;
	uint64_t grown = 0;

	if (newest->n == s->newest && s->looked_ms != 0)
		return;
	/* What came before the open is guessed from what has come since. */
	if (n->records != 0)
		grown = behind >= n->records
		    ? (uint64_t)((double)n->bytes / (double)n->records * (double)behind)
		    : n->bytes / n->records * behind;
	s->base = n->bytes - grown; /* modulo 2^64 */
	if (newest->n != s->newest && s->looked_ms != 0) {
		pthread_mutex_lock(&s->lock);
		s->done_ms = sq_clock_ms();
		pthread_mutex_unlock(&s->lock);
	}
	s->newest = newest->n;
	s->size = newest->bytes;
}

static bool
snapshots_is_due(const struct sq_snapshots *s, const struct sq_snapshots_news *n)
{
	uint64_t grown = n->bytes - s->base;
	uint64_t due = sq_snapshots_due(s->cfg.bytes, s->size);

	switch (n->turn) {
	case SQ_SNAPSHOTS_NONE:
		return false;
	case SQ_SNAPSHOTS_SPARE:
		return grown > OVERDUE * due;
	case SQ_SNAPSHOTS_OWNER:
	case SQ_SNAPSHOTS_FOLLOWER:
		return grown > due;
	}
	return false;
}

/* The rows of one; why not: a line in 'err', without one it was given up. */
static bool
snapshots_put_all(struct sq_snapshots *s, struct sq_shared *conn, struct sq_rows *rows,
    const struct sq_shared_snapshot *head, bool owns, struct sq_buf *err)
{
	unsigned times = owns ? REST_OWNER : REST_FOLLOWER;
	struct sq_buf row = {0};
	bool good = true;

	for (uint32_t i = 0; good; i++) {
		uint64_t begun_us = sq_clock_us(), read_us;

		sq_buf_drain(&row, sq_buf_len(&row));
		good = s->cfg.rows->next(rows, &row, err) == SQ_OK;
		read_us = sq_clock_us() - begun_us;
		s->read_us += read_us;
		if (!good || sq_buf_len(&row) == 0)
			break;
		if (s->cfg.driver->snap_put(conn, head->n, i, sq_buf_bytes(&row)) !=
		    SQ_SHARED_DONE) {
			sq_buf_printf(err, "%s", s->cfg.driver->error(conn));
			good = false;
			break;
		}
		SQ_FAULT("snapshot-row");
		s->write_us += sq_clock_us() - begun_us - read_us;
		good = snapshots_goes_on(s, owns, times * (sq_clock_us() - begun_us) / 1000);
	}
	sq_buf_fini(&row);
	return good;
}

static bool
snapshots_put(struct sq_snapshots *s, struct sq_shared *conn, struct sq_rows *rows,
    struct sq_shared_snapshot *head, bool owns, struct sq_buf *err)
{
	struct sq_rows_sum sum;
	bool good;

	s->read_us = s->write_us = 0;
	if (s->cfg.driver->snap_begin(conn, head) != SQ_SHARED_DONE) {
		sq_buf_printf(err, "%s", s->cfg.driver->error(conn));
		return false;
	}
	if (!snapshots_put_all(s, conn, rows, head, owns, err))
		return false;
	s->cfg.rows->sum(rows, &sum);
	head->bytes = sum.bytes;
	head->format = sum.format;
	memcpy(head->sha256, sum.sha256, sizeof head->sha256);
	good = s->cfg.driver->snap_done(conn, head) == SQ_SHARED_DONE;
	if (!good)
		sq_buf_printf(err, "%s", s->cfg.driver->error(conn));
	return good;
}

static void
snapshots_write(struct sq_snapshots *s, struct sq_shared *conn,
    const struct sq_shared_snapshot *newest, const struct sq_snapshots_news *n)
{
	struct sq_shared_snapshot head = {0};
	struct sq_snapshots_news now;
	struct sq_buf err = {0};
	struct sq_rows *rows = NULL;
	uint64_t begun_ms = sq_clock_ms();
	bool good = s->cfg.rows->open(s->cfg.rows_owner, &rows, &head.lsn, &err) == SQ_OK;

	if (good && head.lsn <= newest->lsn) {
		s->cfg.rows->close(&rows); /* the tables have nothing new yet */
		return;
	}
	good = good && snapshots_put(s, conn, rows, &head, n->owns, &err);
	s->cfg.rows->close(&rows);
	if (good)
		SQ_INFO("log",
		    "snapshot %" PRIu64 " of record %" PRIu64 ", %" PRIu64 " bytes, is done after "
		    "%" PRIu64 " ms: reading took %" PRIu64 " ms, writing %" PRIu64 " ms",
		    head.n, head.lsn, head.bytes, sq_clock_ms() - begun_ms, s->read_us / 1000,
		    s->write_us / 1000);
	else if (sq_buf_len(&err) > 0)
		SQ_WARN("log", "the snapshot of record %" PRIu64 " is given up: %.*s", head.lsn,
		    (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	snapshots_news(s, &now);
	if (good)
		snapshots_see(s, &head, &now);
	else
		s->not_before_ms = sq_clock_ms() + SQ_SNAPSHOTS_EVERY_MS;
	sq_buf_fini(&err);
}

static void
snapshots_look(struct sq_snapshots *s, const struct sq_snapshots_news *n)
{
	struct sq_shared_snapshot newest = {0};
	struct sq_shared *conn = NULL;
	struct sq_buf err = {0};
	bool good = s->cfg.driver->dial(&conn, s->cfg.driver_cfg, SQ_SNAPSHOTS_DEADLINE_MS, &err) ==
		SQ_OK &&
	    s->cfg.driver->snap_newest(conn, &newest, NULL) == SQ_SHARED_DONE;

	/* The log's thread says why the log can't be reached. */
	if (good) {
		snapshots_see(s, &newest, n);
		s->looked_ms = sq_clock_ms();
		if (s->looked_ms >= s->not_before_ms && snapshots_is_due(s, n))
			snapshots_write(s, conn, &newest, n);
	}
	s->looked_ms = sq_clock_ms();
	s->looked_at = n->bytes;
	s->cfg.driver->hang_up(&conn);
	sq_buf_fini(&err);
}

/* Whether it is time for a look. */
static bool
snapshots_is_time(const struct sq_snapshots *s, const struct sq_snapshots_news *n)
{
	uint64_t since_ms = sq_clock_ms() - s->looked_ms;

	if (s->looked_ms == 0 || since_ms >= SQ_SNAPSHOTS_EVERY_MS)
		return true;
	return since_ms >= SQ_SNAPSHOTS_HURRY_MS &&
	    n->bytes - s->looked_at > s->cfg.bytes / HURRY_PART;
}

static void *
snapshots_run(void *arg)
{
	struct sq_snapshots *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct sq_snapshots_news n;

		while (!s->told && !s->stop)
			pthread_cond_wait(&s->work, &s->lock);
		if (s->stop)
			break;
		s->told = false;
		n = s->news;
		pthread_mutex_unlock(&s->lock);
		if (snapshots_is_time(s, &n))
			snapshots_look(s, &n);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Life */

struct sq_snapshots *
sq_snapshots_new(const struct sq_snapshots_cfg *cfg)
{
	struct sq_snapshots *s = sq_xcalloc(1, sizeof *s);

	s->cfg = *cfg;
	s->done_ms = sq_clock_ms();
	pthread_mutex_init(&s->lock, NULL);
	sq_cond_init(&s->work);
	sq_thread_start(&s->thread, snapshots_run, s);
	return s;
}

void
sq_snapshots_free(struct sq_snapshots **sp)
{
	struct sq_snapshots *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->work);
	free(s);
}
