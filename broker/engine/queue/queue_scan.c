/* Scans: a look at head, gap and tail in the order of seqs.  What is in the store alone is read by the
 * store's thread, without the lock, and merged with the rest under it. */
#include <assert.h>
#include <stdlib.h>

#include "broker/engine/queue/queue_priv.h"
#include "core/mem.h"
#include "web/worker.h"

static void
scan_run(struct sq_task *t)
{
	struct sq_scan *s = SQ_CONTAINER_OF(t, struct sq_scan, task);

	s->done(s, s->err);
}

void
sq_queue_scan_end(struct sq_scan *s, int err)
{
	struct sq_queue *q = s->queue;

	s->queue = NULL;
	s->err = err;
	sq_worker_post(s->worker, &s->task);
	sq_queue_unref(q);
}

/* The next item of a ring up to 'upto'; NULL: there is none. */
static const struct sq_item *
scan_of_ring(const struct sq_ring *r, uint32_t at, uint64_t upto)
{
	const struct sq_item *item = at < r->n ? sq_ring_at(r, at) : NULL;

	return item != NULL && item->seq <= upto ? item : NULL;
}

/* The next of what was read that is in the gap still; NULL: there is none. */
static const struct sq_item *
scan_of_store(
    const struct sq_queue *q, const struct sq_item *read, size_t n, size_t *i, uint64_t next)
{
	while (*i < n && (read[*i].seq < next || sq_gap_skips(&q->gap, read[*i].seq)))
		(*i)++;
	return *i < n ? &read[*i] : NULL;
}

/* Adds a copy of the item; false: the scan is full, and goes on with it another time. */
static bool
scan_take(struct sq_scan *s, const struct sq_item *item)
{
	struct sq_item *out = &s->items[s->n];
	uint32_t bytes = sq_item_bytes(item);

	s->full = s->n == s->max_items || (s->n > 0 && s->bytes + bytes > s->max_bytes);
	s->more = s->full;
	s->next = item->seq;
	if (s->full)
		return false;
	*out = *item;
	out->msg = sq_msg_ref(item->msg);
	out->subs = NULL;
	s->bytes += bytes;
	s->n++;
	s->next++;
	return true;
}

static const struct sq_item *
scan_first(const struct sq_item *a, const struct sq_item *b)
{
	return a != NULL && (b == NULL || a->seq <= b->seq) ? a : b;
}

/* Adds what waits up to 'upto', with the 'n' items that were read from the gap; under the lock. */
static void
scan_merge(
    struct sq_queue *q, struct sq_scan *s, const struct sq_item *read, size_t n, uint64_t upto)
{
	uint32_t head = sq_ring_seek(&q->head, s->next), tail = sq_ring_seek(&q->tail, s->next);
	uint64_t from = s->next;
	size_t i = 0;

	for (;;) {
		const struct sq_item *h = scan_of_ring(&q->head, head, upto);
		const struct sq_item *t = scan_of_ring(&q->tail, tail, upto);
		const struct sq_item *g = scan_of_store(q, read, n, &i, from);
		const struct sq_item *first = scan_first(h, scan_first(g, t));

		if (first == NULL)
			break;
		if (!scan_take(s, first))
			return;
		head += first == h;
		tail += first == t;
		i += first == g;
	}
	if (upto != UINT64_MAX)
		s->next = upto + 1;
}

/* Whether the gap may have something for the scan; under the lock. */
static bool
scan_in_gap(const struct sq_queue *q, const struct sq_scan *s)
{
	return q->gap.open && q->gap.to >= s->next;
}

bool
sq_queue_scan_reads(struct sq_queue *q, struct sq_scan *s, struct sq_scan_read *r)
{
	bool reads;

	pthread_mutex_lock(&q->lock);
	reads = !s->full && !q->deleted && scan_in_gap(q, s);
	if (q->deleted)
		s->err = SQ_ECLOSED;
	else if (reads)
		*r = (struct sq_scan_read){
		    .gap_from = q->gap.from,
		    .from = q->gap.from > s->next ? q->gap.from : s->next,
		    .to = q->gap.to,
		};
	else if (!s->full)
		scan_merge(q, s, NULL, 0, UINT64_MAX);
	pthread_mutex_unlock(&q->lock);
	return reads;
}

void
sq_queue_scan_add(struct sq_queue *q, struct sq_scan *s, const struct sq_scan_read *r,
    struct sq_item *read, size_t n, uint64_t upto)
{
	pthread_mutex_lock(&q->lock);
	/* Otherwise some of the head have gone to the gap, or all have come from there: once more. */
	if (q->gap.open && q->gap.from == r->gap_from) {
		for (size_t i = 0; i < n; i++)
			read[i].attempts = sq_gap_attempts(&q->gap, read[i].seq, read[i].attempts);
		scan_merge(q, s, read, n, upto);
	}
	pthread_mutex_unlock(&q->lock);
}

void
sq_queue_scan(struct sq_queue *q, struct sq_scan *s)
{
	struct sq_scan_read r;

	assert(s->max_items > 0 && s->max_items <= SQ_SCAN_MAX);
	s->items = sq_xmalloc(s->max_items * sizeof *s->items);
	s->n = 0;
	s->bytes = 0;
	s->full = s->more = false;
	s->next = s->from;
	s->err = SQ_OK;
	s->task = (struct sq_task){.run = scan_run};
	s->queue = sq_queue_ref(q);
	if (sq_queue_scan_reads(q, s, &r))
		q->store->scan(s);
	else
		sq_queue_scan_end(s, s->err);
}
