/* Consumers of a queue, their demand, and the hand-out, which runs as a task on the queue's
 * owner. */
#include <stdlib.h>
#include <string.h>

#include "broker/engine/queue/queue_priv.h"
#include "core/mem.h"
#include "web/worker.h"

enum { HAND_MAX = 64 }; /* items in one take() */

/* Hand-out. */

/* One to another worker. */
struct handing {
	struct sq_task task;
	struct sq_consumer *consumer;
	struct sq_demand way; /* how much it is */
	size_t n;
	struct sq_item items[];
};

/* The next consumer that has asked for an item such as the first; under the lock. */
static struct sq_consumer *
queue_next_consumer(struct sq_queue *q)
{
	const struct sq_item *first = sq_ring_at(&q->head, 0);

	SQ_LIST_FOR_EACH(c, &q->consumers, struct sq_consumer, node) {
		if (!sq_demand_covers(&c->demand, first))
			continue;
		sq_list_remove(&c->node); /* it goes to the back of the row */
		sq_list_push_back(&q->consumers, &c->node);
		return c;
	}
	return NULL;
}

/* Counts how long an item has waited, at its first hand-out. */
static void
queue_observe(const struct sq_queue *q, const struct sq_item *item, uint64_t now_ms)
{
	if (item->put_ms != 0 && item->attempts == 0)
		sq_metric_observe(q->metrics, SQ_H_QUEUE, sq_item_age_ms(item, now_ms));
}

/* Takes the next items for 'c'; under the lock.  A single consumer gets its whole demand, one of
 * several an item per turn.  None if all have expired. */
static size_t
queue_hand(
    struct sq_queue *q, struct sq_consumer *c, struct sq_item *out, struct sq_dead_list *dead)
{
	bool alone = c->node.next == c->node.prev; /* only the head beside it */
	uint64_t now_ms = sq_worker_now_ms(q->cfg.owner), bytes = 0;
	size_t n = 0;

	while (n < HAND_MAX && !sq_dead_list_full(dead) && q->head.n > 0 &&
	    !sq_queue_head_waits(q) && !sq_queue_holds_back(q, sq_ring_at(&q->head, 0)) &&
	    sq_demand_covers(&c->demand, sq_ring_at(&q->head, 0)) && (alone || n == 0)) {
		struct sq_item item = sq_queue_pop(q);

		if (sq_item_expired(&item, now_ms)) {
			sq_queue_doom(dead, item, SQ_DEAD_EXPIRED);
			continue;
		}
		if (item.qos == 0)
			sq_queue_count_item(q, -1, &item);
		sq_demand_take(&c->demand, &item);
		item.unsent = true;
		bytes += sq_item_bytes(&item);
		queue_observe(q, &item, now_ms);
		out[n++] = item;
	}
	if (n > 0)
		sq_queue_unsent(q, n, bytes);
	return n;
}

/* The rest of 'a' that 'b' leaves. */
static struct sq_demand
demand_less(struct sq_demand a, struct sq_demand b)
{
	return (struct sq_demand){
	    .msgs = a.msgs > b.msgs ? a.msgs - b.msgs : 0,
	    .slots = a.slots > b.slots ? a.slots - b.slots : 0,
	    .bytes = a.bytes > b.bytes ? a.bytes - b.bytes : 0,
	};
}

static void
handing_run(struct sq_task *t)
{
	struct handing *h = SQ_CONTAINER_OF(t, struct handing, task);
	struct sq_consumer *c = h->consumer;
	struct sq_queue *q = c->queue;
	struct sq_demand way = h->way;
	bool over;

	c->take(c, h->items, h->n);
	free(h);
	pthread_mutex_lock(&q->lock);
	c->way = demand_less(c->way, way);
	over = c->way.msgs == 0 && c->stopped;
	pthread_mutex_unlock(&q->lock);
	if (over)
		sq_worker_post(c->worker, &c->task);
}

/* Hands items to a consumer on another worker; under the lock. */
static void
queue_send(struct sq_consumer *c, const struct sq_item *items, size_t n)
{
	struct handing *h = sq_xmalloc(sizeof *h + n * sizeof *items);

	h->task = (struct sq_task){.run = handing_run};
	h->consumer = c;
	h->way = (struct sq_demand){.msgs = (uint32_t)n};
	h->n = n;
	memcpy(h->items, items, n * sizeof *items);
	for (size_t i = 0; i < n; i++) {
		h->way.slots += items[i].qos > 0;
		h->way.bytes += sq_item_bytes(&items[i]);
	}
	c->way.msgs += h->way.msgs;
	c->way.slots += h->way.slots;
	c->way.bytes += h->way.bytes;
	sq_worker_post(c->worker, &h->task);
}

void
sq_queue_hand_out(struct sq_task *t)
{
	struct sq_queue *q = SQ_CONTAINER_OF(t, struct sq_queue, task);
	struct sq_item items[HAND_MAX];
	struct sq_dead_list dead;
	struct sq_consumer *c;
	bool over;
	size_t n;

	dead.n = dead.bytes = 0;
	pthread_mutex_lock(&q->lock);
	q->posted = false;
	while (!q->cfg.paused && q->head.n > 0 && !sq_queue_head_waits(q) &&
	    !sq_queue_holds_back(q, sq_ring_at(&q->head, 0)) &&
	    (c = queue_next_consumer(q)) != NULL) {
		n = queue_hand(q, c, items, &dead);
		if (n > 0 && c->worker != q->cfg.owner) {
			queue_send(c, items, n);
			n = 0;
		}
		if (n == 0 && !sq_dead_list_full(&dead))
			continue;
		pthread_mutex_unlock(&q->lock);
		if (n > 0)
			c->take(c, items, n);
		sq_queue_bury_alone(q, &dead);
		pthread_mutex_lock(&q->lock);
	}
	if (sq_queue_is_wanted(q))
		sq_queue_want_page(q);
	over = sq_queue_is_over(q);
	pthread_mutex_unlock(&q->lock);
	sq_queue_bury_alone(q, &dead);
	if (over)
		sq_queue_trim(q);
	sq_queue_unref(q);
}

bool
sq_queue_pass(struct sq_consumer *c, struct sq_item *item)
{
	struct sq_queue *q = c->queue;
	bool passes;

	if (q->id != 0 && item->qos > 0)
		return false;
	pthread_mutex_lock(&q->lock);
	passes = q->head.n == 0 && !q->gap.open && sq_demand_covers(&c->demand, item) &&
	    c->way.msgs == 0 && !q->deleted && !q->cfg.paused;
	if (passes) {
		item->seq = q->id != 0 ? q->last_seq : ++q->last_seq;
		sq_demand_take(&c->demand, item);
		if (item->qos > 0)
			sq_queue_count_item(q, 1, item);
	}
	pthread_mutex_unlock(&q->lock);
	if (passes) {
		item->put_ms = sq_item_time(sq_worker_now_ms(c->worker));
		item->arrived_ms = q->cfg.timed ? sq_clock_wall_ms() : 0;
		sq_metric_observe(q->metrics, SQ_H_QUEUE, 0);
	}
	return passes;
}

/* Consumers. */

static void
cancelled_run(struct sq_task *t)
{
	struct sq_consumer *c = SQ_CONTAINER_OF(t, struct sq_consumer, task);
	struct sq_queue *q = c->queue;

	c->queue = NULL;
	c->cancelled(c);
	sq_queue_unref(q);
}

void
sq_queue_consume(struct sq_queue *q, struct sq_consumer *c)
{
	c->queue = sq_queue_ref(q);
	c->demand = c->way = (struct sq_demand){0};
	c->stopped = false;
	c->task = (struct sq_task){.run = cancelled_run};
	pthread_mutex_lock(&q->lock);
	sq_list_push_back(&q->consumers, &c->node);
	pthread_mutex_unlock(&q->lock);
}

void
sq_queue_demand(struct sq_consumer *c, const struct sq_demand *all)
{
	struct sq_queue *q = c->queue;

	pthread_mutex_lock(&q->lock);
	if (!c->stopped) {
		c->demand = demand_less(*all, c->way);
		if (c->demand.msgs > 0)
			sq_queue_kick(q);
	}
	pthread_mutex_unlock(&q->lock);
}

void
sq_queue_pause(struct sq_queue *q, bool paused)
{
	pthread_mutex_lock(&q->lock);
	q->cfg.paused = paused;
	if (!paused)
		sq_queue_kick(q);
	pthread_mutex_unlock(&q->lock);
}

void
sq_queue_go_on(struct sq_queue *q)
{
	pthread_mutex_lock(&q->lock);
	sq_queue_kick(q);
	pthread_mutex_unlock(&q->lock);
}

void
sq_queue_cancel(struct sq_consumer *c)
{
	struct sq_queue *q = c->queue;
	bool idle;

	pthread_mutex_lock(&q->lock);
	sq_list_remove(&c->node);
	c->stopped = true;
	c->demand = (struct sq_demand){0};
	idle = c->way.msgs == 0;
	pthread_mutex_unlock(&q->lock);
	if (idle)
		sq_worker_post(c->worker, &c->task);
}
