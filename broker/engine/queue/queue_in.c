/* The beginning of a queue, and its input: items that are put, and items that come back. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/queue/queue_priv.h"
#include "core/mem.h"
#include "web/worker.h"

struct sq_queue *
sq_queue_new(struct sq_engine *e, struct sq_queue_store *store, const struct sq_metrics *metrics,
    const struct sq_queue_cfg *cfg)
{
	struct sq_queue *q = sq_xcalloc(1, sizeof *q);

	q->engine = e;
	q->store = store;
	q->metrics = metrics;
	q->cfg = *cfg;
	q->cfg.name = sq_xstrdup(cfg->name);
	q->charge.account = cfg->memory;
	q->task.run = sq_queue_hand_out;
	q->last_seq = 1;
	q->figures.lonely_since_ms = sq_engine_now_ms();
	atomic_init(&q->refs, 1);
	atomic_init(&q->unsent, 0);
	pthread_mutex_init(&q->lock, NULL);
	sq_list_init(&q->consumers);
	sq_list_init(&q->read.waits);
	sq_list_init(&q->paged);
	return q;
}

/* Makes room in the account's share for an item, if older items of the queue may leave for it. */
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

/* An item came to a queue that is gone. */
static void
queue_count_deleted(const struct sq_queue *q)
{
	sq_metric_add(q->metrics, SQ_M_DROPPED_DELETED, 1);
	sq_queue_count_dropped(q);
}

int
sq_queue_offer(struct sq_queue *q, struct sq_txn *txn, struct sq_item *item)
{
	struct sq_dead_list dead;
	int err = SQ_OK;

	dead.n = dead.bytes = 0;
	item->put_ms = sq_item_time(sq_worker_now_ms(sq_worker_self()));
	pthread_mutex_lock(&q->lock);
	if (q->deleted) {
		queue_count_deleted(q);
		err = SQ_ECLOSED;
	} else if (!queue_make_share(q, txn, item, &dead) ||
	    !queue_make_room(q, txn, item, &dead)) {
		sq_metric_add(q->metrics, SQ_M_DROPPED_FULL, 1);
		sq_queue_count_left(q, SQ_LEFT_NEW);
		sq_queue_count_dropped(q);
		err = SQ_ENOMEM;
	} else {
		q->coming.n++;
		q->coming.bytes += sq_item_bytes(item);
		sq_queue_count_item(q, 1, item);
	}
	if (q->gap.open && (err == SQ_ENOMEM || sq_queue_is_above(q, q->cfg.max_msgs, 0)))
		sq_queue_want_page(q); /* the oldest go for the next, or have expired */
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
	q->coming.n--;
	q->coming.bytes -= sq_item_bytes(item);
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
