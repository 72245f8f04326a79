/* The memory engine: queues in rings, gone with the process.
 *
 * The reference for the contract suite, and what transient queues live in.  A
 * queue's lock guards its ring and its consumers; hand-outs run as a task on
 * the queue's owner.  Puts take effect at once, so a transaction is its own
 * commit and only its done() comes later. */
#include "broker/engine/engine.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/metrics.h"
#include "core/clock.h"
#include "core/mem.h"

enum {
	HAND_MAX = 64,  /* items in one take() */
	BUSY_MIN = 512, /* a queue is busy above so many, */
	BUSY_PART = 16, /* and above such a part of a limit */
};

struct memory {
	struct sq_engine engine;
	struct sq_metrics metrics;
};

struct sq_queue {
	struct memory *memory;
	struct sq_queue_cfg cfg;
	struct sq_task task;
	atomic_uint refs; /* the handle, and the task while it is posted */

	pthread_mutex_t lock;
	struct sq_item *ring;
	uint32_t head, n, cap; /* cap: power of two */
	uint64_t bytes, next_seq;
	struct sq_list consumers; /* struct sq_consumer; the head's turn is next */
	bool posted, deleted;
};

/* A hand-out to a consumer on another worker. */
struct handing {
	struct sq_task task;
	struct sq_consumer *consumer;
	size_t n;
	struct sq_item items[];
};

void
sq_item_fini(struct sq_item *item)
{
	sq_msg_unref(&item->msg);
	sq_block_unref(&item->subs);
}

/* Ring. */

static struct sq_item *
queue_at(const struct sq_queue *q, uint32_t i)
{
	return &q->ring[(q->head + i) & (q->cap - 1)];
}

static void
queue_grow(struct sq_queue *q)
{
	uint32_t cap = q->cap > 0 ? q->cap * 2 : 8;
	struct sq_item *ring;

	if (q->n < q->cap)
		return;
	ring = sq_xmalloc(cap * sizeof *ring);
	for (uint32_t i = 0; i < q->n; i++)
		ring[i] = *queue_at(q, i);
	free(q->ring);
	q->ring = ring;
	q->cap = cap;
	q->head = 0;
}

static void
queue_count(const struct sq_queue *q, int n, const struct sq_item *item)
{
	const struct sq_metrics *m = &q->memory->metrics;

	sq_metric_add(m, SQ_M_QUEUED, n);
	sq_metric_add(m, SQ_M_QUEUED_BYTES, n * (int64_t)sq_image_size(item->msg.image));
}

static struct sq_item
queue_pop(struct sq_queue *q)
{
	struct sq_item item = *queue_at(q, 0);

	q->head = (q->head + 1) & (q->cap - 1);
	q->n--;
	q->bytes -= sq_image_size(item.msg.image);
	if (q->n == 0 && q->cap > 64) { /* a backlog is over: give its memory back */
		free(q->ring);
		q->ring = NULL;
		q->cap = q->head = 0;
	}
	return item;
}

/* Puts an item that comes back where its seq says. */
static void
queue_push_back_in_order(struct sq_queue *q, const struct sq_item *item)
{
	uint32_t i = 0;

	queue_grow(q);
	q->head = (q->head - 1) & (q->cap - 1);
	q->n++;
	q->bytes += sq_image_size(item->msg.image);
	for (; i + 1 < q->n && queue_at(q, i + 1)->seq < item->seq; i++)
		*queue_at(q, i) = *queue_at(q, i + 1);
	*queue_at(q, i) = *item;
}

static void
queue_drop(struct sq_queue *q, struct sq_item *item, enum sq_broker_metric why)
{
	sq_metric_add(&q->memory->metrics, why, 1);
	queue_count(q, -1, item);
	sq_item_fini(item);
}

static bool
queue_is_full(const struct sq_queue *q, uint32_t bytes)
{
	return q->n >= q->cfg.max_msgs || (q->n > 0 && q->bytes + bytes > q->cfg.max_bytes);
}

/* Life. */

static void
queue_unref(struct sq_queue *q)
{
	if (atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) != 1)
		return;
	pthread_mutex_destroy(&q->lock);
	free((void *)(uintptr_t)q->cfg.name);
	free(q->ring);
	free(q);
}

/* Has the owner hand items out; under the lock. */
static void
queue_kick(struct sq_queue *q)
{
	if (q->posted || q->n == 0 || sq_list_empty(&q->consumers))
		return;
	q->posted = true;
	atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
	sq_worker_post(q->cfg.owner, &q->task);
}

static struct sq_consumer *
queue_next_consumer(struct sq_queue *q)
{
	SQ_LIST_FOR_EACH(c, &q->consumers, struct sq_consumer, node) {
		if (c->demand == 0)
			continue;
		sq_list_remove(&c->node); /* it goes to the back of the row */
		sq_list_push_back(&q->consumers, &c->node);
		return c;
	}
	return NULL;
}

/* Takes the next items for 'c' off the ring; under the lock.  Alone it gets
 * what it wants, among others one item per turn.  None when all had expired. */
static size_t
queue_hand(struct sq_queue *q, struct sq_consumer *c, struct sq_item *out)
{
	bool alone = c->node.next == c->node.prev; /* only the head beside it */
	uint64_t now_ms = sq_worker_now_ms(q->cfg.owner);
	size_t n = 0;

	while (n < HAND_MAX && q->n > 0 && c->demand > 0 && (alone || n == 0)) {
		struct sq_item item = queue_pop(q);

		if (item.expires_ms != 0 && item.expires_ms <= now_ms) {
			queue_drop(q, &item, SQ_M_DROPPED_EXPIRED);
			continue;
		}
		if (item.qos == 0)
			queue_count(q, -1, &item);
		c->demand--;
		out[n++] = item;
	}
	return n;
}

static void
handing_run(struct sq_task *t)
{
	struct handing *h = SQ_CONTAINER_OF(t, struct handing, task);
	struct sq_consumer *c = h->consumer;
	struct sq_queue *q = c->queue;
	bool over;

	c->take(c, h->items, h->n);
	free(h);
	pthread_mutex_lock(&q->lock);
	over = --c->handing == 0 && c->stopped;
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
	h->n = n;
	memcpy(h->items, items, n * sizeof *items);
	c->handing++;
	sq_worker_post(c->worker, &h->task);
}

static void
queue_run(struct sq_task *t)
{
	struct sq_queue *q = SQ_CONTAINER_OF(t, struct sq_queue, task);
	struct sq_item items[HAND_MAX];
	struct sq_consumer *c;
	size_t n;

	pthread_mutex_lock(&q->lock);
	q->posted = false;
	while (q->n > 0 && (c = queue_next_consumer(q)) != NULL) {
		n = queue_hand(q, c, items);
		if (n == 0)
			continue;
		if (c->worker != q->cfg.owner) {
			queue_send(c, items, n);
			continue;
		}
		pthread_mutex_unlock(&q->lock);
		c->take(c, items, n);
		pthread_mutex_lock(&q->lock);
	}
	pthread_mutex_unlock(&q->lock);
	queue_unref(q);
}

static struct sq_queue *
memory_queue_open(struct sq_engine *e, struct sq_txn *txn, const struct sq_queue_cfg *cfg)
{
	struct sq_queue *q = sq_xcalloc(1, sizeof *q);

	(void)txn;
	q->memory = SQ_CONTAINER_OF(e, struct memory, engine);
	q->cfg = *cfg;
	q->cfg.name = sq_xstrdup(cfg->name);
	q->task.run = queue_run;
	q->next_seq = 1;
	atomic_init(&q->refs, 1);
	pthread_mutex_init(&q->lock, NULL);
	sq_list_init(&q->consumers);
	return q;
}

static void
memory_queue_close(struct sq_queue *q)
{
	pthread_mutex_lock(&q->lock);
	assert(sq_list_empty(&q->consumers));
	q->deleted = true;
	while (q->n > 0) {
		struct sq_item item = queue_pop(q);

		queue_count(q, -1, &item);
		sq_item_fini(&item);
	}
	pthread_mutex_unlock(&q->lock);
	queue_unref(q);
}

static void
memory_queue_delete(struct sq_txn *txn, struct sq_queue *q)
{
	(void)txn;
	memory_queue_close(q);
}

static bool
memory_queue_full(const struct sq_queue *cq, uint32_t bytes)
{
	struct sq_queue *q = (struct sq_queue *)(uintptr_t)cq;
	bool full;

	pthread_mutex_lock(&q->lock);
	full = queue_is_full(q, bytes);
	pthread_mutex_unlock(&q->lock);
	return full;
}

static bool
memory_queue_busy(const struct sq_queue *cq)
{
	struct sq_queue *q = (struct sq_queue *)(uintptr_t)cq;
	bool busy;

	pthread_mutex_lock(&q->lock);
	busy = q->n > BUSY_MIN &&
	    (q->n > q->cfg.max_msgs / BUSY_PART || q->bytes > q->cfg.max_bytes / BUSY_PART);
	pthread_mutex_unlock(&q->lock);
	return busy;
}

static size_t
memory_queue_depth(const struct sq_queue *cq)
{
	struct sq_queue *q = (struct sq_queue *)(uintptr_t)cq;
	size_t n;

	pthread_mutex_lock(&q->lock);
	n = q->n;
	pthread_mutex_unlock(&q->lock);
	return n;
}

/* Transactions. */

/* Makes room for an item as the policy says; under the lock. */
static bool
queue_make_room(struct sq_queue *q, const struct sq_item *for_item)
{
	uint64_t now_ms = sq_worker_now_ms(sq_worker_self());

	while (queue_is_full(q, sq_image_size(for_item->msg.image))) {
		uint64_t expires_ms = q->n > 0 ? queue_at(q, 0)->expires_ms : 0;
		bool expired = expires_ms != 0 && expires_ms <= now_ms;
		struct sq_item item;

		if (!expired && q->cfg.overflow == SQ_OVERFLOW_REJECT_PUBLISH && for_item->qos > 0)
			return true;
		if (q->n == 0 || (!expired && q->cfg.overflow != SQ_OVERFLOW_DROP_OLDEST))
			return false;
		item = queue_pop(q);
		queue_drop(q, &item, expired ? SQ_M_DROPPED_EXPIRED : SQ_M_DROPPED_FULL);
	}
	return true;
}

static int
memory_put(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item)
{
	int err = SQ_OK;

	(void)txn;
	pthread_mutex_lock(&q->lock);
	if (q->deleted) {
		sq_item_fini(item);
	} else if (!queue_make_room(q, item)) {
		sq_metric_add(&q->memory->metrics, SQ_M_DROPPED_FULL, 1);
		sq_item_fini(item);
		err = SQ_ENOMEM;
	} else {
		item->seq = q->next_seq++;
		queue_grow(q);
		*queue_at(q, q->n++) = *item;
		q->bytes += sq_image_size(item->msg.image);
		queue_count(q, 1, item);
		queue_kick(q);
	}
	pthread_mutex_unlock(&q->lock);
	return err;
}

/* Counts one attempt more; true when it was the last. */
static bool
queue_tried(const struct sq_queue *q, struct sq_item *item)
{
	if (item->attempts < UINT16_MAX)
		item->attempts++;
	return q->cfg.max_attempts != 0 && item->attempts >= q->cfg.max_attempts;
}

static bool
memory_pass(struct sq_txn *txn, struct sq_consumer *c, struct sq_item *item)
{
	struct sq_queue *q = c->queue;
	bool passes;

	(void)txn;
	pthread_mutex_lock(&q->lock);
	passes = q->n == 0 && c->demand > 0 && c->handing == 0 && !q->deleted;
	if (passes) {
		item->seq = q->next_seq++;
		c->demand--;
		if (item->qos > 0)
			queue_count(q, 1, item);
	}
	pthread_mutex_unlock(&q->lock);
	return passes;
}

static void
memory_settle(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item, enum sq_settle_how how)
{
	(void)txn;
	if (how == SQ_DONE) {
		queue_count(q, -1, item);
		return;
	}
	pthread_mutex_lock(&q->lock);
	if (item->qos == 0) /* handing it out has settled it */
		queue_count(q, 1, item);
	if (how == SQ_REJECT) {
		queue_count(q, -1, item);
		sq_metric_add(&q->memory->metrics, SQ_M_DROPPED_ATTEMPTS, 1);
	} else if (q->deleted) {
		queue_count(q, -1, item);
		sq_item_fini(item);
	} else if (how == SQ_REQUEUE && queue_tried(q, item)) {
		queue_drop(q, item, SQ_M_DROPPED_ATTEMPTS);
	} else {
		queue_push_back_in_order(q, item);
		queue_kick(q);
	}
	pthread_mutex_unlock(&q->lock);
}

static void
memory_record(struct sq_txn *txn, const struct sq_record_key *key, struct sq_bytes value)
{
	(void)txn;
	(void)key;
	(void)value;
}

static bool
memory_is_durable(const struct sq_txn *txn)
{
	(void)txn;
	return false;
}

static void
txn_run(struct sq_task *t)
{
	struct sq_txn *txn = SQ_CONTAINER_OF(t, struct sq_txn, task);

	txn->done(txn, SQ_OK);
}

static void
memory_commit(struct sq_txn *txn)
{
	txn->task.run = txn_run;
	sq_worker_post(txn->worker, &txn->task);
}

/* Consumers. */

static void
cancelled_run(struct sq_task *t)
{
	struct sq_consumer *c = SQ_CONTAINER_OF(t, struct sq_consumer, task);
	struct sq_queue *q = c->queue;

	c->queue = NULL;
	c->cancelled(c);
	queue_unref(q);
}

static void
memory_consume(struct sq_queue *q, struct sq_consumer *c)
{
	c->queue = q;
	c->demand = c->handing = 0;
	c->stopped = false;
	c->task = (struct sq_task){.run = cancelled_run};
	atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
	pthread_mutex_lock(&q->lock);
	sq_list_push_back(&q->consumers, &c->node);
	pthread_mutex_unlock(&q->lock);
}

static void
memory_demand(struct sq_consumer *c, uint32_t more)
{
	struct sq_queue *q = c->queue;

	pthread_mutex_lock(&q->lock);
	c->demand += more;
	queue_kick(q);
	pthread_mutex_unlock(&q->lock);
}

static void
memory_cancel(struct sq_consumer *c)
{
	struct sq_queue *q = c->queue;
	bool idle;

	pthread_mutex_lock(&q->lock);
	sq_list_remove(&c->node);
	c->stopped = true;
	c->demand = 0;
	idle = c->handing == 0;
	pthread_mutex_unlock(&q->lock);
	if (idle)
		sq_worker_post(c->worker, &c->task);
}

static struct sq_engine *
memory_open(const struct sq_engine_cfg *cfg, struct sq_buf *err)
{
	struct memory *m = sq_xcalloc(1, sizeof *m);

	(void)err;
	m->engine.ops = &sq_engine_memory;
	m->metrics = *cfg->metrics;
	m->engine.store = sq_random_u64();
	m->engine.boot = (uint32_t)sq_random_u64() & 0xffffff;
	return &m->engine;
}

static bool
memory_healthy(struct sq_engine *e, struct sq_buf *why)
{
	(void)e;
	(void)why;
	return true;
}

static int
memory_load(struct sq_engine *e, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg)
{
	(void)e;
	(void)kind;
	(void)fn;
	(void)arg;
	return SQ_OK;
}

static int
memory_claim(struct sq_queue *q, uint64_t seq, struct sq_item *out)
{
	(void)q;
	(void)seq;
	(void)out;
	return SQ_ENOTFOUND;
}

static void
memory_ready(struct sq_engine *e)
{
	(void)e;
}

static void
memory_close(struct sq_engine *e)
{
	free(SQ_CONTAINER_OF(e, struct memory, engine));
}

const struct sq_engine_ops sq_engine_memory = {
    .name = "memory",
    .durable = false,
    .open = memory_open,
    .close = memory_close,
    .healthy = memory_healthy,
    .load = memory_load,
    .claim = memory_claim,
    .ready = memory_ready,
    .queue_open = memory_queue_open,
    .queue_delete = memory_queue_delete,
    .queue_close = memory_queue_close,
    .queue_full = memory_queue_full,
    .queue_busy = memory_queue_busy,
    .queue_depth = memory_queue_depth,
    .put = memory_put,
    .pass = memory_pass,
    .settle = memory_settle,
    .record = memory_record,
    .is_durable = memory_is_durable,
    .commit = memory_commit,
    .consume = memory_consume,
    .demand = memory_demand,
    .cancel = memory_cancel,
};
