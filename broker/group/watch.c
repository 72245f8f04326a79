#include "broker/group/watch.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/group/declared_depth.h"
#include "broker/shard/source.h"
#include "broker/metrics/metrics.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	SHOWN = 20,
	SLICE = 1024, /* queues in one tick */
	LOCKED = 64,  /* of these, under one lock */
	PASS_MS = 1000,
	MARKS = 16,
};

/* By that time a queue's newest message had this seq. */
struct mark {
	uint64_t seq, ms;
};

struct sq_watched_queue {
	struct sq_list node;
	struct sq_sink *sink;
	bool wanted;
	bool declared;
	bool logged; /* that nobody takes from it */
	uint8_t n_marks;
	struct mark *marks; /* ascending; NULL: nothing waits */
};

struct shown {
	char *name;
	uint64_t n, age_ms;
	unsigned members;
};

/* The fullest first. */
struct top {
	struct shown v[SHOWN];
	size_t n;
};

struct sq_watch {
	const struct sq_metrics *metrics;
	uint64_t lonely_ms;
	size_t max_declared; /* shown by name */
	pthread_mutex_t lock;
	struct sq_list queues; /* struct sq_watched_queue, and the cursor */
	struct sq_list cursor; /* behind those that this pass has looked at */
	bool passing;
	uint64_t begun_ms; /* the last pass */
	size_t n_lonely;   /* in this pass so far */
	struct top next;   /* the same */
	struct sq_declared_depths next_declared;
	pthread_mutex_t top_lock; /* of 'top' and 'declared': no loop works with it held */
	struct top top;
	struct sq_declared_depths declared;
	struct sq_watch_user user;
};

struct sq_watch *
sq_watch_new(const struct sq_metrics *metrics, uint64_t lonely_ms, size_t declared)
{
	struct sq_watch *w = sq_xcalloc(1, sizeof *w);

	w->metrics = metrics;
	w->lonely_ms = lonely_ms;
	w->max_declared = declared;
	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->top_lock, NULL);
	sq_list_init(&w->queues);
	sq_list_init(&w->cursor);
	return w;
}

void
sq_watch_tell(struct sq_watch *w, struct sq_watch_user user)
{
	w->user = user;
}

static void
top_clear(struct top *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].name);
	t->n = 0;
}

void
sq_watch_free(struct sq_watch **wp)
{
	struct sq_watch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	sq_list_remove(&w->cursor);
	assert(sq_list_empty(&w->queues));
	top_clear(&w->next);
	top_clear(&w->top);
	sq_declared_depths_clear(&w->next_declared);
	sq_declared_depths_clear(&w->declared);
	pthread_mutex_destroy(&w->top_lock);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void
sq_watch_add(struct sq_watch *w, struct sq_sink *sink, bool wanted)
{
	struct sq_watched_queue *q = sq_xcalloc(1, sizeof *q);

	assert(sink->watched == NULL && sink->source != NULL);
	q->sink = sink;
	q->wanted = wanted;
	sink->watched = q;
	pthread_mutex_lock(&w->lock);
	sq_list_push_back(&w->queues, &q->node);
	pthread_mutex_unlock(&w->lock);
}

void
sq_watch_declared(struct sq_watch *w, struct sq_sink *sink)
{
	pthread_mutex_lock(&w->lock);
	sink->watched->declared = true;
	pthread_mutex_unlock(&w->lock);
}

void
sq_watch_remove(struct sq_watch *w, struct sq_sink *sink)
{
	struct sq_watched_queue *q = sink->watched;

	if (q == NULL)
		return;
	sink->watched = NULL;
	pthread_mutex_lock(&w->lock);
	sq_list_remove(&q->node);
	pthread_mutex_unlock(&w->lock);
	free(q->marks);
	free(q);
}

bool
sq_watch_age(struct sq_watch *w, const struct sq_sink *sink, uint64_t now_ms, uint64_t *age_ms)
{
	const struct sq_watched_queue *q = sink->watched;

	if (q == NULL)
		return false;
	pthread_mutex_lock(&w->lock);
	*age_ms = q->n_marks > 0 && now_ms > q->marks[0].ms ? now_ms - q->marks[0].ms : 0;
	pthread_mutex_unlock(&w->lock);
	return true;
}

/* Age: a mark notes when the newest message was first seen, so the first mark that is not
 * before the oldest message tells since when that has been there at least. */

static void
marks_add(struct sq_watched_queue *q, uint64_t seq, uint64_t now_ms)
{
	if (q->marks == NULL)
		q->marks = sq_xcalloc(MARKS, sizeof(*q->marks));
	if (q->n_marks == MARKS) { /* of each two the later stays: it says less */
		for (int i = 1; i < MARKS / 2; i++)
			q->marks[i] = q->marks[2 * i + 1];
		q->n_marks = MARKS / 2;
	}
	q->marks[q->n_marks++] = (struct mark){seq, now_ms};
}

static uint64_t
watched_age_ms(struct sq_watched_queue *q, const struct sq_queue_state *state, uint64_t now_ms)
{
	int old = 0;

	if (state->n == 0) {
		free(q->marks);
		q->marks = NULL;
		q->n_marks = 0;
		return 0;
	}
	if (q->n_marks == 0 || q->marks[q->n_marks - 1].seq < state->last)
		marks_add(q, state->last, now_ms);
	while (old < q->n_marks - 1 && q->marks[old].seq < state->first)
		old++;
	q->n_marks = (uint8_t)(q->n_marks - old);
	memmove(q->marks, q->marks + old, q->n_marks * sizeof(*q->marks));
	return now_ms - q->marks[0].ms;
}

/* Enters a queue where it is among the fullest. */
static void
top_enter(struct top *t, const char *name, const struct sq_queue_state *state, uint64_t age_ms)
{
	size_t at = t->n;

	while (at > 0 && t->v[at - 1].n < state->n)
		at--;
	if (at == SHOWN)
		return;
	if (t->n == SHOWN)
		free(t->v[--t->n].name);
	memmove(t->v + at + 1, t->v + at, (t->n - at) * sizeof(t->v[0]));
	t->n++;
	t->v[at] = (struct shown){sq_xstrdup(name), state->n, age_ms, state->takers};
}

static void
watched_lonely(struct sq_watch *w, struct sq_watched_queue *q, const struct sq_queue_state *state,
    uint64_t now_ms)
{
	bool lonely = q->wanted && w->lonely_ms > 0 && state->lonely_since_ms != 0 &&
	    now_ms >= state->lonely_since_ms + w->lonely_ms;

	w->n_lonely += lonely;
	if (lonely && !q->logged)
		SQ_WARN("broker",
		    "queue %s: for %llu s nobody has been there to take from it, "
		    "%llu messages wait",
		    sq_source_name(q->sink->source),
		    (unsigned long long)((now_ms - state->lonely_since_ms) / 1000),
		    (unsigned long long)state->n);
	q->logged = lonely;
}

static void
watched_look(struct sq_watch *w, struct sq_watched_queue *q, uint64_t now_ms)
{
	struct sq_queue_state state;
	uint64_t age_ms;

	q->sink->engine->ops->queue.state(q->sink->queue, &state);
	age_ms = watched_age_ms(q, &state, now_ms);
	top_enter(&w->next, sq_source_name(q->sink->source), &state, age_ms);
	if (q->declared)
		sq_declared_depths_add(&w->next_declared, w->max_declared,
		    sq_source_name(q->sink->source), &state, age_ms);
	watched_lonely(w, q, &state, now_ms);
	if (w->user.looked != NULL)
		w->user.looked(w->user.arg, sq_source_tenant(q->sink->source), &state);
}

/* Some under one lock; false: that was the end of the pass. */
static bool
watch_some(struct sq_watch *w, uint64_t now_ms)
{
	for (int i = 0; i < LOCKED; i++) {
		struct sq_list *at = w->cursor.next;

		if (at == &w->queues)
			return false;
		sq_list_remove(&w->cursor);
		sq_list_insert(at->next, &w->cursor);
		watched_look(w, SQ_CONTAINER_OF(at, struct sq_watched_queue, node), now_ms);
	}
	return true;
}

static void
watch_end_pass(struct sq_watch *w)
{
	struct sq_declared_depths old_declared;
	struct top old;

	pthread_mutex_lock(&w->top_lock);
	old = w->top;
	w->top = w->next;
	old_declared = w->declared;
	w->declared = w->next_declared;
	pthread_mutex_unlock(&w->top_lock);
	top_clear(&old);
	sq_declared_depths_clear(&old_declared);
	w->next.n = 0;
	w->next_declared = (struct sq_declared_depths){0};
	w->passing = false;
	sq_metric_set(w->metrics, SQ_M_QUEUES_LONELY, (int64_t)w->n_lonely);
	if (w->user.passed != NULL)
		w->user.passed(w->user.arg);
}

void
sq_watch_tick(struct sq_watch *w, uint64_t now_ms)
{
	if (!w->passing && now_ms - w->begun_ms < PASS_MS)
		return;
	for (int n = 0; n < SLICE; n += LOCKED) {
		pthread_mutex_lock(&w->lock);
		if (!w->passing) {
			w->passing = true;
			w->begun_ms = now_ms;
			w->n_lonely = 0;
			sq_list_remove(&w->cursor);
			sq_list_push_front(&w->queues, &w->cursor);
		}
		if (!watch_some(w, now_ms))
			watch_end_pass(w);
		pthread_mutex_unlock(&w->lock);
		if (!w->passing)
			return;
	}
}

void
sq_watch_write(struct sq_watch *w, struct sq_buf *out)
{
	static const struct {
		const char *name, *help;
	} families[] = {
	    {"sqmqos_queue_depth", "Messages that wait in the fullest queues."},
	    {"sqmqos_queue_age_seconds", "How long the oldest of them has been seen waiting."},
	    {"sqmqos_queue_members", "Sessions that are there to take from the queue."},
	};

	pthread_mutex_lock(&w->top_lock);
	for (size_t f = 0; f < SQ_ARRAY_LEN(families); f++) {
		sq_metrics_head(out, families[f].name, SQ_GAUGE, families[f].help);
		for (size_t i = 0; i < w->top.n; i++) {
			const struct shown *q = &w->top.v[i];
			uint64_t values[] = {q->n, q->age_ms / 1000, q->members};

			sq_buf_printf(out, "%s{queue=\"", families[f].name);
			sq_metrics_label(out, q->name);
			sq_buf_printf(out, "\"} %llu\n", (unsigned long long)values[f]);
		}
	}
	sq_declared_depths_write(&w->declared, out);
	pthread_mutex_unlock(&w->top_lock);
}
