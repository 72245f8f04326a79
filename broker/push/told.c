#include <stdlib.h>
#include <string.h>

#include "broker/group/group.h"
#include "broker/group/watch.h"
#include "broker/push/push_priv.h"
#include "broker/subscriber/pull.h"
#include "core/mem.h"
#include "core/metrics.h"
#include "core/rfc3339.h"
#include "core/utf8.h"
#include "core/wallclock.h"
#include "net/curl/shared.h"
#include "proto/json/write.h"
#include "web/worker.h"

enum { ERROR_MAX = 159 }; /* bytes of an error that is told */

void
sq_push_tell_waits(struct sq_push *p, const char *why, uint64_t until_ms, uint64_t now_ms)
{
	struct sq_push_told *t = &p->told;
	enum sq_breaker_state breaker = sq_breaker_state(p->conf->breaker);

	atomic_store_explicit(&t->paused, p->paused, memory_order_relaxed);
	/* Written on this worker alone. */
	if (why == NULL && t->waits == NULL && t->breaker == breaker)
		return;
	pthread_mutex_lock(&t->lock);
	t->breaker = breaker;
	t->waits = why;
	t->waits_until_ms = why != NULL && until_ms > now_ms
	    ? sq_wallclock_from_mono(until_ms, now_ms)
	    : 0;
	pthread_mutex_unlock(&t->lock);
}

/* Under the lock. */
static void
told_error(struct sq_push_told *t, struct sq_bytes text)
{
	free(t->last_error);
	t->last_error = sq_xmemdup0(text.p, sq_utf8_cut(text.p, text.len, ERROR_MAX));
	t->last_error_ms = sq_clock_wall_ms();
}

void
sq_push_tell_end(struct sq_push *p, const struct sq_push_judged *j, unsigned status)
{
	static const enum sq_push_outcome as[] = {[SQ_PUSH_OK] = SQ_PUSH_COUNT_OK,
	    [SQ_PUSH_PARTLY] = SQ_PUSH_COUNT_PARTLY,
	    [SQ_PUSH_FAILED] = SQ_PUSH_COUNT_FAILED,
	    [SQ_PUSH_LATER] = SQ_PUSH_COUNT_LATER,
	    [SQ_PUSH_NEVER] = SQ_PUSH_COUNT_REFUSED,
	    [SQ_PUSH_PAUSE] = SQ_PUSH_COUNT_REFUSED};
	struct sq_push_told *t = &p->told;
	bool good = j->verdict == SQ_PUSH_OK || j->verdict == SQ_PUSH_PARTLY;

	atomic_fetch_add_explicit(&t->requests[as[j->verdict]], 1, memory_order_relaxed);
	pthread_mutex_lock(&t->lock);
	t->last_status = status;
	if (good)
		t->last_ok_ms = sq_clock_wall_ms();
	else
		told_error(t, sq_bytes_of(j->detail));
	pthread_mutex_unlock(&t->lock);
}

void
sq_push_tell_error(struct sq_push *p, const struct sq_buf *why)
{
	struct sq_push_told *t = &p->told;

	pthread_mutex_lock(&t->lock);
	told_error(t, sq_buf_bytes(why));
	pthread_mutex_unlock(&t->lock);
}

/* JSON. */

static void
told_text(struct sq_buf *out, const char *name, const char *text)
{
	sq_buf_printf(out, ",\"%s\":", name);
	sq_json_put_string(out, sq_bytes_of(text));
}

static void
told_time(struct sq_buf *out, const char *name, uint64_t wall_ms)
{
	char text[SQ_RFC3339_MAX];

	if (wall_ms == 0)
		return;
	sq_rfc3339_write((int64_t)wall_ms, text);
	told_text(out, name, text);
}

static const char *
told_breaker(enum sq_breaker_state s)
{
	return s == SQ_BREAKER_CLOSED ? "closed" : s == SQ_BREAKER_HALF ? "half" : "open";
}

void
sq_push_describe(struct sq_push *p, struct sq_buf *out)
{
	struct sq_push_told *t = &p->told;

	pthread_mutex_lock(&t->lock);
	sq_buf_printf(out, "\"state\":\"%s\",\"breaker\":\"%s\",\"inFlight\":%u",
	    t->waits != NULL ? t->waits : "ok", told_breaker(t->breaker),
	    (unsigned)atomic_load_explicit(&t->out, memory_order_relaxed));
	if (t->consent != NULL)
		told_text(out, "consent", t->consent);
	told_time(out, "waitsUntil", t->waits_until_ms);
	if (t->last_status > 0)
		sq_buf_printf(out, ",\"lastStatus\":%u", t->last_status);
	if (t->last_error != NULL)
		told_text(out, "lastError", t->last_error);
	told_time(out, "lastErrorAt", t->last_error_ms);
	told_time(out, "lastOkAt", t->last_ok_ms);
	pthread_mutex_unlock(&t->lock);
}

/* Metrics. */

enum { GAUGES = 5 };

struct told_row {
	const char *name;
	uint64_t requests[SQ_PUSH_COUNTS];
	uint64_t gauges[GAUGES];
};

static const struct {
	const char *name, *help;
} told_gauges[GAUGES] = {
    {"sqmqos_push_in_flight", "Requests of a subscriber's push that are under way."},
    {"sqmqos_push_breaker", "The breaker of its origin: 0 closed, 1 half open, 2 open."},
    {"sqmqos_push_paused", "1: it is paused."},
    {"sqmqos_subscriber_lag_messages",
	"Messages of a subscriber's push that are not done: those under way, too."},
    {"sqmqos_subscriber_lag_seconds", "How long ago the oldest of them came."},
};

static const char *const told_outcomes[] = {[SQ_PUSH_COUNT_OK] = "ok",
    [SQ_PUSH_COUNT_PARTLY] = "partly",
    [SQ_PUSH_COUNT_FAILED] = "failed",
    [SQ_PUSH_COUNT_LATER] = "later",
    [SQ_PUSH_COUNT_REFUSED] = "refused",
    [SQ_PUSH_COUNT_CANCELLED] = "cancelled"};

/* What is not done: in the queue, waiting for another attempt, or with the target.  What waits for an
 * attempt is in the queue no more, and would be missed by who looks at that alone. */
static void
told_lag(const struct sq_push *p, uint64_t now_ms, uint64_t *n, uint64_t *age_ms)
{
	const struct sq_sink *sink = &p->s->group->sink;
	struct sq_pull_counts pull = sq_pull_count(p->pull);
	uint64_t wall_ms = sq_clock_wall_ms();
	struct sq_queue_state q;

	sink->engine->ops->queue.state(sink->queue, &q);
	*n = q.n + (uint64_t)pull.again + pull.parked + pull.leased;
	if (!sq_watch_age(p->broker->watch, sink, now_ms, age_ms))
		*age_ms = 0;
	if (pull.oldest_ms > 0 && wall_ms > pull.oldest_ms && wall_ms - pull.oldest_ms > *age_ms)
		*age_ms = wall_ms - pull.oldest_ms;
}

/* Adds what is known of a push to a row.  Under the list's lock, which keeps its queue. */
static void
told_add(struct sq_push *p, uint64_t now_ms, struct told_row *row)
{
	struct sq_push_told *t = &p->told;
	uint64_t n, age_ms, level;

	for (unsigned i = 0; i < SQ_PUSH_COUNTS; i++)
		row->requests[i] += atomic_load_explicit(&t->requests[i], memory_order_relaxed);
	told_lag(p, now_ms, &n, &age_ms);
	pthread_mutex_lock(&t->lock);
	level = t->breaker;
	pthread_mutex_unlock(&t->lock);
	row->gauges[0] += atomic_load_explicit(&t->out, memory_order_relaxed);
	row->gauges[1] = level > row->gauges[1] ? level : row->gauges[1];
	row->gauges[2] += atomic_load_explicit(&t->paused, memory_order_relaxed);
	row->gauges[3] += n;
	row->gauges[4] = age_ms / 1000 > row->gauges[4] ? age_ms / 1000 : row->gauges[4];
}

static void
told_write(const struct told_row *rows, size_t n, struct sq_buf *out)
{
	sq_metrics_head(out, "sqmqos_push_requests_total", SQ_COUNTER,
	    "Requests of a subscriber's push, by what became of them.");
	for (size_t i = 0; i < n; i++) {
		for (unsigned k = 0; k < SQ_PUSH_COUNTS; k++) {
			sq_buf_printf(out, "sqmqos_push_requests_total{subscriber=\"");
			sq_metrics_label(out, rows[i].name);
			sq_buf_printf(out, "\",outcome=\"%s\"} %llu\n", told_outcomes[k],
			    (unsigned long long)rows[i].requests[k]);
		}
	}
	for (unsigned g = 0; g < GAUGES; g++) {
		sq_metrics_head(out, told_gauges[g].name, SQ_GAUGE, told_gauges[g].help);
		for (size_t i = 0; i < n; i++) {
			sq_buf_printf(out, "%s{subscriber=\"", told_gauges[g].name);
			sq_metrics_label(out, rows[i].name);
			sq_buf_printf(out, "\"} %llu\n", (unsigned long long)rows[i].gauges[g]);
		}
	}
}

void
sq_pushes_write_metrics(struct sq_pushes *all, struct sq_buf *out)
{
	size_t max = all->cfg.metrics_queues, n = 0;
	struct told_row *rows = sq_xcalloc(max + 1, sizeof *rows);
	uint64_t now_ms = sq_clock_ms();

	sq_metrics_head(out, "sqmqos_out_connections", SQ_GAUGE,
	    "Connections of requests that leave: pushes, keys of issuers.");
	sq_buf_printf(
	    out, "sqmqos_out_connections %u\n", sq_out_shared_count(all->cfg.out).connections);
	pthread_mutex_lock(&all->lock);
	SQ_LIST_FOR_EACH(p, &all->list, struct sq_push, of_all) {
		struct told_row *row;

		if (!atomic_load_explicit(&p->told.on, memory_order_relaxed))
			continue;
		row = &rows[n < max ? n++ : max];
		row->name = row == &rows[max] ? "other" : p->scope + strlen("push/");
		told_add(p, now_ms, row);
	}
	told_write(rows, rows[max].name != NULL ? max + 1 : n, out);
	pthread_mutex_unlock(&all->lock);
	free(rows);
}
