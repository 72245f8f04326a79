/* Queues of an engine with a store: items that wait at a start, reads of the gap, and items that
 * leave memory for it. */
#include <stdlib.h>
#include <string.h>

#include "broker/engine/queue/queue_priv.h"
#include "core/mem.h"
#include "core/memory.h"

/* Where 'seq' stands among those that the gap leaves out, or would. */
static size_t
gap_find(const struct sq_gap *gap, uint64_t seq)
{
	size_t lo = 0, hi = gap->n_skip;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (gap->skip[mid] < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void
sq_gap_skip(struct sq_gap *gap, uint64_t seq)
{
	size_t at = gap_find(gap, seq);

	gap->skip = sq_xrealloc(gap->skip, (gap->n_skip + 1) * sizeof(*gap->skip));
	memmove(gap->skip + at + 1, gap->skip + at, (gap->n_skip - at) * sizeof(*gap->skip));
	gap->skip[at] = seq;
	gap->n_skip++;
}

uint16_t
sq_gap_attempts(const struct sq_gap *gap, uint64_t seq, uint16_t stored)
{
	size_t lo = 0, hi = gap->n_tried;

	while (lo < hi) { /* behind the last of that seq */
		size_t mid = (lo + hi) / 2;

		if (gap->tried[mid].seq <= seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || gap->tried[lo - 1].seq != seq || gap->tried[lo - 1].attempts < stored)
		return stored;
	return gap->tried[lo - 1].attempts;
}

/* The gap has been read to its end: the items behind it are next; under the lock. */
static void
queue_close_gap(struct sq_queue *q)
{
	while (q->tail.n > 0) {
		struct sq_item item = sq_ring_pop(&q->tail);

		sq_ring_push_sorted(&q->head, &item);
	}
	q->head_bytes = q->bytes;
	q->gap.open = false;
	q->gap.n = q->gap.bytes = 0; /* claims may still ask what it has left out */
}

void
sq_queue_restore(struct sq_queue *q, const struct sq_gap *gap, struct sq_ring *tail)
{
	pthread_mutex_lock(&q->lock);
	q->gap = *gap;
	q->last_seq = gap->to;
	if (gap->n_skip > 0)
		sq_queue_handed(q, gap->skip[gap->n_skip - 1]);
	/* Those behind the gap are in the tables with fewer attempts, or come there. */
	if (gap->n_tried > 0 && gap->tried[gap->n_tried - 1].seq > gap->to)
		sq_queue_handed(q, gap->tried[gap->n_tried - 1].seq);
	for (uint32_t i = 0; i < tail->n; i++) {
		sq_queue_hold(q, sq_item_bytes(sq_ring_at(tail, i)));
		q->last_seq = sq_ring_at(tail, i)->seq;
	}
	sq_queue_count(q, (int64_t)(tail->n + gap->n), (int64_t)(q->bytes + gap->bytes));
	q->tail = *tail;
	*tail = (struct sq_ring){0};
	q->yielding.over = q->tail.n + q->gap.n;
	if (!q->gap.open)
		queue_close_gap(q);
	pthread_mutex_unlock(&q->lock);
}

bool
sq_queue_claim(struct sq_queue *q, uint64_t seq, struct sq_item *out)
{
	bool found, tail = false;

	pthread_mutex_lock(&q->lock);
	found = sq_ring_remove(&q->head, seq, out);
	if (found)
		q->head_bytes -= sq_item_bytes(out);
	else
		found = tail = sq_ring_remove(&q->tail, seq, out);
	if (found)
		sq_queue_hold(q, -(int64_t)sq_item_bytes(out));
	if (tail) /* the gap may come to reach beyond it */
		sq_gap_skip(&q->gap, seq);
	if (found)
		sq_queue_handed(q, seq);
	pthread_mutex_unlock(&q->lock);
	return found;
}

void
sq_queue_paged(struct sq_queue *q, struct sq_item *items, size_t n, uint64_t from, bool end)
{
	bool gone;

	pthread_mutex_lock(&q->lock);
	q->read.pending = false;
	q->read.lacks = 0;
	gone = q->deleted;
	for (size_t i = 0; i < n && !gone; i++) {
		uint32_t bytes = sq_item_bytes(&items[i]);

		q->gap.n -= q->gap.n > 0;
		q->gap.bytes -= bytes < q->gap.bytes ? bytes : q->gap.bytes;
		sq_queue_hold(q, bytes);
		q->head_bytes += bytes;
		sq_ring_push_sorted(&q->head, &items[i]); /* what was claimed may have come back */
	}
	q->gap.from = from;
	if (end && !gone) {
		sq_queue_count(q, -(int64_t)q->gap.n, -(int64_t)q->gap.bytes);
		queue_close_gap(q);
	}
	if (!gone) {
		sq_queue_kick(q);
		sq_queue_kick_trim(q);
	}
	pthread_mutex_unlock(&q->lock);
	for (size_t i = 0; i < n && gone; i++)
		sq_item_fini(&items[i]);
}

bool
sq_queue_reads(struct sq_queue *q, struct sq_gap *gap, uint64_t *lacked)
{
	bool rested;

	pthread_mutex_lock(&q->lock);
	rested = q->read.failed;
	q->read.resting = q->read.failed = false;
	q->read.pending = true;
	*gap = q->gap;
	*lacked = q->read.lacks;
	pthread_mutex_unlock(&q->lock);
	return rested;
}

bool
sq_queue_rest(struct sq_queue *q, uint64_t lacks, uint64_t from)
{
	bool rests;

	pthread_mutex_lock(&q->lock);
	q->read.pending = false;
	q->read.resting = rests = !q->deleted;
	q->read.failed = rests && lacks == 0;
	q->read.lacks = lacks;
	q->gap.from = from;
	pthread_mutex_unlock(&q->lock);
	return rests;
}

/* Whether it is the only one in memory, and some of that is left for those: few sessions that
 * acknowledge nothing do not stop all others of their tenant. */
static bool
queue_reads_first(const struct sq_queue *q, uint32_t n)
{
	return q->bytes == 0 && n == 1 && sq_queue_memory_left();
}

bool
sq_queue_may_read(struct sq_queue *q, uint64_t bytes, uint32_t n)
{
	bool may;

	if (sq_memory_level() >= SQ_MEMORY_REFUSED)
		return false;
	pthread_mutex_lock(&q->lock);
	/* A full queue's oldest are read to go. */
	may = q->deleted || sq_queue_memory_fits(q, bytes, n) || queue_reads_first(q, n) ||
	    sq_queue_is_above(q, q->cfg.max_msgs, 0);
	pthread_mutex_unlock(&q->lock);
	return may;
}

static bool
item_is_clean(const struct sq_queue *q, const struct sq_item *item)
{
	return item->seq < atomic_load_explicit(&q->store->clean, memory_order_acquire);
}

/* Removes the first item behind the head from memory: into the gap, or for good if it is not
 * stored.  Under the lock. */
static void
queue_page_out_one(struct sq_queue *q, struct sq_item *item)
{
	uint32_t bytes = sq_item_bytes(item);

	sq_queue_hold(q, -(int64_t)bytes);
	if (item->stored) {
		if (!q->gap.open) {
			sq_gap_fini(&q->gap);
			q->gap = (struct sq_gap){.from = item->seq, .open = true};
		}
		q->gap.to = item->seq;
		q->gap.n++;
		q->gap.bytes += bytes;
	} else {
		sq_metric_add(q->metrics, SQ_M_DROPPED_FULL, 1);
		sq_queue_count_left(q, SQ_LEFT_NEW);
		sq_queue_count_dropped(q);
		sq_queue_count_item(q, -1, item);
	}
	sq_item_fini(item);
}

/* Splits the head where the gap is to begin; under the lock.  'keep' bytes stay, and, where it
 * is wanted, the first item.  What was handed out is in the tables until it is settled: the gap
 * begins behind all of that, or reading it would bring those items again. */
static void
queue_open_gap(struct sq_queue *q, uint64_t keep, bool wanted)
{
	struct sq_ring all = q->head;
	uint64_t bytes = 0;

	q->head = (struct sq_ring){0};
	while (all.n > 0 &&
	    (bytes + sq_item_bytes(sq_ring_at(&all, 0)) <= keep || (wanted && q->head.n == 0) ||
		sq_ring_at(&all, 0)->seq <= q->handed)) {
		struct sq_item item = sq_ring_pop(&all);

		bytes += sq_item_bytes(&item);
		sq_ring_push(&q->head, &item);
	}
	q->head_bytes = bytes;
	sq_ring_fini(&q->tail);
	q->tail = all;
}

bool
sq_gap_skips(const struct sq_gap *gap, uint64_t seq)
{
	size_t at = gap_find(gap, seq);

	return at < gap->n_skip && gap->skip[at] == seq;
}

bool
sq_queue_skips(const struct sq_queue *q, uint64_t seq)
{
	return sq_gap_skips(&q->gap, seq);
}

void
sq_queue_skip(struct sq_queue *q, const struct sq_item *claimed)
{
	uint32_t bytes = sq_item_bytes(claimed);

	pthread_mutex_lock(&q->lock);
	sq_gap_skip(&q->gap, claimed->seq);
	sq_queue_handed(q, claimed->seq);
	q->gap.n--;
	q->gap.bytes -= bytes < q->gap.bytes ? bytes : q->gap.bytes;
	pthread_mutex_unlock(&q->lock);
}

/* Puts items read from the gap back into it, except for 'keep' bytes; under the lock.  Items that
 * were handed out and came back stay, as above. */
static void
queue_page_back(struct sq_queue *q, uint64_t keep)
{
	while (q->head.n > 0 && q->head_bytes > keep) {
		struct sq_item *last = sq_ring_at(&q->head, q->head.n - 1);
		uint32_t bytes = sq_item_bytes(last);

		if (!last->stored || last->seq <= q->handed || last->seq >= q->gap.from ||
		    !item_is_clean(q, last))
			break;
		q->gap.from = last->seq;
		q->gap.n++;
		q->gap.bytes += bytes;
		sq_item_fini(last);
		q->head.n--;
		q->head_bytes -= bytes;
		sq_queue_hold(q, -(int64_t)bytes);
		q->read.lacks = 0; /* another is first */
	}
	if (q->head.n == 0)
		sq_ring_fini(&q->head);
}

void
sq_queue_page_out(struct sq_queue *q)
{
	uint64_t share = sq_queue_share(q->store), keep;
	bool short_of_memory = sq_memory_level() >= SQ_MEMORY_FILLED, wanted, above;

	pthread_mutex_lock(&q->lock);
	wanted = sq_queue_is_wanted(q);
	above = q->bytes > share;
	if ((!above && (wanted || !short_of_memory)) || q->deleted || q->read.pending) {
		pthread_mutex_unlock(&q->lock);
		return;
	}
	keep = wanted || !short_of_memory ? share / 2 : 0;
	if (!q->gap.open)
		queue_open_gap(q, keep, wanted);
	else if (!wanted)
		queue_page_back(q, keep);
	while (q->tail.n > 0 && item_is_clean(q, sq_ring_at(&q->tail, 0)) &&
	    (above || sq_ring_at(&q->tail, 0)->stored)) {
		struct sq_item item = sq_ring_pop(&q->tail);

		queue_page_out_one(q, &item);
	}
	if (!q->gap.open)
		queue_close_gap(q);
	pthread_mutex_unlock(&q->lock);
}
