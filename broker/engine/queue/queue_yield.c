/* Queues that yield: the oldest items of a full queue leave for new ones.  A queue that yields only
 * without takers is full by its own limits alone: if the store, or its account's share of it, has
 * no room, no acknowledged item leaves.
 *
 * Items leave in the transaction that puts, if they are in memory and the transaction stays small.
 * Items above the limits after that, because the oldest were not committed yet, or on their way to
 * the disk or from it, are removed by the owner as soon as possible.  So are those above the
 * account's share in a queue that always yields, but for the newest item. */
#include <assert.h>

#include "broker/engine/queue/queue_priv.h"

enum {
	LOG_MAX = 1 << 20, /* bytes of a transaction to which more is added */
	/* How far above its limits a queue may be for a while. */
	OVER_MSGS = 1024,
	OVER_BYTES = 4 << 20,
};

static bool
yield_on(const struct sq_queue *q)
{
	return q->cfg.yields == SQ_YIELD_ALWAYS ||
	    (q->cfg.yields == SQ_YIELD_LONELY && q->figures.takers == 0);
}

/* Whether the oldest is in memory, and may go. */
static bool
yield_first(const struct sq_queue *q)
{
	return q->head.n > 0 && !sq_queue_head_waits(q) && !sq_ring_at(&q->head, 0)->assured;
}

/* Waiting items, and those that come. */
static uint64_t
yield_count(const struct sq_queue *q)
{
	return sq_queue_waiting(q) + q->coming.n;
}

/* Notes what did not leave for an item above the share.  One item, the newest, is kept anyway. */
static void
yield_owe(struct sq_queue *q, const struct sq_item *for_item, const struct sq_dead_list *dead)
{
	uint64_t bytes = sq_item_bytes(for_item);

	if (yield_count(q) == 0)
		return;
	q->yielding.owed += dead->n == 0;
	q->yielding.owed_bytes += bytes > dead->bytes ? bytes - dead->bytes : 0;
}

/* Whether items are to leave for others that were put above the share. */
static bool
yield_owes(struct sq_queue *q)
{
	if (q->yielding.owed == 0 && q->yielding.owed_bytes == 0)
		return false;
	if (yield_count(q) <= 1 || !sq_queue_share_short(q, 1))
		q->yielding.owed = q->yielding.owed_bytes = 0;
	return q->yielding.owed > 0 || q->yielding.owed_bytes > 0;
}

static void
yield_pay(struct sq_queue *q, uint64_t bytes)
{
	q->yielding.owed -= q->yielding.owed > 0;
	q->yielding.owed_bytes -= bytes < q->yielding.owed_bytes ? bytes : q->yielding.owed_bytes;
}

static void
yield_doom(struct sq_queue *q, struct sq_dead_list *dead)
{
	enum sq_death why = q->cfg.yields == SQ_YIELD_ALWAYS ? SQ_DEAD_OVERFLOW : SQ_DEAD_ABANDONED;
	struct sq_item item = sq_queue_pop(q);

	if (sq_item_expired(&item, sq_engine_now_ms()))
		why = SQ_DEAD_EXPIRED;
	sq_queue_doom(dead, item, why);
}

/* Whether the oldest may go for that item, in that transaction. */
static bool
yield_to(const struct sq_queue *q, const struct sq_txn *txn, const struct sq_item *for_item)
{
	return yield_on(q) && !for_item->assured &&
	    (q->store == NULL || q->store->txn_bytes(txn) <= LOG_MAX);
}

void
sq_queue_make_share_way(struct sq_queue *q, const struct sq_txn *txn,
    const struct sq_item *for_item, struct sq_dead_list *dead)
{
	if (q->cfg.yields != SQ_YIELD_ALWAYS || for_item->assured)
		return;
	while (yield_to(q, txn, for_item) && dead->bytes < sq_item_bytes(for_item) &&
	    yield_first(q) && !sq_dead_list_full(dead))
		yield_doom(q, dead);
	yield_owe(q, for_item, dead);
}

void
sq_queue_make_way(struct sq_queue *q, const struct sq_txn *txn, const struct sq_item *for_item,
    struct sq_dead_list *dead)
{
	uint64_t most = sq_queue_most(q);

	if (!yield_to(q, txn, for_item))
		return;
	while (sq_queue_is_above(q, most, sq_item_bytes(for_item)) && yield_first(q) &&
	    !sq_dead_list_full(dead))
		yield_doom(q, dead);
	sq_queue_want_page(q);
}

/* Whether more is there than the limits allow, by 'msgs' and 'bytes'. */
static bool
yield_is_over(struct sq_queue *q, uint64_t msgs, uint64_t bytes)
{
	uint64_t n = yield_count(q);
	uint64_t all = sq_queue_waiting_bytes(q) + q->coming.bytes;

	return n > sq_queue_most(q) + msgs || (n > 1 && all > q->cfg.max_bytes + bytes);
}

bool
sq_queue_is_over(struct sq_queue *q)
{
	return yield_on(q) && (yield_is_over(q, 0, 0) || yield_owes(q));
}

void
sq_queue_kick_trim(struct sq_queue *q)
{
	if (sq_queue_is_over(q))
		sq_queue_post(q);
}

void
sq_queue_trim(struct sq_queue *q)
{
	struct sq_dead_list dead;

	dead.n = dead.bytes = 0;
	pthread_mutex_lock(&q->lock);
	while (sq_queue_is_over(q) && yield_first(q) && !sq_dead_list_full(&dead)) {
		yield_pay(q, sq_item_bytes(sq_ring_at(&q->head, 0)));
		yield_doom(q, &dead);
	}
	if (dead.n > 0)
		sq_queue_kick_trim(q);
	if (dead.n > 0 || sq_queue_is_over(q))
		sq_queue_want_page(q);
	pthread_mutex_unlock(&q->lock);
	sq_queue_bury_alone(q, &dead);
}

bool
sq_queue_yields(const struct sq_queue *cq, uint32_t bytes)
{
	struct sq_queue *q = sq_queue_unconst(cq);
	bool yields;

	if (q->id != 0 && atomic_load_explicit(&q->store->full, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&q->lock);
	yields = yield_on(q) && !yield_is_over(q, OVER_MSGS, OVER_BYTES) &&
	    !sq_queue_share_short(q, bytes) &&
	    (yield_first(q) || q->head.n == 0 || sq_queue_head_waits(q));
	pthread_mutex_unlock(&q->lock);
	return yields;
}

void
sq_queue_attend(struct sq_queue *q, int by)
{
	pthread_mutex_lock(&q->lock);
	assert(by > 0 || q->figures.takers >= (unsigned)-by);
	q->figures.takers += (unsigned)by;
	q->figures.lonely_since_ms = q->figures.takers == 0 ? sq_engine_now_ms() : 0;
	pthread_mutex_unlock(&q->lock);
}

/* The seq of the oldest that waits; under the lock. */
static uint64_t
queue_first(const struct sq_queue *q)
{
	if (q->head.n > 0 && !sq_queue_head_waits(q))
		return sq_ring_at(&q->head, 0)->seq;
	if (q->gap.open)
		return q->gap.from;
	return q->head.n > 0 ? sq_ring_at(&q->head, 0)->seq : 0;
}

/* Items that were sent and are not settled; under the lock. */
static uint64_t
queue_unsettled(const struct sq_queue *q)
{
	uint64_t all = atomic_load_explicit(&q->figures.all, memory_order_relaxed);
	uint64_t others = sq_queue_waiting(q) + q->coming.n;

	return all > others ? all - others : 0; /* settled at this moment, without the lock */
}

void
sq_queue_state(const struct sq_queue *cq, struct sq_queue_state *out)
{
	struct sq_queue *q = sq_queue_unconst(cq);

	pthread_mutex_lock(&q->lock);
	*out = (struct sq_queue_state){
	    .n = sq_queue_waiting(q),
	    .bytes = sq_queue_waiting_bytes(q),
	    .coming = q->coming.n,
	    .coming_bytes = q->coming.bytes,
	    .unsettled = queue_unsettled(q),
	    .first = queue_first(q),
	    .last = q->last_seq,
	    .takers = q->figures.takers,
	    .lonely_since_ms = q->figures.lonely_since_ms,
	    .max_msgs = q->cfg.max_msgs,
	    .max_bytes = q->cfg.max_bytes,
	    .max_attempts = q->cfg.max_attempts,
	    .overflow = q->cfg.overflow,
	    .share = sq_queue_share_room(q),
	    .memory = sq_queue_memory_room(q),
	    .fair = sq_queue_memory_fair(q),
	    .paused = q->cfg.paused,
	    .store_full = q->id != 0 && atomic_load_explicit(&q->store->full, memory_order_relaxed),
	};
	for (int i = 0; i < SQ_LEFTS; i++)
		out->left[i] = atomic_load_explicit(&q->figures.left[i], memory_order_relaxed);
	pthread_mutex_unlock(&q->lock);
}

bool
sq_queue_peek(const struct sq_queue *cq, uint64_t from, struct sq_item *out)
{
	struct sq_queue *q = sq_queue_unconst(cq);
	const struct sq_ring *ring;
	uint32_t at;
	bool found;

	pthread_mutex_lock(&q->lock);
	ring = &q->head;
	at = sq_ring_seek(ring, from);
	if (at == ring->n) { /* what is in the tail is behind it */
		ring = &q->tail;
		at = sq_ring_seek(ring, from);
	}
	found = at < ring->n;
	if (found) {
		*out = *sq_ring_at(ring, at);
		out->subs = NULL;
		(void)sq_msg_ref(out->msg);
	}
	pthread_mutex_unlock(&q->lock);
	return found;
}
