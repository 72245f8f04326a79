#include "stored_engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/metrics/metrics.h"
#include "broker/engine/now.h"
#include "core/mem.h"

enum { HAND_MAX = 64 };

/* --- the store --- */

struct stored_record {
	struct sq_list node; /* by key */
	struct sq_record_key key;
	unsigned char *value;
	size_t len;
};

struct stored_item {
	struct sq_list node; /* by seq */
	struct sq_item item;
};

struct stored_queue {
	struct sq_list node;
	char *name;
	struct sq_list items;
	uint64_t next_seq;
	struct sq_queue *live; /* NULL: nobody has opened it */
};

static struct sq_list records = {&records, &records};
static struct sq_list queues = {&queues, &queues};
static size_t n_commits;
static uint32_t boots;
static bool crashed, holding, sick, full;

/* --- a life of the broker --- */

struct stored {
	struct sq_engine engine;
	struct sq_metrics metrics;
	uint64_t txn_items;
};

struct sq_queue {
	struct stored *stored;
	struct sq_queue_cfg cfg;
	struct stored_queue *kept; /* NULL: not durable, or not committed yet */
	struct sq_task task;
	struct sq_list items; /* struct stored_item: waiting */
	size_t n, n_coming;   /* waiting; in transactions on their way */
	size_t n_out;         /* handed out and not settled */
	size_t n_unsent;      /* handed out and not sent */
	uint64_t bytes, out_bytes, unsent_bytes, next_seq;
	struct sq_list consumers;
	unsigned refs;
	bool posted, dead;
	unsigned takers;
	uint64_t lonely_since_ms;
};

enum op_kind { OP_CREATE, OP_DELETE, OP_PUT, OP_SETTLE, OP_RECORD };

struct op {
	struct sq_list node;
	enum op_kind kind;
	struct sq_queue *q; /* a reference */
	struct sq_item item;
	enum sq_settle_how how;
	struct sq_record_key key;
	unsigned char *value;
	size_t len;
};

/* What a transaction holds; made by its first operation. */
struct part {
	struct sq_list node;
	struct sq_txn *txn;
	struct sq_list ops;
	bool durable;
};

static struct sq_list building = {&building, &building};
static struct sq_list waiting = {&waiting, &waiting};

/* A transaction of the engine's own, for dead(). */
struct own_txn {
	struct sq_txn txn;
};

static struct sq_item
item_copy(const struct sq_item *from)
{
	struct sq_item item = *from;

	item.msg = sq_msg_clone(&from->msg);
	if (item.subs != NULL)
		sq_block_ref(item.subs);
	return item;
}

static struct stored_item *
items_find(const struct sq_list *items, uint64_t seq)
{
	SQ_LIST_FOR_EACH(i, items, struct stored_item, node) {
		if (i->item.seq == seq)
			return i;
	}
	return NULL;
}

static void
items_add(struct sq_list *items, const struct sq_item *item)
{
	struct stored_item *i = sq_xcalloc(1, sizeof *i), *at = NULL;

	i->item = *item;
	SQ_LIST_FOR_EACH(other, items, struct stored_item, node) {
		if (other->item.seq > item->seq) {
			at = other;
			break;
		}
	}
	sq_list_insert(at != NULL ? &at->node : items, &i->node);
}

static struct sq_item
items_take(struct stored_item *i)
{
	struct sq_item item = i->item;

	sq_list_remove(&i->node);
	free(i);
	return item;
}

static void
items_clear(struct sq_list *items)
{
	SQ_LIST_FOR_EACH_SAFE(i, items, struct stored_item, node) {
		struct sq_item item = items_take(i);

		sq_item_fini(&item);
	}
}

static struct stored_queue *
kept_find(const char *name)
{
	SQ_LIST_FOR_EACH(k, &queues, struct stored_queue, node) {
		if (strcmp(k->name, name) == 0)
			return k;
	}
	return NULL;
}

static struct stored_queue *
kept_new(const char *name)
{
	struct stored_queue *k = sq_xcalloc(1, sizeof *k);

	k->name = sq_xstrdup(name);
	k->next_seq = 1;
	sq_list_init(&k->items);
	sq_list_push_back(&queues, &k->node);
	return k;
}

static void
kept_free(struct stored_queue *k)
{
	if (k->live != NULL)
		k->live->kept = NULL;
	items_clear(&k->items);
	sq_list_remove(&k->node);
	free(k->name);
	free(k);
}

static int
key_order(const struct sq_record_key *a, const struct sq_record_key *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->sub < b->sub ? -1 : a->sub > b->sub;
}

static void
record_free(struct stored_record *r)
{
	sq_list_remove(&r->node);
	free(r->value);
	free(r);
}

static void
record_set(const struct sq_record_key *key, const unsigned char *value, size_t len)
{
	struct sq_list *at = &records;
	struct stored_record *r;

	SQ_LIST_FOR_EACH_SAFE(old, &records, struct stored_record, node) {
		int order = key_order(&old->key, key);

		if (order == 0) {
			record_free(old);
		} else if (order > 0) {
			at = &old->node;
			break;
		}
	}
	if (value == NULL)
		return;
	r = sq_xcalloc(1, sizeof *r);
	r->key = *key;
	r->value = sq_xmalloc(len + 1);
	memcpy(r->value, value, len);
	r->len = len;
	sq_list_insert(at, &r->node);
}

/* --- queues in memory --- */

static void
queue_ref(struct sq_queue *q)
{
	q->refs++;
}

static void
queue_unref(struct sq_queue *q)
{
	if (--q->refs > 0)
		return;
	assert(q->dead && sq_list_empty(&q->items));
	free((void *)(uintptr_t)q->cfg.name);
	free(q);
}

static void
queue_count(const struct sq_queue *q, int64_t n, int64_t bytes)
{
	sq_metric_add(&q->stored->metrics, SQ_M_QUEUED, n);
	sq_metric_add(&q->stored->metrics, SQ_M_QUEUED_BYTES, bytes);
}

static void
queue_kick(struct sq_queue *q)
{
	if (q->posted || q->n == 0 || sq_list_empty(&q->consumers))
		return;
	q->posted = true;
	queue_ref(q);
	sq_worker_post(q->cfg.owner, &q->task);
}

static void
queue_add(struct sq_queue *q, struct sq_item *item)
{
	if (q->dead) {
		sq_item_fini(item);
		return;
	}
	q->n++;
	q->bytes += sq_image_size(item->msg.image);
	queue_count(q, 1, sq_image_size(item->msg.image));
	items_add(&q->items, item);
	queue_kick(q);
}

static struct sq_item
queue_take(struct sq_queue *q, struct stored_item *i)
{
	uint32_t size = sq_image_size(i->item.msg.image);

	q->n--;
	q->bytes -= size;
	queue_count(q, -1, -(int64_t)size);
	return items_take(i);
}

static void
queue_out(struct sq_queue *q, int by, const struct sq_item *item)
{
	int64_t size = sq_image_size(item->msg.image);

	if (q->dead)
		return;
	q->n_out += (size_t)(ptrdiff_t)by;
	q->out_bytes += (uint64_t)(by * size);
	queue_count(q, by, by * size);
}

static void
stored_sent(struct sq_queue *q, uint32_t n, uint64_t bytes)
{
	assert(q->n_unsent >= n && q->unsent_bytes >= bytes);
	q->n_unsent -= n;
	q->unsent_bytes -= bytes;
}

static void
own_done(struct sq_txn *txn, int err)
{
	(void)err;
	free(SQ_CONTAINER_OF(txn, struct own_txn, txn));
}

static void
stored_settle(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item, enum sq_settle_how how);
static void stored_commit(struct sq_txn *txn);
static struct op *op_new(struct sq_txn *txn, enum op_kind kind, struct sq_queue *q);

/* An item leaves undelivered; takes it. */
static void
queue_dead(struct sq_queue *q, struct sq_txn *txn, struct sq_item *item, enum sq_death why)
{
	static const enum sq_broker_metric counters[] = {[SQ_DEAD_EXPIRED] = SQ_M_DROPPED_EXPIRED,
	    [SQ_DEAD_ATTEMPTS] = SQ_M_DROPPED_ATTEMPTS,
	    [SQ_DEAD_REJECTED] = SQ_M_DROPPED_ATTEMPTS,
	    [SQ_DEAD_UNFINISHED] = SQ_M_DROPPED_UNFINISHED,
	    [SQ_DEAD_OVERFLOW] = SQ_M_DROPPED_FULL,
	    [SQ_DEAD_ABANDONED] = SQ_M_DROPPED_ABANDONED};

	if (!q->cfg.uncounted || why != SQ_DEAD_OVERFLOW)
		sq_metric_add(&q->stored->metrics, counters[why], 1);
	if (q->cfg.dead != NULL && item->qos > 0)
		q->cfg.dead(q->cfg.arg, txn, item, why);
	if (item->stored) {
		struct op *op = op_new(txn, OP_SETTLE, q);

		op->item.seq = item->seq;
		op->how = SQ_DONE;
	}
	sq_item_fini(item);
}

static struct sq_txn *
own_txn(struct sq_queue *q)
{
	struct own_txn *own = sq_xcalloc(1, sizeof *own);

	own->txn = (struct sq_txn){
	    .worker = q->cfg.owner, .engine = &q->stored->engine, .done = own_done};
	return &own->txn;
}

static struct sq_consumer *
queue_next_consumer(struct sq_queue *q)
{
	SQ_LIST_FOR_EACH(c, &q->consumers, struct sq_consumer, node) {
		if (c->way.msgs > 0 ||
		    !sq_demand_covers(
			&c->demand, &SQ_LIST_FIRST(&q->items, struct stored_item, node)->item))
			continue;
		sq_list_remove(&c->node);
		sq_list_push_back(&q->consumers, &c->node);
		return c;
	}
	return NULL;
}

/* A hand-out on its way to its consumer's worker. */
struct handing {
	struct sq_task task;
	struct sq_consumer *consumer;
	size_t n;
	struct sq_item items[HAND_MAX];
};

static void
handing_run(struct sq_task *t)
{
	struct handing *h = SQ_CONTAINER_OF(t, struct handing, task);
	struct sq_consumer *c = h->consumer;

	c->take(c, h->items, h->n);
	free(h);
	c->way.msgs = 0;
	if (c->stopped)
		sq_worker_post(c->worker, &c->task);
	else
		queue_kick(c->queue);
}

static void
queue_hand(struct sq_queue *q, struct sq_consumer *c)
{
	struct handing *h = sq_xcalloc(1, sizeof *h);
	uint64_t now_ms = sq_worker_now_ms(q->cfg.owner);
	bool alone = c->node.next == c->node.prev;

	while (h->n < HAND_MAX && q->n > 0 && (alone || h->n == 0)) {
		struct stored_item *first = SQ_LIST_FIRST(&q->items, struct stored_item, node);
		struct sq_item item;

		if (!sq_demand_covers(&c->demand, &first->item))
			break;
		item = queue_take(q, first);

		if (item.expires_ms != 0 && item.expires_ms <= now_ms) {
			struct sq_txn *txn = own_txn(q);

			queue_dead(q, txn, &item, SQ_DEAD_EXPIRED);
			stored_commit(txn);
			continue;
		}
		if (item.qos > 0)
			queue_out(q, 1, &item);
		sq_demand_take(&c->demand, &item);
		item.unsent = true;
		q->n_unsent++;
		q->unsent_bytes += sq_image_size(item.msg.image);
		h->items[h->n++] = item;
	}
	if (h->n == 0) {
		free(h);
		return;
	}
	if (c->worker == q->cfg.owner) {
		c->take(c, h->items, h->n);
		free(h);
		return;
	}
	h->consumer = c;
	h->task = (struct sq_task){.run = handing_run};
	c->way.msgs = (uint32_t)h->n;
	sq_worker_post(c->worker, &h->task);
}

static void
queue_run(struct sq_task *t)
{
	struct sq_queue *q = SQ_CONTAINER_OF(t, struct sq_queue, task);
	struct sq_consumer *c;

	q->posted = false;
	while (!q->cfg.paused && q->n > 0 && (c = queue_next_consumer(q)) != NULL)
		queue_hand(q, c);
	queue_unref(q);
}

/* --- transactions --- */

static struct part *
part_find(const struct sq_txn *txn)
{
	SQ_LIST_FOR_EACH(p, &building, struct part, node) {
		if (p->txn == txn)
			return p;
	}
	return NULL;
}

static struct op *
op_new(struct sq_txn *txn, enum op_kind kind, struct sq_queue *q)
{
	struct part *p = part_find(txn);
	struct op *op = sq_xcalloc(1, sizeof *op);

	if (p == NULL) {
		p = sq_xcalloc(1, sizeof *p);
		p->txn = txn;
		sq_list_init(&p->ops);
		sq_list_push_back(&building, &p->node);
	}
	op->kind = kind;
	op->q = q;
	if (q != NULL)
		queue_ref(q);
	p->durable = true;
	sq_list_push_back(&p->ops, &op->node);
	return op;
}

static void
op_free(struct op *op)
{
	sq_list_remove(&op->node);
	if (op->q != NULL)
		queue_unref(op->q);
	free(op->value);
	free(op);
}

static void
op_put(struct op *op)
{
	struct sq_queue *q = op->q;
	struct stored_queue *k = q->kept;

	q->n_coming--;
	if (k == NULL || crashed) {
		sq_item_fini(&op->item);
		return;
	}
	op->item.seq = k->next_seq++;
	op->item.stored = true;
	{
		struct sq_item copy = item_copy(&op->item);

		copy.attempts = 0;
		items_add(&k->items, &copy);
	}
	queue_add(q, &op->item);
}

static void
op_settle(struct op *op)
{
	struct stored_item *i = op->q->kept != NULL ? items_find(&op->q->kept->items, op->item.seq)
						    : NULL;

	if (i == NULL || crashed)
		return;
	if (op->how == SQ_REQUEUE || op->how == SQ_TRIED) {
		i->item.attempts++;
	} else if (op->how == SQ_DONE || op->how == SQ_REJECT) {
		struct sq_item item = items_take(i);

		sq_item_fini(&item);
	}
}

static void
op_apply(struct op *op)
{
	switch (op->kind) {
	case OP_CREATE:
		if (!crashed && !op->q->dead) {
			op->q->kept = kept_new(op->q->cfg.name);
			op->q->kept->live = op->q;
		}
		break;
	case OP_DELETE:
		if (!crashed && op->q->kept != NULL)
			kept_free(op->q->kept);
		break;
	case OP_PUT:
		op_put(op);
		break;
	case OP_SETTLE:
		op_settle(op);
		break;
	case OP_RECORD:
		if (!crashed)
			record_set(&op->key, op->value, op->len);
		break;
	}
}

static void
done_run(struct sq_task *t)
{
	struct sq_txn *txn = SQ_CONTAINER_OF(t, struct sq_txn, task);

	txn->done(txn, SQ_OK);
}

static void
part_commit(struct part *p)
{
	struct sq_txn *txn = p->txn;

	n_commits++;
	SQ_LIST_FOR_EACH_SAFE(op, &p->ops, struct op, node) {
		op_apply(op);
		op_free(op);
	}
	sq_list_remove(&p->node);
	free(p);
	txn->task = (struct sq_task){.run = done_run};
	sq_worker_post(txn->worker, &txn->task);
}

static void
stored_commit(struct sq_txn *txn)
{
	struct part *p = part_find(txn);

	if (p == NULL) {
		txn->task = (struct sq_task){.run = done_run};
		sq_worker_post(txn->worker, &txn->task);
	} else if (holding) {
		sq_list_remove(&p->node);
		sq_list_push_back(&waiting, &p->node);
	} else {
		part_commit(p);
	}
}

static bool
stored_is_durable(const struct sq_txn *txn)
{
	return part_find(txn) != NULL;
}

static void
stored_record(struct sq_txn *txn, const struct sq_record_key *key, struct sq_bytes value)
{
	struct op *op = op_new(txn, OP_RECORD, NULL);

	op->key = *key;
	if (value.p == NULL)
		return;
	op->value = sq_xmalloc(value.len + 1);
	memcpy(op->value, value.p, value.len);
	op->len = value.len;
}

static bool
queue_is_full(const struct sq_queue *q, uint32_t bytes)
{
	size_t n = q->n + q->n_unsent + q->n_coming;

	return ((sick || full) && q->cfg.durable) || n >= q->cfg.max_msgs ||
	    (n > 0 && q->bytes + q->unsent_bytes + bytes > q->cfg.max_bytes);
}

/* Whether it yields, but for what its oldest is. */
static bool
queue_yields(const struct sq_queue *q)
{
	return q->cfg.yields == SQ_YIELD_ALWAYS ||
	    (q->cfg.yields == SQ_YIELD_LONELY && q->takers == 0);
}

static bool
queue_first_goes(const struct sq_queue *q)
{
	return q->n > 0 && !SQ_LIST_FIRST(&q->items, struct stored_item, node)->item.assured;
}

static void
queue_make_way(struct sq_queue *q, struct sq_txn *txn, const struct sq_item *item)
{
	enum sq_death why = q->cfg.yields == SQ_YIELD_ALWAYS ? SQ_DEAD_OVERFLOW : SQ_DEAD_ABANDONED;

	while (queue_yields(q) && !item->assured && queue_first_goes(q) &&
	    queue_is_full(q, sq_image_size(item->msg.image))) {
		struct sq_item oldest = queue_take(
		    q, SQ_LIST_FIRST(&q->items, struct stored_item, node));

		queue_dead(q, txn, &oldest, why);
	}
}

static bool
queue_make_room(struct sq_queue *q, struct sq_txn *txn, const struct sq_item *item)
{
	while (queue_is_full(q, sq_image_size(item->msg.image))) {
		struct sq_item oldest;

		if (q->cfg.overflow == SQ_OVERFLOW_REJECT_PUBLISH && item->qos > 0) {
			queue_make_way(q, txn, item);
			return true;
		}
		if (q->cfg.overflow != SQ_OVERFLOW_DROP_OLDEST || q->n == 0)
			return false;
		oldest = queue_take(q, SQ_LIST_FIRST(&q->items, struct stored_item, node));
		queue_dead(q, txn, &oldest, SQ_DEAD_OVERFLOW);
	}
	return true;
}

static bool
stored_txn_room(const struct sq_txn *txn, uint64_t items, uint64_t bytes)
{
	const struct part *p = part_find(txn);

	(void)bytes;
	for (const struct sq_list *at = p != NULL ? p->ops.next : NULL; at != NULL && at != &p->ops;
	     at = at->next)
		items++;
	return items <= SQ_CONTAINER_OF(txn->engine, struct stored, engine)->txn_items;
}

static int
stored_put(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item)
{
	struct op *op;

	if (q->dead) {
		sq_item_fini(item);
		return SQ_OK;
	}
	if (!queue_make_room(q, txn, item)) {
		sq_metric_add(&q->stored->metrics, SQ_M_DROPPED_FULL, 1);
		if (q->cfg.dropped != NULL)
			atomic_fetch_add(q->cfg.dropped, 1);
		sq_item_fini(item);
		return SQ_ENOMEM;
	}
	if (!q->cfg.durable || item->qos == 0) {
		item->seq = q->kept != NULL ? q->kept->next_seq++ : q->next_seq++;
		item->stored = false;
		queue_add(q, item);
		return SQ_OK;
	}
	op = op_new(txn, OP_PUT, q);
	op->item = *item;
	q->n_coming++;
	return SQ_OK;
}

static bool
stored_pass(struct sq_txn *txn, struct sq_consumer *c, struct sq_item *item)
{
	struct sq_queue *q = c->queue;

	(void)txn;
	if ((q->cfg.durable && item->qos > 0) || q->n > 0 || q->n_coming > 0 || c->way.msgs > 0 ||
	    !sq_demand_covers(&c->demand, item) || q->dead)
		return false;
	item->seq = q->kept != NULL ? q->kept->next_seq++ : q->next_seq++;
	item->stored = false;
	sq_demand_take(&c->demand, item);
	if (item->qos > 0)
		queue_out(q, 1, item);
	return true;
}

/* The item stays the consumer's. */
static void
stored_tried(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item)
{
	struct op *op;

	if (item->attempts < UINT16_MAX)
		item->attempts++;
	if (!item->stored)
		return;
	op = op_new(txn, OP_SETTLE, q);
	op->item.seq = item->seq;
	op->how = SQ_TRIED;
}

/* Whether the item leaves undelivered. */
static bool
stored_dies(const struct sq_queue *q, const struct sq_item *item, enum sq_settle_how how)
{
	return how >= SQ_REJECT ||
	    (how == SQ_REQUEUE && q->cfg.max_attempts != 0 &&
		item->attempts >= q->cfg.max_attempts);
}

static void
stored_settle(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item, enum sq_settle_how how)
{
	static const enum sq_death deaths[] = {
	    [SQ_REQUEUE] = SQ_DEAD_ATTEMPTS,
	    [SQ_REJECT] = SQ_DEAD_REJECTED,
	    [SQ_EXHAUSTED] = SQ_DEAD_ATTEMPTS,
	    [SQ_EXPIRED] = SQ_DEAD_EXPIRED,
	    [SQ_UNFINISHED] = SQ_DEAD_UNFINISHED,
	};

	if (how == SQ_TRIED) {
		stored_tried(txn, q, item);
		return;
	}
	if (item->unsent)
		stored_sent(q, 1, sq_image_size(item->msg.image));
	item->unsent = false;
	if (item->qos > 0)
		queue_out(q, -1, item);
	if (how == SQ_REQUEUE && item->attempts < UINT16_MAX)
		item->attempts++;
	if (stored_dies(q, item, how)) {
		struct sq_item dead = how == SQ_REQUEUE ? *item : item_copy(item);

		queue_dead(q, txn, &dead, deaths[how]);
		return;
	}
	if (item->stored && how != SQ_UNTRIED) {
		struct op *op = op_new(txn, OP_SETTLE, q);

		op->item.seq = item->seq;
		op->how = how;
	}
	if (how != SQ_DONE)
		queue_add(q, item);
}

/* --- queues, by the vtable --- */

static struct sq_queue *
stored_queue_open(struct sq_engine *e, struct sq_txn *txn, const struct sq_queue_cfg *cfg)
{
	struct sq_queue *q = sq_xcalloc(1, sizeof *q);
	struct stored_queue *k;

	q->stored = SQ_CONTAINER_OF(e, struct stored, engine);
	q->cfg = *cfg;
	q->cfg.name = sq_xstrdup(cfg->name);
	q->task.run = queue_run;
	q->next_seq = 1;
	q->lonely_since_ms = sq_engine_now_ms();
	q->refs = 1;
	sq_list_init(&q->items);
	sq_list_init(&q->consumers);
	if (!cfg->durable)
		return q;
	k = kept_find(cfg->name);
	if (k == NULL) {
		assert(txn != NULL); /* in a test nobody wants one that is not kept */
		op_new(txn, OP_CREATE, q);
		return q;
	}
	assert(k->live == NULL);
	k->live = q;
	q->kept = k;
	SQ_LIST_FOR_EACH(i, &k->items, struct stored_item, node) {
		struct sq_item copy = item_copy(&i->item);

		copy.stored = true;
		queue_add(q, &copy);
	}
	return q;
}

static void
queue_end(struct sq_queue *q)
{
	assert(sq_list_empty(&q->consumers));
	while (q->n > 0) {
		struct sq_item item = queue_take(
		    q, SQ_LIST_FIRST(&q->items, struct stored_item, node));

		sq_item_fini(&item);
	}
	q->dead = true;
}

static void
stored_queue_delete(struct sq_txn *txn, struct sq_queue *q)
{
	if (q->cfg.durable) {
		assert(txn != NULL);
		op_new(txn, OP_DELETE, q);
	}
	queue_end(q);
	queue_count(q, -(int64_t)q->n_out, -(int64_t)q->out_bytes);
	queue_unref(q);
}

static void
stored_queue_close(struct sq_queue *q)
{
	queue_end(q);
	if (q->kept != NULL)
		q->kept->live = NULL;
	q->kept = NULL;
	queue_unref(q);
}

static void
stored_queue_limits(struct sq_queue *q, const struct sq_queue_cfg *cfg)
{
	q->cfg.max_msgs = cfg->max_msgs;
	q->cfg.max_bytes = cfg->max_bytes;
	q->cfg.max_attempts = cfg->max_attempts;
	q->cfg.overflow = cfg->overflow;
	q->cfg.yields = cfg->yields;
}

static void
stored_queue_pause(struct sq_queue *q, bool paused)
{
	q->cfg.paused = paused;
	queue_kick(q);
}

static bool
stored_queue_full(const struct sq_queue *q, uint32_t bytes)
{
	return queue_is_full(q, bytes);
}

static bool
stored_queue_busy(const struct sq_queue *q)
{
	(void)q;
	return false;
}

static size_t
stored_queue_depth(const struct sq_queue *q)
{
	return q->n + q->n_unsent;
}

static void
stored_queue_attend(struct sq_queue *q, int by)
{
	q->takers += (unsigned)by;
	q->lonely_since_ms = q->takers == 0 ? sq_engine_now_ms() : 0;
}

static bool
stored_queue_yields(const struct sq_queue *q, uint32_t bytes)
{
	(void)bytes;
	return queue_yields(q) && !((sick || full) && q->cfg.durable) &&
	    (q->n == 0 || queue_first_goes(q));
}

static void
stored_queue_state(const struct sq_queue *q, struct sq_queue_state *out)
{
	*out = (struct sq_queue_state){
	    .memory = UINT64_MAX,
	    .fair = UINT64_MAX,
	    .share = UINT64_MAX,
	    .n = q->n + q->n_unsent,
	    .bytes = q->bytes + q->unsent_bytes,
	    .unsettled = q->n_out > q->n_unsent ? q->n_out - q->n_unsent : 0,
	    .last = (q->kept != NULL ? q->kept->next_seq : q->next_seq) - 1,
	    .takers = q->takers,
	    .max_msgs = q->cfg.max_msgs,
	    .max_bytes = q->cfg.max_bytes,
	    .lonely_since_ms = q->lonely_since_ms,
	};
	if (q->n > 0)
		out->first = SQ_LIST_FIRST(&q->items, struct stored_item, node)->item.seq;
}

static bool
stored_queue_empty(const struct sq_queue *q)
{
	return q->n == 0 && q->n_coming == 0;
}

/* --- consumers --- */

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
stored_consume(struct sq_queue *q, struct sq_consumer *c)
{
	c->queue = q;
	c->demand = c->way = (struct sq_demand){0};
	c->stopped = false;
	c->task = (struct sq_task){.run = cancelled_run};
	queue_ref(q);
	sq_list_push_back(&q->consumers, &c->node);
}

static void
stored_demand(struct sq_consumer *c, const struct sq_demand *all)
{
	c->demand = *all;
	c->demand.msgs -= c->way.msgs < all->msgs ? c->way.msgs : all->msgs;
	queue_kick(c->queue);
}

static void
stored_cancel(struct sq_consumer *c)
{
	sq_list_remove(&c->node);
	c->stopped = true;
	c->demand = (struct sq_demand){0};
	if (c->way.msgs == 0)
		sq_worker_post(c->worker, &c->task);
}

/* --- start and end --- */

static struct sq_engine *
stored_open(const struct sq_engine_cfg *cfg, struct sq_buf *err)
{
	struct stored *e = sq_xcalloc(1, sizeof *e);

	(void)err;
	crashed = false;
	e->engine.ops = &stored_engine;
	e->metrics = *cfg->metrics;
	e->txn_items = cfg->txn_items != 0 ? cfg->txn_items : UINT64_MAX;
	e->engine.store = 4711;
	e->engine.boot = ++boots;
	return &e->engine;
}

static void
stored_close(struct sq_engine *e)
{
	assert(sq_list_empty(&building) && sq_list_empty(&waiting));
	SQ_LIST_FOR_EACH(k, &queues, struct stored_queue, node)
		k->live = NULL;
	free(SQ_CONTAINER_OF(e, struct stored, engine));
}

static bool
stored_healthy(struct sq_engine *e, struct sq_buf *why)
{
	(void)e;
	if (sick)
		sq_buf_printf(why, "it is sick");
	return !sick;
}

static bool
stored_full(const struct sq_engine *e)
{
	(void)e;
	return full || sick;
}

static bool
stored_stalled(struct sq_engine *e)
{
	(void)e;
	return sick;
}

static int
stored_load(struct sq_engine *e, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg)
{
	(void)e;
	SQ_LIST_FOR_EACH(r, &records, struct stored_record, node) {
		if (r->key.kind == kind)
			fn(arg, &r->key, (struct sq_bytes){r->value, r->len});
	}
	return SQ_OK;
}

static int
stored_claim(struct sq_queue *q, uint64_t seq, struct sq_item *out)
{
	struct stored_item *i = items_find(&q->items, seq);

	if (i == NULL)
		return SQ_ENOTFOUND;
	*out = queue_take(q, i);
	queue_out(q, 1, out);
	return SQ_OK;
}

static void
stored_ready(struct sq_engine *e)
{
	(void)e;
	SQ_LIST_FOR_EACH_SAFE(k, &queues, struct stored_queue, node) {
		if (k->live == NULL)
			kept_free(k);
	}
}

static int
stored_queue_draw(struct sq_queue *q, uint64_t from, uint64_t upto, struct sq_item *out)
{
	SQ_LIST_FOR_EACH(i, &q->items, struct stored_item, node) {
		if (i->item.seq < from || i->item.seq > upto)
			continue;
		*out = queue_take(q, i);
		if (out->qos > 0)
			queue_out(q, 1, out);
		return SQ_OK;
	}
	return SQ_ENOTFOUND;
}

const struct sq_engine_ops stored_engine = {
    .name = "stored",
    .durable = true,
    .open = stored_open,
    .close = stored_close,
    .healthy = stored_healthy,
    .stalled = stored_stalled,
    .full = stored_full,
    .start =
	{
	    .load = stored_load,
	    .claim = stored_claim,
	    .ready = stored_ready,
	},
    .queue =
	{
	    .open = stored_queue_open,
	    .delete = stored_queue_delete,
	    .close = stored_queue_close,
	    .limits = stored_queue_limits,
	    .pause = stored_queue_pause,
	    .full = stored_queue_full,
	    .busy = stored_queue_busy,
	    .depth = stored_queue_depth,
	    .attend = stored_queue_attend,
	    .yields = stored_queue_yields,
	    .state = stored_queue_state,
	    .draw = stored_queue_draw,
	    .empty = stored_queue_empty,
	},
    .txn =
	{
	    .room = stored_txn_room,
	    .put = stored_put,
	    .pass = stored_pass,
	    .settle = stored_settle,
	    .record = stored_record,
	    .is_durable = stored_is_durable,
	    .commit = stored_commit,
	},
    .consumer =
	{
	    .consume = stored_consume,
	    .demand = stored_demand,
	    .sent = stored_sent,
	    .cancel = stored_cancel,
	},
};

/* --- the test's side --- */

void
stored_engine_reset(void)
{
	SQ_LIST_FOR_EACH_SAFE(r, &records, struct stored_record, node)
		record_free(r);
	SQ_LIST_FOR_EACH_SAFE(k, &queues, struct stored_queue, node)
		kept_free(k);
	crashed = holding = sick = full = false;
	n_commits = 0;
}

void
stored_engine_crash(void)
{
	crashed = true;
	holding = sick = full = false;
	while (!sq_list_empty(&waiting)) /* their owners must still be able to end */
		part_commit(SQ_LIST_FIRST(&waiting, struct part, node));
}

void
stored_engine_hold(bool hold)
{
	holding = hold;
}

size_t
stored_engine_waiting(void)
{
	size_t n = 0;

	SQ_LIST_FOR_EACH(p, &waiting, struct part, node)
		n++;
	return n;
}

void
stored_engine_release(void)
{
	struct part *p = SQ_LIST_FIRST(&waiting, struct part, node);

	assert(p != NULL);
	part_commit(p);
}

void
stored_engine_sick(bool is_sick)
{
	sick = is_sick;
}

void
stored_engine_full(bool is_full)
{
	full = is_full;
}

void
stored_engine_forget(uint8_t kind)
{
	SQ_LIST_FOR_EACH_SAFE(r, &records, struct stored_record, node) {
		if (r->key.kind == kind)
			record_free(r);
	}
}

void
stored_engine_clear(uint8_t kind, size_t offset, unsigned char bits)
{
	SQ_LIST_FOR_EACH(r, &records, struct stored_record, node) {
		if (r->key.kind == kind)
			r->value[offset] &= (unsigned char)~bits;
	}
}

size_t
stored_engine_records(uint8_t kind)
{
	size_t n = 0;

	SQ_LIST_FOR_EACH(r, &records, struct stored_record, node)
		n += kind == 0 || r->key.kind == kind;
	return n;
}

size_t
stored_engine_queues(void)
{
	size_t n = 0;

	SQ_LIST_FOR_EACH(k, &queues, struct stored_queue, node)
		n++;
	return n;
}

size_t
stored_engine_items(void)
{
	size_t n = 0;

	SQ_LIST_FOR_EACH(k, &queues, struct stored_queue, node) {
		SQ_LIST_FOR_EACH(i, &k->items, struct stored_item, node)
			n++;
	}
	return n;
}

size_t
stored_engine_commits(void)
{
	return n_commits;
}
