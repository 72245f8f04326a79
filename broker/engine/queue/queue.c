#include "broker/engine/queue/queue_priv.h"
#include "web/worker.h"

#include <assert.h>
#include <stdlib.h>

enum {
	BUSY_MIN = 512,  /* a queue is busy above so many, */
	BUSY_PART = 16,  /* and above such a part of a limit */
	PAGE_LOW = 4,    /* a head of less than that part of its share: the gap is read */
	ITEM_COST = 256, /* bytes that a message takes in the store besides its own */
};

/* Counters. */

static void
queue_charge(const struct sq_queue *q, enum sq_share_kind kind, int64_t n)
{
	if (n > 0)
		sq_share_force(q->cfg.account, kind, (uint64_t)n);
	else
		sq_share_give(q->cfg.account, kind, (uint64_t)-n);
}

uint64_t
sq_queue_share_room(const struct sq_queue *q)
{
	const struct sq_account *a = q->cfg.account;
	uint64_t room;

	if (a == NULL)
		return UINT64_MAX;
	room = sq_share_room(a, SQ_SHARE_STORED_BYTES);
	return room > ITEM_COST ? room - ITEM_COST : 0;
}

bool
sq_queue_share_short(const struct sq_queue *q, uint32_t bytes)
{
	const struct sq_account *a = q->cfg.account;

	if (a == NULL)
		return false;
	return sq_share_room(a, SQ_SHARE_STORED_BYTES) < bytes + ITEM_COST ||
	    (q->cfg.letters &&
		(sq_share_room(a, SQ_SHARE_DEAD_LETTERS) < 1 ||
		    sq_share_room(a, SQ_SHARE_DEAD_LETTERS_BYTES) < bytes));
}

/* Charges a durable queue's tenant.  A function of its own, so that other queues save no registers
 * for it. */
static __attribute__((noinline)) void
queue_charge_all(const struct sq_queue *q, int64_t n, int64_t bytes)
{
	queue_charge(q, SQ_SHARE_STORED_BYTES, bytes + n * ITEM_COST);
	if (q->cfg.letters) {
		queue_charge(q, SQ_SHARE_DEAD_LETTERS, n);
		queue_charge(q, SQ_SHARE_DEAD_LETTERS_BYTES, bytes);
	}
}

void
sq_queue_count(const struct sq_queue *q, int64_t n, int64_t bytes)
{
	sq_metric_add(q->metrics, SQ_M_QUEUED, n);
	sq_metric_add(q->metrics, SQ_M_QUEUED_BYTES, bytes);
	atomic_fetch_add_explicit(
	    &sq_queue_unconst(q)->figures.all, (uint64_t)n, memory_order_relaxed);
	/* Last, where the queues of transient sessions have ended already. */
	if (q->cfg.account != NULL)
		queue_charge_all(q, n, bytes);
}

void
sq_queue_count_item(const struct sq_queue *q, int n, const struct sq_item *item)
{
	sq_queue_count(q, n, n * (int64_t)sq_item_bytes(item));
}

/* Items handed out and not sent.  They count in the queue's bounds until the consumer has sent them
 * or gives them back, because they still wait.  The sum is one atomic word, so that a sender takes
 * no lock for it. */

void
sq_queue_unsent(struct sq_queue *q, uint64_t n, uint64_t bytes)
{
	atomic_fetch_add_explicit(&q->unsent, n << SQ_UNSENT_SHIFT | bytes, memory_order_relaxed);
}

void
sq_queue_sent(struct sq_queue *q, uint32_t n, uint64_t bytes)
{
	uint64_t old = atomic_fetch_sub_explicit(
	    &q->unsent, (uint64_t)n << SQ_UNSENT_SHIFT | bytes, memory_order_relaxed);

	assert(sq_unsent_msgs(old) >= n && sq_unsent_bytes(old) >= bytes);
	(void)old;
}

void
sq_queue_sent_item(struct sq_queue *q, struct sq_item *item)
{
	if (item->unsent)
		sq_queue_sent(q, 1, sq_item_bytes(item));
	item->unsent = false;
}

void
sq_queue_settled(struct sq_queue *q, struct sq_item *item)
{
	sq_queue_count_item(q, -1, item);
	sq_queue_sent_item(q, item);
}

bool
sq_queue_tried(struct sq_queue *q, struct sq_item *item)
{
	uint32_t max_attempts;

	if (item->attempts < UINT16_MAX)
		item->attempts++;
	pthread_mutex_lock(&q->lock);
	max_attempts = q->cfg.max_attempts;
	pthread_mutex_unlock(&q->lock);
	return max_attempts != 0 && item->attempts >= max_attempts;
}

void
sq_queue_dead(struct sq_queue *q, struct sq_txn *txn, const struct sq_item *item, enum sq_death why)
{
	static const enum sq_broker_metric metrics[] = {
	    [SQ_DEAD_EXPIRED] = SQ_M_DROPPED_EXPIRED,
	    [SQ_DEAD_ATTEMPTS] = SQ_M_DROPPED_ATTEMPTS,
	    [SQ_DEAD_REJECTED] = SQ_M_DROPPED_ATTEMPTS,
	    [SQ_DEAD_UNFINISHED] = SQ_M_DROPPED_UNFINISHED,
	    [SQ_DEAD_OVERFLOW] = SQ_M_DROPPED_FULL,
	    [SQ_DEAD_ABANDONED] = SQ_M_DROPPED_ABANDONED,
	};

	sq_queue_count_left(q, why);
	if (!q->cfg.uncounted || why != SQ_DEAD_OVERFLOW)
		sq_metric_add(q->metrics, metrics[why], 1);
	if (why == SQ_DEAD_OVERFLOW || why == SQ_DEAD_ABANDONED)
		sq_queue_count_dropped(q);
	if (q->cfg.dead != NULL && item->qos > 0)
		q->cfg.dead(q->cfg.arg, txn, item, why);
}

void
sq_queue_dead_how(
    struct sq_queue *q, struct sq_txn *txn, const struct sq_item *item, enum sq_settle_how how)
{
	static const enum sq_death deaths[] = {
	    [SQ_REJECT] = SQ_DEAD_REJECTED,
	    [SQ_EXHAUSTED] = SQ_DEAD_ATTEMPTS,
	    [SQ_EXPIRED] = SQ_DEAD_EXPIRED,
	    [SQ_UNFINISHED] = SQ_DEAD_UNFINISHED,
	};

	if (how >= SQ_REJECT)
		sq_queue_dead(q, txn, item, deaths[how]);
}

/* Items that leave undelivered: collected under the lock, buried without it. */

void
sq_queue_doom(struct sq_dead_list *dead, struct sq_item item, enum sq_death why)
{
	assert(dead->n < SQ_DEAD_MAX);
	dead->v[dead->n].item = item;
	dead->v[dead->n++].why = why;
	dead->bytes += sq_item_bytes(&item);
}

void
sq_queue_bury(struct sq_queue *q, struct sq_txn *txn, struct sq_dead_list *dead)
{
	for (size_t i = 0; i < dead->n; i++) {
		struct sq_item *item = &dead->v[i].item;

		sq_queue_dead(q, txn, item, dead->v[i].why);
		if (item->qos > 0)
			q->engine->ops->txn.settle(txn, q, item, SQ_DONE);
		else
			sq_queue_settled(q, item);
		sq_item_fini(item);
	}
	dead->n = dead->bytes = 0;
}

void
sq_queue_bury_alone(struct sq_queue *q, struct sq_dead_list *dead)
{
	struct sq_txn *txn;

	if (dead->n == 0)
		return;
	txn = sq_txn_unattended(q->engine, q->cfg.owner);
	sq_queue_bury(q, txn, dead);
	q->engine->ops->txn.commit(txn);
}

void
sq_queue_hold(struct sq_queue *q, int64_t bytes)
{
	bool before = q->bytes > 0;

	q->bytes += (uint64_t)bytes;
	sq_queue_charge_memory(q);
	if (q->id == 0 || before == (q->bytes > 0))
		return;
	if (before)
		atomic_fetch_sub_explicit(&q->store->held, 1, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&q->store->held, 1, memory_order_relaxed);
}

/* Life. */

struct sq_queue *
sq_queue_ref(struct sq_queue *q)
{
	atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
	return q;
}

void
sq_queue_unref(struct sq_queue *q)
{
	if (atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(atomic_load_explicit(&q->unsent, memory_order_relaxed) == 0);
	pthread_mutex_destroy(&q->lock);
	sq_ring_fini(&q->head);
	sq_ring_fini(&q->tail);
	sq_gap_fini(&q->gap);
	free((void *)(uintptr_t)q->cfg.name);
	free(q);
}

void
sq_queue_close(struct sq_queue *q)
{
	struct sq_ring head, tail;

	pthread_mutex_lock(&q->lock);
	assert(sq_list_empty(&q->consumers));
	q->deleted = true;
	sq_queue_count(
	    q, -(int64_t)(q->head.n + q->tail.n + q->gap.n), -(int64_t)(q->bytes + q->gap.bytes));
	head = q->head;
	tail = q->tail;
	q->head = q->tail = (struct sq_ring){0};
	sq_queue_hold(q, -(int64_t)q->bytes);
	q->gap.n = q->gap.bytes = q->head_bytes = 0;
	pthread_mutex_unlock(&q->lock);
	sq_ring_fini(&head);
	sq_ring_fini(&tail);
	sq_queue_unref(q);
}

void
sq_queue_post(struct sq_queue *q)
{
	if (q->posted)
		return;
	q->posted = true;
	sq_queue_ref(q);
	sq_worker_post(q->cfg.owner, &q->task);
}

void
sq_queue_kick(struct sq_queue *q)
{
	if ((q->head.n > 0 || q->gap.open) && !sq_list_empty(&q->consumers))
		sq_queue_post(q);
}

void
sq_queue_handed(struct sq_queue *q, uint64_t seq)
{
	if (seq > q->handed)
		q->handed = seq;
}

struct sq_item
sq_queue_pop(struct sq_queue *q)
{
	struct sq_item item = sq_ring_pop(&q->head);

	sq_queue_hold(q, -(int64_t)sq_item_bytes(&item));
	q->head_bytes -= sq_item_bytes(&item);
	if (item.stored)
		sq_queue_handed(q, item.seq);
	return item;
}

bool
sq_queue_head_waits(const struct sq_queue *q)
{
	return q->gap.open && q->head.n > 0 && sq_ring_at(&q->head, 0)->seq >= q->gap.from;
}

bool
sq_queue_holds_back(const struct sq_queue *q, const struct sq_item *item)
{
	return q->id != 0 && item->qos > 0 &&
	    atomic_load_explicit(&q->store->held_back, memory_order_relaxed);
}

bool
sq_queue_is_wanted(const struct sq_queue *q)
{
	const struct sq_item *first = q->head.n > 0 && !sq_queue_head_waits(q)
	    ? sq_ring_at(&q->head, 0)
	    : NULL;

	if (q->cfg.paused)
		return false;
	SQ_LIST_FOR_EACH(c, &q->consumers, struct sq_consumer, node) {
		if (first != NULL
			? sq_demand_covers(&c->demand, first)
			: c->demand.msgs > 0 && c->demand.slots > 0 && c->demand.bytes > 0)
			return true;
	}
	return false;
}

void
sq_queue_want_page(struct sq_queue *q)
{
	if (!q->gap.open || q->read.pending || q->read.resting || q->deleted)
		return;
	if (q->head_bytes < sq_queue_share(q->store) / PAGE_LOW || sq_queue_head_waits(q)) {
		q->read.pending = true;
		q->store->page(q);
	}
}

/* Limits. */

bool
sq_queue_is_above(const struct sq_queue *q, uint64_t most, uint32_t bytes)
{
	uint64_t n = sq_queue_waiting(q) + q->coming.n;
	uint64_t all = sq_queue_waiting_bytes(q) + q->coming.bytes;

	return n >= most || (n > 0 && all + bytes > q->cfg.max_bytes) ||
	    sq_queue_memory_short(q, bytes);
}

static bool
queue_is_full(const struct sq_queue *q, uint32_t bytes)
{
	return sq_queue_is_above(q, q->cfg.max_msgs, bytes);
}

uint64_t
sq_queue_most(struct sq_queue *q)
{
	uint64_t n = sq_queue_waiting(q) + q->coming.n;

	if (q->yielding.over > n)
		q->yielding.over = n;
	return q->yielding.over > q->cfg.max_msgs ? q->yielding.over : q->cfg.max_msgs;
}

void
sq_queue_limits(struct sq_queue *q, const struct sq_queue_cfg *cfg)
{
	pthread_mutex_lock(&q->lock);
	q->cfg.max_msgs = cfg->max_msgs;
	q->cfg.max_bytes = cfg->max_bytes;
	q->cfg.max_attempts = cfg->max_attempts;
	q->cfg.overflow = cfg->overflow;
	q->cfg.yields = cfg->yields;
	q->yielding.over = sq_queue_waiting(q) + q->coming.n;
	pthread_mutex_unlock(&q->lock);
}

bool
sq_queue_full(const struct sq_queue *cq, uint32_t bytes)
{
	struct sq_queue *q = sq_queue_unconst(cq);
	bool full;

	if (q->id != 0 && atomic_load_explicit(&q->store->full, memory_order_relaxed))
		return true;
	pthread_mutex_lock(&q->lock);
	full = queue_is_full(q, bytes) || sq_queue_share_short(q, bytes) ||
	    sq_queue_memory_room(q) < bytes;
	if (full && q->head.n > 0) /* what has expired makes room for a put */
		full = !sq_item_expired(
		    sq_ring_at(&q->head, 0), sq_worker_now_ms(sq_worker_self()));
	else if (full)
		sq_queue_want_page(q); /* perhaps that has */
	pthread_mutex_unlock(&q->lock);
	return full;
}

bool
sq_queue_busy(const struct sq_queue *cq)
{
	struct sq_queue *q = sq_queue_unconst(cq);
	bool busy;
	uint64_t n;

	pthread_mutex_lock(&q->lock);
	n = sq_queue_waiting(q);
	busy = n > BUSY_MIN &&
	    (n > q->cfg.max_msgs / BUSY_PART ||
		sq_queue_waiting_bytes(q) > q->cfg.max_bytes / BUSY_PART);
	pthread_mutex_unlock(&q->lock);
	return busy;
}

size_t
sq_queue_depth(const struct sq_queue *cq)
{
	struct sq_queue *q = sq_queue_unconst(cq);
	size_t n;

	pthread_mutex_lock(&q->lock);
	n = (size_t)sq_queue_waiting(q);
	pthread_mutex_unlock(&q->lock);
	return n;
}

bool
sq_queue_empty(const struct sq_queue *cq)
{
	struct sq_queue *q = sq_queue_unconst(cq);
	bool empty;

	pthread_mutex_lock(&q->lock);
	empty = q->head.n == 0 && q->tail.n == 0 && !q->gap.open && q->coming.n == 0;
	pthread_mutex_unlock(&q->lock);
	return empty;
}
