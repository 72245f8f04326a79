/* Rings of spans; see core/spans.h.
 *
 * A ring is a thread's for good: it stays until sq_spans_stop(), so that the reader may have it
 * whenever it wants.  'head' is the writer's and 'tail' the reader's; each counts up, and its low
 * bits are the place. */
#include "core/spans.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/utf8.h"

enum { RINGS_MAX = 256 };

struct ring {
	struct sq_trace_random random;
	atomic_size_t head, tail;
	size_t size;
	struct sq_span spans[];
};

atomic_bool sq_spans_are_on;

static size_t ring_size;
static atomic_uint generation; /* of rings: a thread's from before is not used any more */
static atomic_uint n_rings;    /* given out; may exceed RINGS_MAX */
static _Atomic(struct ring *) rings[RINGS_MAX];
static atomic_uint_fast64_t recorded, dropped;

static _Thread_local struct ring *own;
static _Thread_local unsigned own_generation;

void
sq_spans_start(size_t per_thread)
{
	assert(per_thread > 0 && (per_thread & (per_thread - 1)) == 0);
	ring_size = per_thread;
	atomic_fetch_add(&generation, 1);
	atomic_store(&recorded, 0);
	atomic_store(&dropped, 0);
	atomic_store(&sq_spans_are_on, true);
}

void
sq_spans_stop(void)
{
	atomic_store(&sq_spans_are_on, false);
	atomic_fetch_add(&generation, 1);
	for (size_t i = 0; i < RINGS_MAX; i++)
		free(atomic_exchange(&rings[i], NULL));
	atomic_store(&n_rings, 0);
}

static struct ring *
ring_make(void)
{
	unsigned at = atomic_fetch_add(&n_rings, 1);
	struct ring *r;

	if (at >= RINGS_MAX)
		return NULL;
	r = sq_xcalloc(1, sizeof *r + ring_size * sizeof r->spans[0]);
	r->size = ring_size;
	sq_trace_seed(&r->random, sq_random_u64());
	atomic_store_explicit(&rings[at], r, memory_order_release);
	return r;
}

/* The ring of this thread; NULL: it has none. */
static struct ring *
ring_own(void)
{
	unsigned now = atomic_load_explicit(&generation, memory_order_relaxed);

	if (own_generation != now) {
		own_generation = now;
		own = ring_make();
	}
	return own;
}

void
sq_span_drop(void)
{
	atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
}

struct sq_span *
sq_span_new(enum sq_span_what what, const struct sq_trace *t, uint64_t began_us)
{
	struct ring *r;
	struct sq_span *s;
	size_t head;

	if (!sq_spans_on() || !t->sampled)
		return NULL;
	r = ring_own();
	head = r != NULL ? atomic_load_explicit(&r->head, memory_order_relaxed) : 0;
	if (r == NULL || head - atomic_load_explicit(&r->tail, memory_order_acquire) == r->size) {
		sq_span_drop();
		return NULL;
	}
	s = &r->spans[head & (r->size - 1)];
	*s = (struct sq_span){.what = (uint8_t)what};
	memcpy(s->trace, t->id, sizeof s->trace);
	memcpy(s->parent, t->span, sizeof s->parent);
	sq_trace_span(&r->random, s->id);
	s->end_us = sq_clock_wall_us();
	s->start_us = s->end_us - (sq_clock_us() - began_us);
	return s;
}

void
sq_span_text(char *out, size_t max, struct sq_bytes text)
{
	size_t len = sq_utf8_cut(text.p, text.len, max - 1);

	if (len > 0)
		memcpy(out, text.p, len);
	out[len] = '\0';
}

void
sq_span_message(struct sq_span *s, struct sq_bytes topic, size_t body_bytes, unsigned qos)
{
	sq_span_text(s->topic, sizeof s->topic, topic);
	s->body_bytes = (uint32_t)body_bytes;
	s->qos = (uint8_t)qos;
}

void
sq_span_record(struct sq_span *s)
{
	size_t head = atomic_load_explicit(&own->head, memory_order_relaxed);

	assert(s == &own->spans[head & (own->size - 1)]);
	atomic_store_explicit(&own->head, head + 1, memory_order_release);
	atomic_fetch_add_explicit(&recorded, 1, memory_order_relaxed);
}

static size_t
ring_take(struct ring *r, struct sq_span *out, size_t max)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	size_t n = atomic_load_explicit(&r->head, memory_order_acquire) - tail;

	n = n < max ? n : max;
	for (size_t i = 0; i < n; i++)
		out[i] = r->spans[(tail + i) & (r->size - 1)];
	atomic_store_explicit(&r->tail, tail + n, memory_order_release);
	return n;
}

size_t
sq_spans_take(struct sq_span *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < RINGS_MAX && n < max; i++) {
		struct ring *r = atomic_load_explicit(&rings[i], memory_order_acquire);

		if (r == NULL)
			break;
		n += ring_take(r, out + n, max - n);
	}
	return n;
}

uint64_t
sq_spans_recorded(void)
{
	return atomic_load_explicit(&recorded, memory_order_relaxed);
}

uint64_t
sq_spans_dropped(void)
{
	return atomic_load_explicit(&dropped, memory_order_relaxed);
}
