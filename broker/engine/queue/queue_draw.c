/* Items that leave a queue out of their turn, and reads of the gap for them. */
#include "broker/engine/queue/queue_priv.h"
#include "core/memory.h"

/* Has the gap read; under the lock.  'must': whatever is in memory, as nothing else goes before. */
static bool
queue_recall(struct sq_queue *q, bool must)
{
	uint64_t share;

	if (!q->gap.open || q->deleted)
		return false;
	if (q->read.pending)
		return true;
	share = sq_queue_share(q->store);
	if (q->read.resting ||
	    (!must && (q->bytes > share - share / 4 || sq_memory_level() >= SQ_MEMORY_FILLED)))
		return false;
	q->read.pending = true;
	q->store->page(q);
	return true;
}

bool
sq_queue_recall(struct sq_queue *q)
{
	bool comes;

	pthread_mutex_lock(&q->lock);
	comes = queue_recall(q, false);
	pthread_mutex_unlock(&q->lock);
	return comes;
}

/* Whether the gap has, or may have, items from 'from' up to 'upto' before the one of that seq. */
static bool
queue_gap_first(const struct sq_queue *q, uint64_t from, uint64_t upto, uint64_t seq)
{
	return q->gap.open && q->gap.to >= from && q->gap.from <= upto && q->gap.from <= seq;
}

/* The item has left the ring, and is the caller's. */
static void
queue_drawn(struct sq_queue *q, const struct sq_item *item, bool head)
{
	sq_queue_hold(q, -(int64_t)sq_item_bytes(item));
	if (head)
		q->head_bytes -= sq_item_bytes(item);
	if (item->stored)
		sq_queue_handed(q, item->seq);
	if (item->qos == 0)
		sq_queue_count_item(q, -1, item);
}

/* Under the lock. */
static int
queue_draw(struct sq_queue *q, uint64_t from, uint64_t upto, struct sq_item *out)
{
	struct sq_ring *ring = &q->head;
	uint32_t at = sq_ring_seek(ring, from);
	uint64_t seq = at < ring->n ? sq_ring_at(ring, at)->seq : UINT64_MAX;

	if (queue_gap_first(q, from, upto, seq))
		return queue_recall(q, q->head.n == 0) ? SQ_EAGAIN : SQ_ENOMEM;
	if (at == ring->n) { /* what is in the tail is behind it */
		ring = &q->tail;
		at = sq_ring_seek(ring, from);
	}
	if (at == ring->n || sq_ring_at(ring, at)->seq > upto)
		return SQ_ENOTFOUND;
	if (ring == &q->tail && q->read.pending) /* which goes by what the gap skips */
		return SQ_EAGAIN;
	if (sq_queue_holds_back(q, sq_ring_at(ring, at)))
		return SQ_EAGAIN;
	sq_ring_take(ring, at, out);
	queue_drawn(q, out, ring == &q->head);
	if (ring == &q->tail) /* the gap may come to reach beyond it */
		sq_gap_skip(&q->gap, out->seq);
	return SQ_OK;
}

int
sq_queue_draw(struct sq_queue *q, uint64_t from, uint64_t upto, struct sq_item *out)
{
	int err;

	pthread_mutex_lock(&q->lock);
	err = q->deleted ? SQ_ENOTFOUND : queue_draw(q, from, upto, out);
	pthread_mutex_unlock(&q->lock);
	return err;
}
