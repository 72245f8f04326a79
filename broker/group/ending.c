#include "broker/group/ending.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/shard/source.h"
#include "broker/shard/system_txn.h"
#include "broker/engine/record.h"
#include "core/bytes.h"
#include "core/fault.h"
#include "core/htab.h"
#include "core/log.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	SLICE_MSGS = 64, /* in one transaction, */
	SLICE_BYTES = 1 << 20,
	READING_MAX = 256, /* of a shard at a time: each has memory for a slice */
	VERSION = 1,
	FLAG_DURABLE = 1, /* of the source */
};

struct sq_ending {
	struct sq_task task, release;
	struct sq_list node; /* of the shard, once it has begun */
	struct sq_consumer consumer;
	struct sq_txn txn; /* under way while 'committing' */
	struct sq_broker *broker;
	struct sq_shard *shard; /* the queue's owner's */
	struct sq_queue *queue;
	struct sq_source *source;
	char *queue_name; /* in the store */
	uint64_t id;      /* of its record; 0: it has none */
	enum sq_ending_why why;
	bool begun, lent, consumes, committing, deleted;
	struct sq_item *items; /* up to SLICE_MSGS that it was handed */
	uint32_t n_items;
	uint32_t largest;                   /* bytes of an image, so far */
	uint64_t n_msgs, n_letters;         /* committed, over all lives of the broker */
	uint32_t slice_msgs, slice_letters; /* in 'txn' */
};

struct sq_endings {
	struct sq_list list;
	unsigned reading; /* of them, at the moment */
};

static const struct {
	enum sq_broker_metric metric;
	const char *name; /* for logs and dead letters, as the metric has it */
} reasons[] = {
    [SQ_ENDING_EXPIRED] = {SQ_M_DELETED_QUEUE_EXPIRED, "queue-expired"},
    [SQ_ENDING_LEFT] = {SQ_M_DELETED_QUEUE_LEFT, "queue-left"},
    [SQ_ENDING_SESSION_ENDED] = {SQ_M_DELETED_SESSION_ENDED, "session-ended"},
    [SQ_ENDING_DELETED] = {SQ_M_DELETED_QUEUE_DELETED, "queue-deleted"},
    [SQ_ENDING_SESSION_EXPIRED] = {SQ_M_DELETED_SESSION_EXPIRED, "session-expired"},
};

static const struct sq_engine_ops *
ending_ops(const struct sq_ending *e)
{
	return e->broker->engine->ops;
}

/* Records. */

/* An ending: u8 1, u8 why, u8 flags (1 its dead-letter source is durable), u8 0, u64
 * messages and u64 dead letters so far, then bytes16: tenant, name of the queue in the
 * store, name of the source. */
static void
ending_store(const struct sq_ending *e, struct sq_txn *txn)
{
	struct sq_record_key key = {SQ_RECORD_ENDING, e->id, 0};
	struct sq_buf v = {0};

	sq_buf_u8(&v, VERSION);
	sq_buf_u8(&v, (uint8_t)e->why);
	sq_buf_u8(&v, sq_source_durable(e->source) ? FLAG_DURABLE : 0);
	sq_buf_u8(&v, 0);
	sq_buf_u64(&v, e->n_msgs + e->slice_msgs);
	sq_buf_u64(&v, e->n_letters + e->slice_letters);
	sq_record_put_name(&v, sq_tenant_name(sq_source_tenant(e->source)));
	sq_record_put_name(&v, e->queue_name);
	sq_record_put_name(&v, sq_source_name(e->source));
	sq_record_write(txn, &key, &v);
}

/* Life. */

struct sq_endings *
sq_endings_new(void)
{
	struct sq_endings *es = sq_xcalloc(1, sizeof *es);

	sq_list_init(&es->list);
	return es;
}

void
sq_endings_free(struct sq_endings **ep)
{
	struct sq_endings *es = *ep;

	*ep = NULL;
	assert(es == NULL || sq_list_empty(&es->list));
	free(es);
}

static void
ending_free(struct sq_ending *e)
{
	struct sq_broker *b = e->broker;

	sq_list_remove(&e->node);
	sq_source_free(&e->source, e->shard->worker);
	sq_count(b, SQ_M_QUEUES_ENDING, -1);
	free(e->items);
	free(e->queue_name);
	free(e);
	sq_broker_object(b, -1);
}

static void
ending_over(struct sq_ending *e)
{
	const char *name = sq_source_name(e->source), *why = reasons[e->why].name;
	unsigned long long n = e->n_msgs, letters = e->n_letters;

	if (n > 0 && sq_source_durable(e->source))
		SQ_WARN("broker",
		    "queue %s is deleted (%s) with %llu messages: %llu are dead letters now", name,
		    why, n, letters);
	else if (n > 0)
		SQ_DEBUG("broker",
		    "queue %s is deleted (%s) with %llu messages: %llu are dead letters now", name,
		    why, n, letters);
	ending_free(e);
}

static void ending_step(struct sq_ending *e);

static void
ending_done(struct sq_txn *txn, int err)
{
	struct sq_ending *e = SQ_CONTAINER_OF(txn, struct sq_ending, txn);

	(void)err; /* what did not become durable is found again at the next start */
	e->committing = false;
	e->n_msgs += e->slice_msgs;
	e->n_letters += e->slice_letters;
	sq_count(e->broker, reasons[e->why].metric, e->slice_msgs);
	e->slice_msgs = e->slice_letters = 0;
	if (e->deleted) {
		ending_over(e);
		return;
	}
	SQ_FAULT("broker-ending-slice-committed");
	ending_step(e);
}

static struct sq_txn *
ending_txn(struct sq_ending *e)
{
	assert(!e->committing);
	e->committing = true;
	e->txn = (struct sq_txn){
	    .worker = e->shard->worker, .engine = e->broker->engine, .done = ending_done};
	return &e->txn;
}

/* Counts and settles an item, which it takes. */
static void
ending_item(struct sq_ending *e, struct sq_txn *txn, struct sq_item *item)
{
	e->slice_msgs++;
	if (item->assured) {
		e->broker->burial->ended(e->source, txn, item, reasons[e->why].name);
		e->slice_letters++;
	}
	if (item->qos > 0)
		ending_ops(e)->txn.settle(txn, e->queue, item, SQ_DONE);
	sq_item_fini(item);
}

/* Commits a transaction with the first items that were handed out. */
static void
ending_slice(struct sq_ending *e)
{
	struct sq_txn *txn = ending_txn(e);
	uint64_t bytes = 0;
	uint32_t n = 0;

	while (n < e->n_items) {
		bytes += sq_image_size(e->items[n].msg.image);
		if (n > 0 && bytes > SLICE_BYTES)
			break;
		ending_item(e, txn, &e->items[n++]);
	}
	e->n_items -= n;
	memmove(e->items, e->items + n, e->n_items * sizeof(*e->items));
	if (e->id != 0)
		ending_store(e, txn);
	SQ_FAULT("broker-ending-slice");
	ending_ops(e)->txn.commit(txn);
}

static void
ending_take(struct sq_consumer *c, struct sq_item *items, size_t n)
{
	struct sq_ending *e = SQ_CONTAINER_OF(c, struct sq_ending, consumer);
	uint64_t bytes = 0;

	assert(e->n_items + n <= SLICE_MSGS);
	for (size_t i = 0; i < n; i++) {
		uint32_t size = sq_image_size(items[i].msg.image);

		bytes += size;
		e->largest = size > e->largest ? size : e->largest;
		items[i].unsent = false;
		e->items[e->n_items++] = items[i];
	}
	ending_ops(e)->consumer.sent(e->queue, (uint32_t)n, bytes);
	ending_step(e);
}

static void
ending_cancelled(struct sq_consumer *c)
{
	struct sq_ending *e = SQ_CONTAINER_OF(c, struct sq_ending, consumer);

	e->consumes = false;
	assert(e->shard->endings->reading > 0);
	e->shard->endings->reading--;
	if (e->n_items == 0) {
		free(e->items);
		e->items = NULL;
	}
	ending_step(e);
}

static void
ending_cancel(struct sq_ending *e)
{
	if (!e->consumer.stopped)
		ending_ops(e)->consumer.cancel(&e->consumer);
}

/* Has a slice handed out; where too many do that already, a later tick does. */
static void
ending_read(struct sq_ending *e)
{
	/* The last one that comes may exceed the bytes: as a rule it fits so, too. */
	uint64_t room = e->largest < SLICE_BYTES ? SLICE_BYTES - e->largest : 1;
	struct sq_demand slice = {SLICE_MSGS, SLICE_MSGS, room};
	const struct sq_engine_ops *ops = ending_ops(e);

	if (!e->consumes && e->shard->endings->reading >= READING_MAX)
		return;
	if (!e->consumes) {
		e->shard->endings->reading++;
		e->consumer = (struct sq_consumer){
		    .worker = e->shard->worker, .take = ending_take, .cancelled = ending_cancelled};
		sq_list_init(&e->consumer.node);
		e->consumes = true;
		if (e->items == NULL)
			e->items = sq_xcalloc(SLICE_MSGS, sizeof *e->items);
		ops->consumer.consume(e->queue, &e->consumer);
	}
	ops->consumer.demand(&e->consumer, &slice);
}

static void
ending_delete(struct sq_ending *e)
{
	struct sq_record_key key = {SQ_RECORD_ENDING, e->id, 0};
	const struct sq_engine_ops *ops = ending_ops(e);
	struct sq_txn *txn;

	if (e->id == 0) {
		ops->queue.delete(NULL, e->queue);
		ending_over(e);
		return;
	}
	e->deleted = true;
	txn = ending_txn(e);
	sq_record_delete(txn, &key);
	ops->queue.delete(txn, e->queue);
	SQ_FAULT("broker-ending-delete");
	ops->txn.commit(txn);
}

static void
ending_give_back(struct sq_ending *e)
{
	struct sq_system_txn *own = NULL;

	for (uint32_t i = e->n_items; i > 0; i--)
		ending_ops(e)->txn.settle(
		    sq_system_txn(e->shard, &own), e->queue, &e->items[i - 1], SQ_UNTRIED);
	sq_system_commit(&own);
	e->n_items = 0;
}

/* Takes the remaining items out of the counts, because the broker ends and the next one counts
 * them. */
static void
ending_close(struct sq_ending *e)
{
	const struct sq_engine_ops *ops = ending_ops(e);

	if (e->consumes) {
		ending_cancel(e);
		return;
	}
	if (e->lent)
		return;
	ending_give_back(e);
	if (e->id != 0)
		ops->queue.close(e->queue);
	else
		ops->queue.delete(NULL, e->queue);
	ending_free(e);
}

/* Takes the next step, if nothing is awaited; may free the ending. */
static void
ending_step(struct sq_ending *e)
{
	assert(sq_worker_self() == e->shard->worker);
	if (!e->begun || e->committing)
		return;
	if (sq_broker_closing(e->broker))
		ending_close(e);
	else if (e->n_items > 0)
		ending_slice(e);
	else if (!ending_ops(e)->queue.empty(e->queue))
		ending_read(e);
	else if (e->consumes)
		ending_cancel(e);
	else if (!e->lent)
		ending_delete(e);
}

/* On the owner. */
static void
ending_begin_run(struct sq_task *t)
{
	struct sq_ending *e = SQ_CONTAINER_OF(t, struct sq_ending, task);

	e->begun = true;
	sq_list_push_back(&e->shard->endings->list, &e->node);
	ending_step(e);
}

/* On the worker that began it: the transaction that marks it is on its way to the store, and
 * what follows stands behind it. */
static void
ending_marked_run(struct sq_task *t)
{
	struct sq_ending *e = SQ_CONTAINER_OF(t, struct sq_ending, task);

	e->task.run = ending_begin_run;
	sq_worker_post(e->shard->worker, &e->task);
}

static void
ending_release_run(struct sq_task *t)
{
	struct sq_ending *e = SQ_CONTAINER_OF(t, struct sq_ending, release);

	e->lent = false;
	ending_step(e);
}

static struct sq_ending *
ending_new(struct sq_broker *b, struct sq_worker *owner, enum sq_ending_why why)
{
	struct sq_ending *e = sq_xcalloc(1, sizeof *e);

	e->broker = b;
	e->shard = &b->shards[sq_worker_index(owner)];
	e->why = why;
	sq_list_init(&e->node);
	sq_count(b, SQ_M_QUEUES_ENDING, 1);
	sq_broker_object(b, 1);
	return e;
}

struct sq_ending *
sq_ending_begin(struct sq_broker *b, const struct sq_ending_cfg *cfg, struct sq_txn *txn)
{
	struct sq_ending *e = ending_new(b, cfg->owner, cfg->why);

	e->queue = cfg->queue;
	e->source = cfg->source;
	e->lent = cfg->lent;
	e->queue_name = sq_record_queue_name(cfg->name, cfg->number);
	if (cfg->stored) {
		e->id = sq_broker_id(b);
		ending_store(e, txn);
	}
	e->task.run = ending_marked_run;
	sq_worker_post(sq_worker_self(), &e->task);
	return e;
}

void
sq_ending_release(struct sq_ending **ep)
{
	struct sq_ending *e = *ep;

	*ep = NULL;
	e->release.run = ending_release_run;
	sq_worker_post(e->shard->worker, &e->release);
}

void
sq_endings_tick(struct sq_shard *sh)
{
	SQ_LIST_FOR_EACH_SAFE(e, &sh->endings->list, struct sq_ending, node)
		ending_step(e);
}

void
sq_endings_stop(struct sq_shard *sh)
{
	assert(sq_broker_closing(sh->broker));
	sq_endings_tick(sh);
}

/* Start. */

struct endings_load {
	struct sq_broker *broker;
	int err;
};

static void
load_open(struct sq_ending *e)
{
	struct sq_broker *b = e->broker;
	struct sq_queue_cfg q = {
	    .name = e->queue_name,
	    .owner = e->shard->worker,
	    .max_msgs = b->cfg.queue_max_msgs,
	    .max_bytes = b->cfg.queue_max_bytes,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .durable = true,
	    .account = sq_tenant_account(sq_source_tenant(e->source)),
	    .memory = sq_tenant_account(sq_source_tenant(e->source)),
	    .dead = b->burial->item,
	    .arg = e->source,
	};

	e->queue = b->engine->ops->queue.open(b->engine, NULL, &q);
	e->begun = true; /* so that it can be closed should the start fail */
	sq_list_push_back(&e->shard->endings->list, &e->node); /* until sq_endings_start() */
}

static void
load_ending(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_reader r = sq_reader(value.p, value.len);
	struct endings_load *l = arg;
	struct sq_broker *b = l->broker;
	uint8_t version = sq_read8(&r), why = sq_read8(&r), flags = sq_read8(&r);
	uint64_t n_msgs, n_letters;
	char *tenant, *queue, *name;

	(void)sq_read8(&r);
	n_msgs = sq_read64(&r);
	n_letters = sq_read64(&r);
	tenant = sq_record_take_name(&r);
	queue = sq_record_take_name(&r);
	name = sq_record_take_name(&r);
	if (r.bad || version != VERSION || why == 0 || why >= SQ_ARRAY_LEN(reasons) ||
	    sq_reader_left(&r) > 0) {
		SQ_ERROR("store", "the record of ending %016llx does not read",
		    (unsigned long long)key->id);
		l->err = SQ_EINVAL;
		free(queue);
	} else {
		struct sq_tenant *t = sq_tenant_get(b->tenants, tenant);
		uint64_t shard = sq_hash(queue, strlen(queue)) % b->n_shards;
		struct sq_ending *e = ending_new(
		    b, b->shards[shard].worker, (enum sq_ending_why)why);

		e->id = key->id;
		e->queue_name = queue;
		e->n_msgs = n_msgs;
		e->n_letters = n_letters;
		e->source = sq_source_new(b, t, name, (flags & FLAG_DURABLE) != 0);
		sq_tenant_unref(&t);
		load_open(e);
	}
	free(tenant);
	free(name);
}

int
sq_endings_load(struct sq_broker *b)
{
	struct endings_load l = {.broker = b};
	int err = b->engine->ops->start.load(b->engine, SQ_RECORD_ENDING, load_ending, &l);

	return err == SQ_OK ? l.err : err;
}

void
sq_endings_start(struct sq_broker *b)
{
	struct sq_list loaded;

	sq_list_init(&loaded);
	for (size_t i = 0; i < b->n_shards; i++)
		sq_list_splice(&loaded, &b->shards[i].endings->list);
	SQ_LIST_FOR_EACH_SAFE(e, &loaded, struct sq_ending, node) {
		sq_list_remove(&e->node);
		e->task.run = ending_begin_run;
		sq_worker_post(e->shard->worker, &e->task);
	}
}
