#include "broker/engine/queue_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

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

/* Who pays is a durable queue's tenant.  Apart, so that other queues save no registers for it. */
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
	sq_metric_add(&q->metrics, SQ_M_QUEUED, n);
	sq_metric_add(&q->metrics, SQ_M_QUEUED_BYTES, bytes);
	/* Last, where the queues of transient sessions have ended already. */
	if (q->cfg.account != NULL)
		queue_charge_all(q, n, bytes);
}

void
sq_queue_count_item(const struct sq_queue *q, int n, const struct sq_item *item)
{
	sq_queue_count(q, n, n * (int64_t)sq_item_bytes(item));
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

	if (!q->cfg.uncounted || why != SQ_DEAD_OVERFLOW)
		sq_metric_add(&q->metrics, metrics[why], 1);
	if (why == SQ_DEAD_OVERFLOW || why == SQ_DEAD_ABANDONED)
		sq_queue_count_dropped(q);
	if (q->cfg.dead != NULL && item->qos > 0)
		q->cfg.dead(q->cfg.arg, txn, item, why);
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
			q->engine->ops->settle(txn, q, item, SQ_DONE);
		else
			sq_queue_settled(q, item);
		sq_item_fini(item);
	}
	dead->n = dead->bytes = 0;
}

static void
own_txn_done(struct sq_txn *txn, int err)
{
	(void)err;
	free(txn);
}

void
sq_queue_bury_alone(struct sq_queue *q, struct sq_dead_list *dead)
{
	struct sq_txn *txn;

	if (dead->n == 0)
		return;
	txn = sq_xcalloc(1, sizeof *txn);
	txn->worker = q->cfg.owner;
	txn->engine = q->engine;
	txn->done = own_txn_done;
	sq_queue_bury(q, txn, dead);
	q->engine->ops->commit(txn);
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

/* An item came to a queue that is gone. */
static void
queue_count_deleted(const struct sq_queue *q)
{
	sq_metric_add(&q->metrics, SQ_M_DROPPED_DELETED, 1);
	sq_queue_count_dropped(q);
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
	free(q->gap.skip);
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

void
sq_queue_want_page(struct sq_queue *q)
{
	if (!q->gap.open || q->paging || q->resting || q->deleted)
		return;
	if (q->head_bytes < sq_queue_share(q->store) / PAGE_LOW || sq_queue_head_waits(q)) {
		q->paging = true;
		q->store->page(q);
	}
}

struct sq_queue *
sq_queue_new(struct sq_engine *e, struct sq_queue_store *store, const struct sq_metrics *metrics,
    const struct sq_queue_cfg *cfg)
{
	struct sq_queue *q = sq_xcalloc(1, sizeof *q);

	q->engine = e;
	q->store = store;
	q->metrics = *metrics;
	q->cfg = *cfg;
	q->cfg.name = sq_xstrdup(cfg->name);
	q->charge.account = cfg->memory;
	q->task.run = sq_queue_hand_out;
	q->last_seq = 1;
	q->lonely_since_ms = sq_queue_now_ms();
	atomic_init(&q->refs, 1);
	atomic_init(&q->unsent, 0);
	pthread_mutex_init(&q->lock, NULL);
	sq_list_init(&q->consumers);
	sq_list_init(&q->waits);
	sq_list_init(&q->paged);
	return q;
}

/* Limits. */

bool
sq_queue_is_above(const struct sq_queue *q, uint64_t most, uint32_t bytes)
{
	uint64_t n = sq_queue_waiting(q) + q->coming;
	uint64_t all = sq_queue_waiting_bytes(q) + q->coming_bytes;

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
	uint64_t n = sq_queue_waiting(q) + q->coming;

	if (q->over > n)
		q->over = n;
	return q->over > q->cfg.max_msgs ? q->over : q->cfg.max_msgs;
}

void
sq_queue_limits(struct sq_queue *q, const struct sq_queue_cfg *cfg)
{
	pthread_mutex_lock(&q->lock);
	q->cfg.max_msgs = cfg->max_msgs;
	q->cfg.max_attempts = cfg->max_attempts;
	q->cfg.overflow = cfg->overflow;
	q->cfg.yields = cfg->yields;
	q->over = sq_queue_waiting(q) + q->coming;
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
	full = queue_is_full(q, bytes) || sq_queue_share_short(q, bytes);
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
	empty = q->head.n == 0 && q->tail.n == 0 && !q->gap.open && q->coming == 0;
	pthread_mutex_unlock(&q->lock);
	return empty;
}

/* Makes room in the account's share for an item, by what of the queue's own goes for it. */
static bool
queue_make_share(struct sq_queue *q, const struct sq_txn *txn, const struct sq_item *for_item,
    struct sq_dead_list *dead)
{
	bool oldest = q->cfg.overflow == SQ_OVERFLOW_DROP_OLDEST;
	uint64_t now_ms = sq_worker_now_ms(sq_worker_self());
	uint32_t bytes = sq_item_bytes(for_item);

	if (!sq_queue_share_short(q, bytes))
		return true;
	while (dead->bytes < bytes && q->head.n > 0 && !sq_dead_list_full(dead)) {
		bool expired = sq_item_expired(sq_ring_at(&q->head, 0), now_ms);

		if (!expired && !oldest)
			break;
		sq_queue_doom(dead, sq_queue_pop(q), expired ? SQ_DEAD_EXPIRED : SQ_DEAD_OVERFLOW);
	}
	if (q->cfg.overflow == SQ_OVERFLOW_REJECT_PUBLISH && for_item->qos > 0) {
		sq_queue_make_share_way(q, txn, for_item, dead);
		return true;
	}
	return dead->n > 0;
}

/* Makes room for an item as the policy says; under the lock.  What goes for it is
 * left in 'dead'. */
static bool
queue_make_room(struct sq_queue *q, const struct sq_txn *txn, const struct sq_item *for_item,
    struct sq_dead_list *dead)
{
	bool oldest = q->cfg.overflow == SQ_OVERFLOW_DROP_OLDEST;
	uint64_t most = oldest ? sq_queue_most(q) : q->cfg.max_msgs;
	uint64_t now_ms = sq_worker_now_ms(sq_worker_self());

	while (sq_queue_is_above(q, most, sq_item_bytes(for_item))) {
		bool expired = q->head.n > 0 && sq_item_expired(sq_ring_at(&q->head, 0), now_ms);

		if (!expired && q->cfg.overflow == SQ_OVERFLOW_REJECT_PUBLISH &&
		    for_item->qos > 0) {
			sq_queue_make_way(q, txn, for_item, dead);
			return true;
		}
		if (!expired && !oldest)
			return false;
		if (q->head.n == 0 || dead->n == SQ_DEAD_MAX)
			return q->gap.open; /* the oldest are being read */
		sq_queue_doom(dead, sq_queue_pop(q), expired ? SQ_DEAD_EXPIRED : SQ_DEAD_OVERFLOW);
	}
	return true;
}

int
sq_queue_offer(struct sq_queue *q, struct sq_txn *txn, struct sq_item *item)
{
	struct sq_dead_list dead;
	int err = SQ_OK;

	dead.n = dead.bytes = 0;
	pthread_mutex_lock(&q->lock);
	if (q->deleted) {
		queue_count_deleted(q);
		err = SQ_ECLOSED;
	} else if (!queue_make_share(q, txn, item, &dead) ||
	    !queue_make_room(q, txn, item, &dead)) {
		sq_metric_add(&q->metrics, SQ_M_DROPPED_FULL, 1);
		sq_queue_count_dropped(q);
		err = SQ_ENOMEM;
	} else {
		q->coming++;
		q->coming_bytes += sq_item_bytes(item);
		sq_queue_count_item(q, 1, item);
	}
	if (q->head.n == 0 || q->cfg.overflow == SQ_OVERFLOW_DROP_OLDEST)
		sq_queue_want_page(q);
	pthread_mutex_unlock(&q->lock);
	sq_queue_bury(q, txn, &dead);
	if (err != SQ_OK)
		sq_item_fini(item);
	return err;
}

/* Puts an item behind all others; under the lock. */
static void
queue_append(struct sq_queue *q, const struct sq_item *item)
{
	q->last_seq = item->seq;
	sq_queue_hold(q, sq_item_bytes(item));
	if (!q->gap.open)
		q->head_bytes += sq_item_bytes(item);
	sq_ring_push(q->gap.open ? &q->tail : &q->head, item);
}

void
sq_queue_arrive(struct sq_queue *q, struct sq_item *item)
{
	bool gone;

	pthread_mutex_lock(&q->lock);
	q->coming--;
	q->coming_bytes -= sq_item_bytes(item);
	gone = q->deleted;
	if (gone) {
		sq_queue_count_item(q, -1, item);
		queue_count_deleted(q);
	} else {
		if (!item->stored)
			item->seq = q->id != 0 ? q->last_seq : q->last_seq + 1;
		queue_append(q, item);
		sq_queue_kick(q);
		sq_queue_kick_trim(q);
	}
	pthread_mutex_unlock(&q->lock);
	if (gone)
		sq_item_fini(item);
}

void
sq_queue_back(struct sq_queue *q, struct sq_item *item)
{
	bool gone;

	pthread_mutex_lock(&q->lock);
	gone = q->deleted;
	if (gone == (item->qos > 0)) /* handing a QoS 0 item out has settled it */
		sq_queue_count_item(q, gone ? -1 : 1, item);
	sq_queue_sent_item(q, item);
	if (!gone) {
		sq_queue_hold(q, sq_item_bytes(item));
		q->head_bytes += sq_item_bytes(item);
		sq_ring_insert(&q->head, item);
		sq_queue_kick(q);
	}
	pthread_mutex_unlock(&q->lock);
	if (gone)
		sq_item_fini(item);
}
