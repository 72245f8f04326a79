/* The contract of broker/engine/engine.h, on every engine that there is. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../support/fake_worker.h"
#include "../support/temp_dir.h"
#include "broker/engine/engines/engines.h"
#include "broker/engine/files.h"
#include "broker/metrics/metrics.h"
#include "broker/share/share.h"
#include "core/clock.h"
#include "core/mem.h"
#include "store/journal/log_file.h"

static const struct sq_engine_ops *ops;
static struct sq_engine *engine;
static char *dir;        /* of the engine's files */
static unsigned running; /* transactions that are not done */

#define CONTRACT(name) \
	static void contract_##name(void); \
	Test(engine, name) \
	{ \
		for (size_t i = 0; i < SQ_ARRAY_LEN(sq_engines); i++) { \
			engine_begin(sq_engines[i]); \
			contract_##name(); \
			engine_end(); \
		} \
	} \
	static void contract_##name(void)

static int64_t
metric(enum sq_broker_metric m)
{
	return atomic_load(&sq_broker_metrics.values[m]);
}

static bool
all_done(void *arg)
{
	(void)arg;
	return running == 0;
}

/* Runs until every transaction is done. */
static bool
run(void)
{
	return fake_run_until(all_done, NULL) && fake_run();
}

enum { TXN_ITEMS = 6000, TXN_BYTES = 1 << 20, QUEUES_MAX = 5000 };

static void
engine_open(void)
{
	const struct sq_engine_files files = {
	    .dir = dir,
	    .log = &sq_log_file,
	    .journal_bytes = 8 << 20,
	    .max_bytes = 64 << 20,
	    .cache_bytes = 1 << 20,
	};
	struct sq_engine_cfg cfg = {
	    .metrics = &sq_broker_metrics,
	    .n_workers = 2,
	    .files = &files,
	    .txn_items = TXN_ITEMS,
	    .txn_bytes = TXN_BYTES,
	};
	struct sq_buf err = {0};

	engine = ops->open(&cfg, &err);
	cr_assert_not_null(
	    engine, "%s: %.*s", ops->name, (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	sq_buf_fini(&err);
}

static void
engine_begin(const struct sq_engine_ops *which)
{
	fake_workers_init(2);
	ops = which;
	dir = temp_dir_new();
	for (size_t i = 0; i < SQ_M_COUNT; i++)
		sq_metric_set(&sq_broker_metrics, i, 0);
	engine_open();
	ops->start.ready(engine);
}

static void
engine_end(void)
{
	cr_assert(run());
	ops->close(engine);
	cr_assert(run(), "what the engine itself had under way");
	cr_assert_eq(fake_pending(), 0);
	cr_assert_eq(metric(SQ_M_QUEUED), 0, "%s leaves messages", ops->name);
	cr_assert_eq(metric(SQ_M_QUEUED_BYTES), 0, "%s leaves bytes", ops->name);
	temp_dir_free(&dir);
}

/* Transactions. */

struct txn {
	struct sq_txn txn;
	int done, err;
};

static void
txn_done(struct sq_txn *txn, int err)
{
	struct txn *t = SQ_CONTAINER_OF(txn, struct txn, txn);

	cr_assert_eq(sq_worker_self(), txn->worker, "done() runs on its worker");
	t->done++;
	t->err = err;
	running--;
}

static void
txn_begin(struct txn *t, unsigned worker)
{
	*t = (struct txn){
	    .txn = {.worker = fake_worker(worker), .done = txn_done, .engine = engine}};
	running++;
}

static struct sq_queue *
queue_open_as(const char *name, struct sq_queue_cfg cfg)
{
	struct sq_queue *q;
	struct txn t;

	cfg.name = name;
	cfg.owner = fake_worker(0);
	if (cfg.max_msgs == 0)
		cfg.max_msgs = 1000;
	if (cfg.max_bytes == 0)
		cfg.max_bytes = 1000000;
	if (cfg.overflow == SQ_OVERFLOW_DEFAULT)
		cfg.overflow = SQ_OVERFLOW_DROP_NEW;
	cfg.durable = ops->durable;
	txn_begin(&t, 0);
	q = ops->queue.open(engine, &t.txn, &cfg);
	ops->txn.commit(&t.txn);
	cr_assert(run());
	return q;
}

static struct sq_queue *
queue_open_cfg(struct sq_queue_cfg cfg)
{
	return queue_open_as("q", cfg);
}

static void
queue_delete(struct sq_queue *q)
{
	struct txn t;

	txn_begin(&t, 0);
	ops->queue.delete(&t.txn, q);
	ops->txn.commit(&t.txn);
	cr_assert(run());
}

static struct sq_queue *
queue_open(void)
{
	return queue_open_cfg((struct sq_queue_cfg){0});
}

/* Items: the payload is one number. */

static struct sq_item
item_new(unsigned number, uint8_t qos)
{
	unsigned char payload[4];
	struct sq_item item = {.qos = qos & 3u, .origin = {1, 2, number, 0}};

	sq_put32(payload, number);
	item.msg = sq_msg_new(qos, false, (struct sq_bytes){(const unsigned char *)"t", 1},
	    (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY, (struct sq_bytes){payload, 4});
	return item;
}

static unsigned
item_number(const struct sq_item *item)
{
	return sq_get32(sq_image_payload(item->msg.image).p);
}

static int
put_item(struct sq_queue *q, struct sq_item item)
{
	struct txn t;
	int err;

	txn_begin(&t, 0);
	err = ops->txn.put(&t.txn, q, &item);
	ops->txn.commit(&t.txn);
	cr_assert(run());
	cr_assert_eq(t.done, 1);
	cr_assert_eq(t.err, SQ_OK);
	return err;
}

static int
put(struct sq_queue *q, unsigned number, uint8_t qos)
{
	return put_item(q, item_new(number, qos));
}

static void
put_range(struct sq_queue *q, unsigned from, unsigned to)
{
	for (unsigned i = from; i <= to; i++)
		cr_assert_eq(put(q, i, 1), SQ_OK);
}

static void
settle(struct sq_queue *q, struct sq_item *item, enum sq_settle_how how)
{
	struct txn t;

	txn_begin(&t, 0);
	ops->txn.settle(&t.txn, q, item, how);
	if (how == SQ_DONE || how >= SQ_REJECT)
		sq_item_fini(item);
	*item = (struct sq_item){0};
	ops->txn.commit(&t.txn);
	cr_assert(run());
	cr_assert_eq(t.done, 1);
}

/* Consumers: keep what they take. */

enum { TAKEN_MAX = 600 };

struct consumer {
	struct sq_consumer consumer;
	struct sq_item items[TAKEN_MAX];
	size_t n;
	int cancelled;
	bool keeps; /* does not say that anything was sent */
};

static void
consumer_take(struct sq_consumer *sc, struct sq_item *items, size_t n)
{
	struct consumer *c = SQ_CONTAINER_OF(sc, struct consumer, consumer);

	cr_assert_eq(sq_worker_self(), sc->worker, "take() runs on its worker");
	cr_assert_eq(c->cancelled, 0, "nothing comes after cancelled()");
	cr_assert_gt(n, 0);
	cr_assert_leq(c->n + n, TAKEN_MAX);
	for (size_t i = 0; i < n && !c->keeps; i++) {
		ops->consumer.sent(sc->queue, 1, sq_image_size(items[i].msg.image));
		items[i].unsent = false;
	}
	memcpy(c->items + c->n, items, n * sizeof *items);
	c->n += n;
}

static void
consumer_cancelled(struct sq_consumer *sc)
{
	struct consumer *c = SQ_CONTAINER_OF(sc, struct consumer, consumer);

	cr_assert_eq(sq_worker_self(), sc->worker);
	c->cancelled++;
}

static struct consumer *
consume(struct sq_queue *q, unsigned worker, uint32_t demand)
{
	struct consumer *c = sq_xcalloc(1, sizeof *c);

	c->consumer.worker = fake_worker(worker);
	c->consumer.take = consumer_take;
	c->consumer.cancelled = consumer_cancelled;
	sq_list_init(&c->consumer.node);
	fake_self(worker);
	ops->consumer.consume(q, &c->consumer);
	if (demand > 0)
		ops->consumer.demand(&c->consumer, &(struct sq_demand){demand, demand, UINT64_MAX});
	fake_self(0);
	return c;
}

static void
demand(struct consumer *c, uint32_t more)
{
	uint32_t all = c->consumer.demand.msgs + c->consumer.way.msgs + more;

	fake_self(sq_worker_index(c->consumer.worker));
	ops->consumer.demand(&c->consumer, &(struct sq_demand){all, all, UINT64_MAX});
	fake_self(0);
	cr_assert(run());
}

static void
cancel(struct consumer *c)
{
	fake_self(sq_worker_index(c->consumer.worker));
	ops->consumer.cancel(&c->consumer);
	fake_self(0);
}

/* Settles all that was taken. */
static void
consumer_settle(struct sq_queue *q, struct consumer *c, enum sq_settle_how how)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->items[i].qos == 0 && how == SQ_DONE)
			sq_item_fini(&c->items[i]);
		else
			settle(q, &c->items[i], how);
	}
	c->n = 0;
}

static void
consumer_free(struct sq_queue *q, struct consumer *c)
{
	consumer_settle(q, c, SQ_DONE);
	cancel(c);
	cr_assert(run());
	cr_assert_eq(c->cancelled, 1);
	free(c);
}

static void
expect_numbers(const struct consumer *c, const unsigned *numbers, size_t n)
{
	cr_assert_eq(c->n, n, "%zu items instead of %zu", c->n, n);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(item_number(&c->items[i]), numbers[i], "item %zu is %u", i,
		    item_number(&c->items[i]));
}

#define EXPECT(c, ...) \
	expect_numbers(c, (const unsigned[]){__VA_ARGS__}, \
	    sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

/* The contract. */

CONTRACT(items_come_in_the_order_of_their_puts)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 0, 500);

	put_range(q, 1, 300);
	cr_assert_eq(c->n, 300);
	for (unsigned i = 0; i < 300; i++) {
		cr_assert_eq(item_number(&c->items[i]), i + 1);
		cr_assert(
		    sq_origin_equal(&c->items[i].origin, &(struct sq_origin){1, 2, i + 1, 0}));
		cr_assert_eq(c->items[i].attempts, 0);
	}
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(nothing_comes_without_demand_and_never_more_than_it)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 0, 0);

	put_range(q, 1, 5);
	cr_assert_eq(c->n, 0);
	cr_assert_eq(ops->queue.depth(q), 5);
	demand(c, 2);
	EXPECT(c, 1, 2);
	demand(c, 1);
	demand(c, 1);
	EXPECT(c, 1, 2, 3, 4);
	cr_assert_eq(ops->queue.depth(q), 1);
	demand(c, 5);
	put_range(q, 6, 12);
	EXPECT(c, 1, 2, 3, 4, 5, 6, 7, 8, 9);
	consumer_free(q, c);
	queue_delete(q);
}

static void
demand_all(struct consumer *c, struct sq_demand all)
{
	fake_self(sq_worker_index(c->consumer.worker));
	ops->consumer.demand(&c->consumer, &all);
	fake_self(0);
	cr_assert(run());
}

CONTRACT(a_demand_is_in_items_and_bytes_and_slots)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 0, 0);
	uint32_t size;

	put_range(q, 1, 4);
	cr_assert_eq(put(q, 5, 0), SQ_OK);
	cr_assert_eq(put(q, 6, 0), SQ_OK);
	cr_assert_eq(put(q, 7, 1), SQ_OK);
	demand_all(c, (struct sq_demand){10, 10, 1});
	EXPECT(c, 1);
	size = sq_image_size(c->items[0].msg.image);
	demand_all(c, (struct sq_demand){10, 10, size + 1});
	EXPECT(c, 1, 2, 3);
	demand_all(c, (struct sq_demand){10, 1, 100 * size});
	EXPECT(c, 1, 2, 3, 4, 5, 6);
	demand_all(c, (struct sq_demand){0});
	cr_assert_eq(put(q, 8, 0), SQ_OK);
	EXPECT(c, 1, 2, 3, 4, 5, 6);
	demand_all(c, (struct sq_demand){1, 1, 1});
	EXPECT(c, 1, 2, 3, 4, 5, 6, 7);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(a_demand_takes_the_place_of_the_one_before)
{
	struct sq_queue *q = queue_open();
	struct consumer *a = consume(q, 0, 5), *b = consume(q, 1, 5);

	demand_all(a, (struct sq_demand){1, 1, UINT64_MAX});
	fake_self(1);
	ops->consumer.demand(&b->consumer, &(struct sq_demand){2, 2, UINT64_MAX});
	fake_self(0);
	put_range(q, 1, 6);
	cr_assert_eq(a->n, 1);
	cr_assert_eq(b->n, 2);
	consumer_free(q, a);
	consumer_free(q, b);
	queue_delete(q);
}

CONTRACT(what_is_on_its_way_to_another_worker_is_part_of_its_demand)
{
	struct sq_queue *q = queue_open();
	struct consumer *b;

	put_range(q, 1, 5);
	b = consume(q, 1, 2);
	fake_run_worker(0); /* handed out, and not taken yet */
	cr_assert_eq(b->n, 0);
	demand_all(b, (struct sq_demand){3, 3, UINT64_MAX});
	EXPECT(b, 1, 2, 3);
	consumer_free(q, b);
	queue_delete(q);
}

static struct consumer *
consume_and_keep(struct sq_queue *q, unsigned worker, uint32_t n)
{
	struct consumer *c = consume(q, worker, 0);

	c->keeps = true;
	demand(c, n);
	cr_assert_eq(c->n, n);
	return c;
}

static void
consumer_sends(struct sq_queue *q, struct consumer *c, size_t i)
{
	ops->consumer.sent(q, 1, sq_image_size(c->items[i].msg.image));
	c->items[i].unsent = false;
}

/* The bounds hold over what waits, wherever it does. */
static void
check_unsent(unsigned worker, uint8_t qos, struct sq_queue_cfg cfg)
{
	struct sq_queue *q;
	struct consumer *c;

	cfg.overflow = SQ_OVERFLOW_REJECT_PUBLISH;
	q = queue_open_cfg(cfg);
	for (unsigned i = 1; i <= 4; i++)
		cr_assert_eq(put(q, i, qos), SQ_OK);
	cr_assert(ops->queue.full(q, 1));
	c = consume_and_keep(q, worker, 3);
	cr_assert_eq(ops->queue.depth(q), 4, "%zu wait", ops->queue.depth(q));
	cr_assert(ops->queue.full(q, 1), "handed out is not sent");
	cr_assert_eq(put(q, 5, 0), SQ_ENOMEM);
	consumer_sends(q, c, 0);
	cr_assert_eq(ops->queue.depth(q), 3);
	cr_assert_not(ops->queue.full(q, 1));
	settle(q, &c->items[1], SQ_UNTRIED);
	cr_assert_eq(ops->queue.depth(q), 3, "it waits there again");
	cr_assert_eq(put(q, 6, qos), SQ_OK);
	cr_assert(ops->queue.full(q, 1));
	if (qos > 0)
		settle(q, &c->items[2], SQ_DONE);
	else
		consumer_sends(q, c, 2);
	cr_assert_eq(ops->queue.depth(q), 3);
	cr_assert_not(ops->queue.full(q, 1));
	c->keeps = false;
	demand(c, 3);
	cr_assert_eq(ops->queue.depth(q), 0);
	cr_assert_eq(c->n, 6);
	for (size_t i = 0; i < c->n; i++) {
		if (c->items[i].msg.image != NULL && qos > 0)
			settle(q, &c->items[i], SQ_DONE);
		sq_item_fini(&c->items[i]);
	}
	c->n = 0;
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(what_is_handed_out_and_not_sent_counts_in_the_bounds)
{
	struct sq_item any = item_new(1, 1);
	uint32_t size = sq_image_size(any.msg.image);

	sq_item_fini(&any);
	for (unsigned worker = 0; worker < 2; worker++) {
		for (uint8_t qos = 0; qos < 3; qos++) {
			check_unsent(worker, qos, (struct sq_queue_cfg){.max_msgs = 4});
			check_unsent(worker, qos, (struct sq_queue_cfg){.max_bytes = 4 * size});
		}
	}
}

CONTRACT(what_another_worker_has_not_taken_yet_counts_in_the_bounds)
{
	struct sq_queue *q = queue_open_cfg((struct sq_queue_cfg){.max_msgs = 3});
	struct consumer *c;

	put_range(q, 1, 3);
	c = consume(q, 1, 3);
	fake_run_worker(0);
	cr_assert_eq(c->n, 0);
	cr_assert_eq(ops->queue.depth(q), 3);
	cr_assert(ops->queue.full(q, 1));
	cr_assert(run());
	cr_assert_eq(c->n, 3);
	cr_assert_eq(ops->queue.depth(q), 0);
	consumer_free(q, c);
	queue_delete(q);
}

/* What a transaction says it has room for is all there after its commit. */
static void
check_room(const char *topic, uint64_t bytes, unsigned most)
{
	struct sq_queue *q = queue_open_cfg(
	    (struct sq_queue_cfg){.max_msgs = 100000, .max_bytes = 1 << 30});
	unsigned n = 0;
	struct txn t;

	txn_begin(&t, 0);
	while (n < most && ops->txn.room(&t.txn, 1, bytes)) {
		unsigned char *payload = sq_xcalloc(1, bytes);
		struct sq_item item = {.qos = 1, .origin = {1, 2, ++n, 0}};

		item.msg = sq_msg_new(1, false,
		    (struct sq_bytes){(const unsigned char *)topic, strlen(topic)},
		    (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY, (struct sq_bytes){payload, bytes});
		cr_assert_eq(ops->txn.put(&t.txn, q, &item), SQ_OK);
		free(payload);
	}
	cr_assert_gt(n, 0);
	cr_assert(n == most || ops->durable, "only %u", n);
	ops->txn.commit(&t.txn);
	cr_assert(run());
	cr_assert_eq(ops->queue.depth(q), n);
	cr_assert_eq(metric(SQ_M_DROPPED_FULL), 0);
	queue_delete(q);
}

CONTRACT(what_a_transaction_has_room_for_is_stored)
{
	struct txn t;

	check_room("t", 1, 2 * TXN_ITEMS);
	check_room("t", 10000, 2 * TXN_BYTES / 10000);
	txn_begin(&t, 0);
	cr_assert(ops->txn.room(&t.txn, 1, TXN_BYTES / 2));
	cr_assert(ops->txn.room(&t.txn, TXN_ITEMS, 0));
	cr_assert_eq(ops->txn.room(&t.txn, TXN_ITEMS + 1, 0), !ops->durable);
	cr_assert_eq(ops->txn.room(&t.txn, 1, TXN_BYTES), !ops->durable);
	ops->txn.commit(&t.txn);
	cr_assert(run());
}

CONTRACT(a_message_for_five_thousand_queues_is_one_transaction)
{
	static struct sq_queue *queues[QUEUES_MAX];
	struct sq_item item = item_new(1, 1);
	uint32_t size = sq_image_size(item.msg.image);
	struct txn t;
	char name[16];

	txn_begin(&t, 0);
	for (unsigned i = 0; i < QUEUES_MAX; i++) {
		struct sq_queue_cfg cfg = {.name = name,
		    .owner = fake_worker(0),
		    .max_msgs = 10,
		    .max_bytes = 10000,
		    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
		    .durable = ops->durable};

		snprintf(name, sizeof name, "q%u", i);
		queues[i] = ops->queue.open(engine, &t.txn, &cfg);
	}
	ops->txn.commit(&t.txn);
	cr_assert(run());
	txn_begin(&t, 0);
	cr_assert(ops->txn.room(&t.txn, QUEUES_MAX, size));
	for (unsigned i = 0; i < QUEUES_MAX; i++) {
		struct sq_item copy = item;

		copy.msg = sq_msg_ref(item.msg);
		cr_assert_eq(ops->txn.put(&t.txn, queues[i], &copy), SQ_OK);
	}
	cr_assert_eq(ops->txn.room(&t.txn, QUEUES_MAX, size), !ops->durable);
	ops->txn.commit(&t.txn);
	cr_assert(run());
	txn_begin(&t, 0);
	for (unsigned i = 0; i < QUEUES_MAX; i++) {
		cr_assert_eq(ops->queue.depth(queues[i]), 1, "queue %u", i);
		ops->queue.delete(&t.txn, queues[i]);
	}
	ops->txn.commit(&t.txn);
	cr_assert(run());
	cr_assert_eq(metric(SQ_M_DROPPED_FULL), 0);
	sq_item_fini(&item);
}

CONTRACT(consumers_of_a_queue_take_turns)
{
	struct sq_queue *q = queue_open();
	struct consumer *a = consume(q, 0, 100), *b = consume(q, 1, 100), *c = consume(q, 0, 3);

	put_range(q, 1, 30);
	cr_assert_eq(a->n + b->n + c->n, 30);
	cr_assert_eq(c->n, 3, "no more than it wants");
	cr_assert(a->n >= 13 && a->n <= 14, "%zu of 27", a->n);
	consumer_free(q, a);
	consumer_free(q, b);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(a_backlog_is_shared_too)
{
	struct sq_queue *q = queue_open();
	struct consumer *a, *b;

	put_range(q, 1, 20);
	a = consume(q, 0, 100);
	b = consume(q, 1, 100);
	cr_assert(run());
	cr_assert_eq(a->n, 10);
	cr_assert_eq(b->n, 10);
	consumer_free(q, a);
	consumer_free(q, b);
	queue_delete(q);
}

CONTRACT(a_full_queue_drops_the_new_one)
{
	struct sq_queue *q = queue_open_cfg((struct sq_queue_cfg){.max_msgs = 3});
	struct consumer *c;

	put_range(q, 1, 3);
	cr_assert(ops->queue.full(q, 1));
	cr_assert_eq(put(q, 4, 1), SQ_ENOMEM);
	cr_assert_eq(metric(SQ_M_DROPPED_FULL), 1);
	c = consume(q, 0, 10);
	cr_assert(run());
	EXPECT(c, 1, 2, 3);
	cr_assert_not(ops->queue.full(q, 1));
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(a_full_queue_drops_the_oldest)
{
	struct sq_queue *q = queue_open_cfg(
	    (struct sq_queue_cfg){.max_msgs = 3, .overflow = SQ_OVERFLOW_DROP_OLDEST});
	struct consumer *c;

	put_range(q, 1, 5);
	cr_assert_eq(metric(SQ_M_DROPPED_FULL), 2);
	c = consume(q, 0, 10);
	cr_assert(run());
	EXPECT(c, 3, 4, 5);
	consumer_free(q, c);
	queue_delete(q);
}

/* Expects exactly these to be seen, in order, from the given seq on; returns the seq of the last. */
static uint64_t
expect_peeked(const struct sq_queue *q, uint64_t from, unsigned first, unsigned last)
{
	struct sq_item item;

	for (unsigned i = first; i <= last; i++) {
		cr_assert(ops->queue.peek(q, from, &item));
		cr_assert_eq(item_number(&item), i);
		cr_assert_geq(item.seq, from);
		from = item.seq + 1;
		sq_item_fini(&item);
	}
	cr_assert_not(ops->queue.peek(q, from, &item));
	return from - 1;
}

CONTRACT(what_waits_is_seen_in_its_order_and_stays)
{
	struct sq_queue *q = queue_open();
	struct consumer *c;
	uint64_t last;

	(void)expect_peeked(q, 0, 1, 0);
	put_range(q, 1, 100);
	cr_assert(run());
	last = expect_peeked(q, 0, 1, 100);
	(void)expect_peeked(q, last, 100, 100);
	(void)expect_peeked(q, last + 1, 1, 0);
	cr_assert_eq(ops->queue.depth(q), 100);
	c = consume(q, 0, 40);
	cr_assert(run());
	cr_assert_eq(c->n, 40);
	(void)expect_peeked(q, 0, 41, 100);
	consumer_free(q, c);
	queue_delete(q);
}

/* Draws what waits from that seq on, which is 'number'; returns its seq. */
static uint64_t
expect_drawn(struct sq_queue *q, uint64_t from, unsigned number, struct sq_item *out)
{
	cr_assert_eq(ops->queue.draw(q, from, UINT64_MAX, out), SQ_OK);
	cr_assert_eq(item_number(out), number);
	cr_assert_geq(out->seq, from);
	cr_assert_not(out->unsent);
	return out->seq;
}

CONTRACT(what_waits_is_drawn_out_of_its_turn)
{
	struct sq_queue *q = queue_open();
	struct sq_item first, second, third, none;
	struct consumer *c;
	uint64_t seq;

	cr_assert_eq(ops->queue.draw(q, 0, UINT64_MAX, &none), SQ_ENOTFOUND);
	put_range(q, 1, 6);
	seq = expect_drawn(q, 0, 1, &first);
	cr_assert_eq(ops->queue.draw(q, 0, seq, &none), SQ_ENOTFOUND, "it has been drawn");
	cr_assert(ops->queue.peek(q, seq + 1, &second));
	(void)expect_drawn(q, second.seq + 1, 3, &third);
	sq_item_fini(&second);
	cr_assert_eq(ops->queue.depth(q), 4);
	cr_assert_eq(metric(SQ_M_QUEUED), 6, "it is not settled");
	settle(q, &first, SQ_DONE);
	cr_assert_eq(metric(SQ_M_QUEUED), 5);
	settle(q, &third, SQ_UNTRIED);
	cr_assert_eq(ops->queue.depth(q), 5);
	c = consume(q, 0, 10);
	cr_assert(run());
	EXPECT(c, 2, 3, 4, 5, 6);
	cr_assert_eq(c->items[1].attempts, 0);
	cr_assert_eq(ops->queue.draw(q, 0, UINT64_MAX, &none), SQ_ENOTFOUND, "all are handed out");
	consumer_free(q, c);
	cr_assert_not(ops->queue.recall(q));
	queue_delete(q);
}

CONTRACT(what_a_queue_has_lost_is_counted_by_its_reason)
{
	struct sq_queue *new = queue_open_as("new", (struct sq_queue_cfg){.max_msgs = 3});
	struct sq_queue *old = queue_open_as(
	    "old", (struct sq_queue_cfg){.max_msgs = 3, .overflow = SQ_OVERFLOW_DROP_OLDEST});
	struct sq_queue_state state;

	put_range(new, 1, 3);
	cr_assert_eq(put(new, 4, 1), SQ_ENOMEM);
	put_range(old, 1, 5);
	cr_assert(run());
	ops->queue.state(new, &state);
	for (unsigned i = 0; i < SQ_LEFTS; i++)
		cr_assert_eq(state.left[i], i == SQ_LEFT_NEW);
	ops->queue.state(old, &state);
	for (unsigned i = 0; i < SQ_LEFTS; i++)
		cr_assert_eq(state.left[i], i == SQ_DEAD_OVERFLOW ? 2 : 0);
	queue_delete(new);
	queue_delete(old);
}

CONTRACT(a_queue_that_rejects_is_asked_and_then_takes_what_was_promised)
{
	struct sq_queue *q = queue_open_cfg(
	    (struct sq_queue_cfg){.max_msgs = 2, .overflow = SQ_OVERFLOW_REJECT_PUBLISH});
	struct consumer *c;

	put_range(q, 1, 2);
	cr_assert(ops->queue.full(q, 1));
	cr_assert_eq(put(q, 3, 1), SQ_OK, "another worker was told that there is room");
	cr_assert_eq(put(q, 4, 0), SQ_ENOMEM, "QoS 0 was promised nothing");
	c = consume(q, 0, 10);
	cr_assert(run());
	EXPECT(c, 1, 2, 3);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(bytes_are_a_limit_but_for_a_message_alone)
{
	struct sq_item big = item_new(1, 1);
	uint32_t size = sq_image_size(big.msg.image);
	struct sq_queue *q = queue_open_cfg((struct sq_queue_cfg){.max_bytes = size - 1});

	cr_assert_eq(put_item(q, big), SQ_OK);
	cr_assert(ops->queue.full(q, 1));
	cr_assert_eq(put(q, 2, 1), SQ_ENOMEM);
	cr_assert_eq(metric(SQ_M_QUEUED_BYTES), size);
	queue_delete(q);
	q = queue_open_cfg((struct sq_queue_cfg){.max_bytes = 2 * size});
	put_range(q, 1, 2);
	cr_assert_eq(put(q, 3, 1), SQ_ENOMEM);
	queue_delete(q);
}

CONTRACT(what_comes_back_stands_in_its_old_place)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 0, 5);

	put_range(q, 1, 8);
	EXPECT(c, 1, 2, 3, 4, 5);
	settle(q, &c->items[3], SQ_REQUEUE);
	settle(q, &c->items[1], SQ_REQUEUE);
	settle(q, &c->items[4], SQ_UNTRIED);
	settle(q, &c->items[0], SQ_DONE);
	settle(q, &c->items[2], SQ_DONE);
	c->n = 0;
	demand(c, 10);
	EXPECT(c, 2, 4, 5, 6, 7, 8);
	cr_assert_eq(c->items[0].attempts, 1);
	cr_assert_eq(c->items[2].attempts, 0, "what never left was not tried");
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(what_comes_back_goes_to_another_consumer)
{
	struct sq_queue *q = queue_open();
	struct consumer *a = consume(q, 0, 1), *b;

	put_range(q, 1, 1);
	EXPECT(a, 1);
	b = consume(q, 1, 1);
	settle(q, &a->items[0], SQ_REQUEUE);
	a->n = 0;
	EXPECT(b, 1);
	consumer_free(q, a);
	consumer_free(q, b);
	queue_delete(q);
}

CONTRACT(an_item_is_tried_as_often_as_its_queue_says)
{
	struct sq_queue *q = queue_open_cfg((struct sq_queue_cfg){.max_attempts = 3});
	struct consumer *c = consume(q, 0, 100);

	put_range(q, 1, 1);
	for (unsigned i = 0; i < 5; i++) {
		cr_assert_eq(c->n, 1);
		settle(q, &c->items[--c->n], SQ_UNTRIED);
	}
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(c->n, 1);
		cr_assert_eq(c->items[0].attempts, i);
		settle(q, &c->items[--c->n], SQ_REQUEUE);
	}
	cr_assert_eq(metric(SQ_M_DROPPED_ATTEMPTS), 0);
	settle(q, &c->items[--c->n], SQ_REQUEUE);
	cr_assert_eq(c->n, 0);
	cr_assert_eq(metric(SQ_M_DROPPED_ATTEMPTS), 1);
	cr_assert_eq(metric(SQ_M_QUEUED), 0);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(attempts_without_a_limit_never_end)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 0, 1);
	struct sq_item item;

	put_range(q, 1, 1);
	item = c->items[0];
	item.attempts = UINT16_MAX;
	settle(q, &item, SQ_REQUEUE);
	c->n = 0;
	demand(c, 1);
	EXPECT(c, 1);
	consumer_free(q, c);
	queue_delete(q);
}

static void
limits(struct sq_queue *q, uint32_t max_msgs, enum sq_overflow overflow, uint32_t max_attempts)
{
	struct sq_queue_cfg cfg = {.max_msgs = max_msgs,
	    .max_bytes = UINT64_MAX,
	    .overflow = overflow,
	    .max_attempts = max_attempts};

	ops->queue.limits(q, &cfg);
}

CONTRACT(a_lowered_limit_drops_nothing_that_waits)
{
	struct sq_queue *q = queue_open_cfg((struct sq_queue_cfg){.max_msgs = 10});
	struct consumer *c;

	put_range(q, 1, 5);
	limits(q, 2, SQ_OVERFLOW_DROP_NEW, 0);
	cr_assert_eq(ops->queue.depth(q), 5);
	cr_assert(ops->queue.full(q, 1));
	cr_assert_eq(put(q, 6, 1), SQ_ENOMEM);
	c = consume(q, 0, 3);
	cr_assert(run());
	EXPECT(c, 1, 2, 3);
	cr_assert(ops->queue.full(q, 1), "two wait, and two may");
	demand(c, 1);
	cr_assert_not(ops->queue.full(q, 1));
	put_range(q, 7, 7);
	cr_assert(ops->queue.full(q, 1));
	limits(q, 3, SQ_OVERFLOW_DROP_NEW, 0);
	put_range(q, 8, 8);
	demand(c, 10);
	EXPECT(c, 1, 2, 3, 4, 5, 7, 8);
	cr_assert_eq(metric(SQ_M_DROPPED_FULL), 1);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(above_a_lowered_limit_the_oldest_go_one_for_one)
{
	struct sq_queue *q = queue_open_cfg(
	    (struct sq_queue_cfg){.max_msgs = 10, .overflow = SQ_OVERFLOW_DROP_OLDEST});
	struct consumer *c;

	put_range(q, 1, 6);
	limits(q, 2, SQ_OVERFLOW_DROP_OLDEST, 0);
	put_range(q, 7, 8);
	cr_assert_eq(ops->queue.depth(q), 6);
	cr_assert_eq(metric(SQ_M_DROPPED_FULL), 2);
	c = consume(q, 0, 2);
	cr_assert(run());
	EXPECT(c, 3, 4);
	put_range(q, 9, 9);
	cr_assert_eq(ops->queue.depth(q), 4, "what was taken makes no room above the limit");
	demand(c, 3);
	EXPECT(c, 3, 4, 6, 7, 8);
	put_range(q, 10, 12);
	cr_assert_eq(ops->queue.depth(q), 2);
	demand(c, 10);
	EXPECT(c, 3, 4, 6, 7, 8, 11, 12);
	cr_assert_eq(metric(SQ_M_DROPPED_FULL), 5);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(another_overflow_holds_from_the_next_put)
{
	struct sq_queue *q = queue_open_cfg((struct sq_queue_cfg){.max_msgs = 2});
	struct consumer *c;

	put_range(q, 1, 2);
	cr_assert_eq(put(q, 3, 1), SQ_ENOMEM);
	limits(q, 2, SQ_OVERFLOW_REJECT_PUBLISH, 0);
	cr_assert_eq(put(q, 4, 1), SQ_OK);
	limits(q, 2, SQ_OVERFLOW_DROP_OLDEST, 0);
	cr_assert_eq(put(q, 5, 1), SQ_OK);
	cr_assert_eq(ops->queue.depth(q), 3);
	c = consume(q, 0, 10);
	cr_assert(run());
	EXPECT(c, 2, 4, 5);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(fewer_attempts_count_at_the_next_return)
{
	struct sq_queue *q = queue_open_cfg((struct sq_queue_cfg){.max_attempts = 5});
	struct consumer *c = consume(q, 0, 100);

	put_range(q, 1, 1);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(c->n, 1);
		settle(q, &c->items[--c->n], SQ_REQUEUE);
	}
	limits(q, 1000, SQ_OVERFLOW_DROP_NEW, 2);
	cr_assert_eq(c->n, 1, "it is a consumer's, and stays his");
	settle(q, &c->items[--c->n], SQ_UNTRIED);
	cr_assert_eq(c->n, 1, "this was no attempt");
	settle(q, &c->items[--c->n], SQ_REQUEUE);
	cr_assert_eq(c->n, 0);
	cr_assert_eq(metric(SQ_M_DROPPED_ATTEMPTS), 1);
	consumer_free(q, c);
	queue_delete(q);
}

static void
try_item(struct sq_queue *q, struct sq_item *item)
{
	struct txn t;

	txn_begin(&t, 0);
	ops->txn.settle(&t.txn, q, item, SQ_TRIED);
	ops->txn.commit(&t.txn);
	cr_assert(run());
	cr_assert_eq(t.done, 1);
}

CONTRACT(a_try_counts_and_leaves_the_item_where_it_is)
{
	struct sq_queue *q = queue_open_cfg((struct sq_queue_cfg){.max_attempts = 2});
	struct consumer *c = consume(q, 0, 1);
	struct sq_queue_state state;

	put_range(q, 1, 1);
	for (unsigned i = 1; i <= 3; i++) {
		try_item(q, &c->items[0]);
		cr_assert_eq(c->items[0].attempts, i);
		cr_assert_eq(item_number(&c->items[0]), 1, "its message stays the consumer's");
	}
	demand(c, 10);
	EXPECT(c, 1);
	ops->queue.state(q, &state);
	cr_assert_eq(state.unsettled, 1);
	cr_assert_eq(metric(SQ_M_QUEUED), 1);
	cr_assert_eq(metric(SQ_M_DROPPED_ATTEMPTS), 0, "the consumer acts on the limit");
	settle(q, &c->items[--c->n], SQ_UNTRIED);
	EXPECT(c, 1);
	cr_assert_eq(c->items[0].attempts, 3);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(a_try_and_a_settlement_may_be_of_one_transaction)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 0, 1);
	struct txn t;

	put_range(q, 1, 1);
	txn_begin(&t, 0);
	ops->txn.settle(&t.txn, q, &c->items[0], SQ_TRIED);
	ops->txn.settle(&t.txn, q, &c->items[0], SQ_DONE);
	sq_item_fini(&c->items[0]);
	c->n = 0;
	ops->txn.commit(&t.txn);
	cr_assert(run());
	cr_assert_eq(metric(SQ_M_QUEUED), 0);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(items_of_a_timed_queue_say_when_they_were_put)
{
	struct sq_queue *q = queue_open_cfg((struct sq_queue_cfg){.timed = true});
	struct sq_queue *other = queue_open_as("other", (struct sq_queue_cfg){0});
	struct consumer *c = consume(q, 0, 10), *untimed = consume(other, 0, 10);
	uint64_t before = sq_clock_wall_ms(), after;

	put_range(q, 1, 2);
	cr_assert_eq(put(q, 3, 0), SQ_OK);
	put_range(other, 4, 4);
	after = sq_clock_wall_ms();
	EXPECT(c, 1, 2, 3);
	for (size_t i = 0; i < c->n; i++) {
		cr_assert_geq(c->items[i].arrived_ms, before);
		cr_assert_leq(c->items[i].arrived_ms, after);
	}
	cr_assert_eq(untimed->items[0].arrived_ms, 0);
	consumer_free(q, c);
	consumer_free(other, untimed);
	queue_delete(q);
	queue_delete(other);
}

CONTRACT(of_a_paused_queue_nothing_is_handed_out)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 0, 2), *other = consume(q, 1, 2);

	ops->queue.pause(q, true);
	put_range(q, 1, 2);
	cr_assert_eq(put(q, 3, 0), SQ_OK);
	demand(c, 10);
	cr_assert_eq(c->n + other->n, 0);
	cr_assert_eq(ops->queue.depth(q), 3);
	cancel(other);
	cr_assert(run());
	free(other);
	ops->queue.pause(q, false);
	cr_assert(run());
	EXPECT(c, 1, 2, 3);
	ops->queue.pause(q, true);
	settle(q, &c->items[0], SQ_REQUEUE);
	cr_assert_eq(c->n, 3, "what comes back waits, too");
	c->items[0] = c->items[--c->n];
	ops->queue.pause(q, false);
	cr_assert(run());
	cr_assert_eq(c->n, 3);
	cr_assert_eq(item_number(&c->items[2]), 1);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(nothing_passes_a_paused_queue)
{
	struct sq_queue *q = queue_open_cfg((struct sq_queue_cfg){.paused = true});
	struct consumer *c = consume(q, 0, 2);
	struct sq_item item = item_new(1, 0);
	struct txn t;

	cr_assert(run());
	txn_begin(&t, 0);
	cr_assert_not(ops->txn.pass(&t.txn, &c->consumer, &item));
	ops->queue.pause(q, false);
	cr_assert(ops->txn.pass(&t.txn, &c->consumer, &item));
	sq_item_fini(&item);
	ops->txn.commit(&t.txn);
	consumer_free(q, c);
	queue_delete(q);
}

struct scan {
	struct sq_scan scan;
	unsigned done;
	int err;
};

static void
scan_done(struct sq_scan *scan, int err)
{
	struct scan *s = SQ_CONTAINER_OF(scan, struct scan, scan);

	cr_assert_eq(sq_worker_self(), scan->worker, "done() runs on its worker");
	s->done++;
	s->err = err;
}

static bool
scan_is_done(void *arg)
{
	return ((const struct scan *)arg)->done > 0;
}

/* Expects the numbers 'first' to 'last', 0: nothing, and returns where it goes on. */
static uint64_t
scan(struct sq_queue *q, uint64_t from, uint32_t max_items, uint64_t max_bytes, unsigned first,
    unsigned last, bool more)
{
	struct scan s = {.scan = {.worker = fake_worker(0),
			     .from = from,
			     .max_items = max_items,
			     .max_bytes = max_bytes,
			     .done = scan_done}};
	uint32_t n = first > 0 ? last - first + 1 : 0;

	fake_self(0);
	ops->queue.scan(q, &s.scan);
	cr_assert_eq(s.done, 0, "done() is a task");
	cr_assert(fake_run_until(scan_is_done, &s));
	cr_assert_eq(s.done, 1);
	cr_assert_eq(s.err, SQ_OK);
	cr_assert_eq(s.scan.n, n, "%u instead of %u", s.scan.n, n);
	for (uint32_t i = 0; i < n; i++)
		cr_assert_eq(item_number(&s.scan.items[i]), first + i);
	cr_assert_eq(s.scan.more, more);
	sq_scan_fini(&s.scan);
	return s.scan.next;
}

CONTRACT(a_scan_sees_what_waits_and_takes_nothing)
{
	struct sq_item any = item_new(1, 1);
	uint32_t size = sq_image_size(any.msg.image);
	struct sq_queue *q = queue_open();
	struct consumer *c;
	uint64_t next;

	sq_item_fini(&any);
	scan(q, 0, 10, UINT64_MAX, 0, 0, false);
	put_range(q, 1, 10);
	next = scan(q, 0, 4, UINT64_MAX, 1, 4, true);
	next = scan(q, next, 3, UINT64_MAX, 5, 7, true);
	next = scan(q, next, 10, UINT64_MAX, 8, 10, false);
	scan(q, next, 10, UINT64_MAX, 0, 0, false);
	scan(q, 0, 10, UINT64_MAX, 1, 10, false);
	scan(q, 0, 10, 3 * size, 1, 3, true);
	scan(q, 0, 10, 1, 1, 1, true);
	c = consume(q, 0, 4);
	cr_assert(run());
	EXPECT(c, 1, 2, 3, 4);
	scan(q, 0, 10, UINT64_MAX, 5, 10, false);
	settle(q, &c->items[--c->n], SQ_UNTRIED);
	cr_assert_eq(c->n, 3);
	scan(q, 0, 1, UINT64_MAX, 4, 4, true);
	put_range(q, 11, 11);
	scan(q, next, 10, UINT64_MAX, 11, 11, false);
	cr_assert_eq(ops->queue.depth(q), 8);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(a_scan_of_a_queue_that_ends_is_done)
{
	struct sq_queue *q = queue_open();
	struct scan s = {.scan = {.worker = fake_worker(0),
			     .max_items = 10,
			     .max_bytes = UINT64_MAX,
			     .done = scan_done}};

	put_range(q, 1, 3);
	ops->queue.scan(q, &s.scan);
	queue_delete(q);
	cr_assert(fake_run_until(scan_is_done, &s));
	cr_assert_eq(s.done, 1);
	sq_scan_fini(&s.scan);
}

CONTRACT(a_rejected_item_is_gone)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 0, 10);

	put_range(q, 1, 2);
	settle(q, &c->items[0], SQ_REJECT);
	settle(q, &c->items[1], SQ_DONE);
	c->n = 0;
	cr_assert_eq(metric(SQ_M_DROPPED_ATTEMPTS), 1);
	cr_assert_eq(metric(SQ_M_QUEUED), 0);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(an_expired_item_is_not_handed_out)
{
	struct sq_queue *q = queue_open();
	struct consumer *a, *b;

	for (unsigned i = 1; i <= 6; i++) {
		struct sq_item item = item_new(i, 1);

		item.expires_ms = i % 2 == 0 ? fake_now() + 100 : fake_now() + 1000;
		cr_assert_eq(put_item(q, item), SQ_OK);
	}
	fake_set_now(fake_now() + 100);
	a = consume(q, 0, 3);
	cr_assert(run());
	EXPECT(a, 1, 3, 5);
	cr_assert_eq(metric(SQ_M_DROPPED_EXPIRED), 2 + (ops->queue.depth(q) == 0));
	consumer_free(q, a);
	b = consume(q, 1, 10); /* only an expired one may be left: it takes nothing */
	cr_assert(run());
	cr_assert_eq(b->n, 0);
	cr_assert_eq(metric(SQ_M_DROPPED_EXPIRED), 3);
	consumer_free(q, b);
	queue_delete(q);
}

CONTRACT(an_expired_item_makes_room)
{
	struct sq_queue *q = queue_open_cfg(
	    (struct sq_queue_cfg){.max_msgs = 1, .overflow = SQ_OVERFLOW_REJECT_PUBLISH});
	struct sq_item item = item_new(1, 1);
	struct consumer *c;

	item.expires_ms = fake_now() + 10;
	cr_assert_eq(put_item(q, item), SQ_OK);
	fake_set_now(fake_now() + 10);
	cr_assert_eq(put(q, 2, 1), SQ_OK);
	cr_assert_eq(metric(SQ_M_DROPPED_EXPIRED), 1);
	c = consume(q, 0, 10);
	cr_assert(run());
	EXPECT(c, 2);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(at_qos_0_to_hand_out_is_to_settle)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 1, 2);

	cr_assert_eq(put(q, 1, 0), SQ_OK);
	cr_assert_eq(put(q, 2, 0), SQ_OK);
	EXPECT(c, 1, 2);
	cr_assert_eq(metric(SQ_M_QUEUED), 0);
	settle(q, &c->items[1], SQ_UNTRIED); /* it could not leave after all */
	c->n = 1;
	cr_assert_eq(metric(SQ_M_QUEUED), 1);
	demand(c, 1);
	EXPECT(c, 1, 2);
	cr_assert_eq(metric(SQ_M_QUEUED), 0);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(a_cancelled_consumer_gets_nothing_more)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 0, 10), *other;

	put_range(q, 1, 2);
	cancel(c);
	put_range(q, 3, 4);
	cr_assert_eq(c->cancelled, 1);
	EXPECT(c, 1, 2);
	other = consume(q, 0, 10);
	settle(q, &c->items[0], SQ_REQUEUE); /* what it had is still its to settle */
	settle(q, &c->items[1], SQ_DONE);
	EXPECT(other, 1, 3, 4);
	free(c);
	consumer_free(q, other);
	queue_delete(q);
}

CONTRACT(items_on_their_way_arrive_before_cancelled)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 1, 10);
	struct sq_item item = item_new(1, 1);
	struct txn t;

	txn_begin(&t, 0);
	cr_assert_eq(ops->txn.put(&t.txn, q, &item), SQ_OK);
	ops->txn.commit(&t.txn);
	cancel(c); /* before anything could run */
	cr_assert(run());
	cr_assert_eq(c->cancelled, 1);
	cr_assert_eq(c->n + ops->queue.depth(q), 1, "taken or still there, not both, not neither");
	consumer_settle(q, c, SQ_DONE);
	free(c);
	queue_delete(q);
}

CONTRACT(a_consumer_may_come_again)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 1, 5);

	put_range(q, 1, 1);
	cancel(c);
	cr_assert(run());
	cr_assert_eq(c->cancelled, 1);
	c->cancelled = 0;
	fake_self(1);
	ops->consumer.consume(q, &c->consumer);
	fake_self(0);
	put_range(q, 2, 3);
	EXPECT(c, 1);
	demand(c, 1); /* what it wanted before is forgotten */
	EXPECT(c, 1, 2);
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(a_transaction_ends_later_and_never_from_inside)
{
	struct sq_queue *q = queue_open();
	struct sq_item item = item_new(1, 1);
	struct txn t[3];

	for (unsigned i = 0; i < 3; i++) {
		txn_begin(&t[i], i & 1);
		if (i == 0)
			cr_assert_eq(ops->txn.put(&t[i].txn, q, &item), SQ_OK);
		ops->txn.commit(&t[i].txn);
		cr_assert_eq(t[i].done, 0);
	}
	cr_assert(run());
	for (unsigned i = 0; i < 3; i++)
		cr_assert(t[i].done == 1 && t[i].err == SQ_OK);
	queue_delete(q);
}

static struct txn ordered[20];

static void
ordered_done(struct sq_txn *txn, int err)
{
	struct txn *t = SQ_CONTAINER_OF(txn, struct txn, txn);

	cr_assert(t == ordered || t[-1].done, "transactions end in the order of their commits");
	t->done = 1;
	t->err = err;
	running--;
}

CONTRACT(transactions_of_a_worker_end_in_order)
{
	struct sq_queue *q = queue_open();

	for (unsigned i = 0; i < 20; i++) {
		struct sq_item item = item_new(i, 1);

		txn_begin(&ordered[i], 0);
		ordered[i].txn.done = ordered_done;
		cr_assert_eq(ops->txn.put(&ordered[i].txn, q, &item), SQ_OK);
		ops->txn.commit(&ordered[i].txn);
	}
	cr_assert(run());
	for (unsigned i = 0; i < 20; i++)
		cr_assert_eq(ordered[i].done, 1);
	queue_delete(q);
}

CONTRACT(a_queue_is_deleted_with_things_under_way)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 1, 2);
	struct sq_item last = item_new(4, 1), sent;
	struct txn t, gone;

	put_range(q, 1, 3);
	EXPECT(c, 1, 2);
	sent = c->items[0];
	txn_begin(&t, 0);
	cr_assert_eq(ops->txn.put(&t.txn, q, &last), SQ_OK);
	ops->txn.settle(&t.txn, q, &sent, SQ_DONE);
	sq_item_fini(&sent);
	ops->txn.settle(&t.txn, q, &c->items[1], SQ_REQUEUE);
	ops->txn.commit(&t.txn);
	cancel(c);
	txn_begin(&gone, 0);
	ops->queue.delete(&gone.txn, q);
	ops->txn.commit(&gone.txn);
	cr_assert_eq(t.done, 0);
	cr_assert(run());
	cr_assert_eq(t.done, 1);
	cr_assert_eq(c->cancelled, 1);
	cr_assert_eq(c->n, 2, "nothing was handed out of a deleted queue");
	cr_assert_eq(metric(SQ_M_DROPPED_DELETED), ops->durable ? 1 : 0,
	    "what came to it then, after its commit, is counted");
	free(c);
}

CONTRACT(a_deleted_queue_takes_its_items_along)
{
	struct sq_queue *q = queue_open();

	put_range(q, 1, 100);
	cr_assert_eq(metric(SQ_M_QUEUED), 100);
	queue_delete(q);
	cr_assert_eq(metric(SQ_M_QUEUED), 0);
	cr_assert_eq(metric(SQ_M_QUEUED_BYTES), 0);
}

CONTRACT(a_queue_is_empty_when_nothing_waits_or_is_on_its_way)
{
	struct sq_queue *q = queue_open();
	struct sq_item item = item_new(1, 1);
	struct consumer *c;
	struct txn t;

	cr_assert(ops->queue.empty(q));
	txn_begin(&t, 0);
	cr_assert_eq(ops->txn.put(&t.txn, q, &item), SQ_OK);
	cr_assert_not(ops->queue.empty(q), "it is on its way");
	ops->txn.commit(&t.txn);
	cr_assert(run());
	cr_assert_not(ops->queue.empty(q), "it waits");
	c = consume(q, 0, 1);
	cr_assert(run());
	EXPECT(c, 1);
	cr_assert(ops->queue.empty(q), "what is handed out does not count");
	settle(q, &c->items[0], SQ_UNTRIED);
	c->n = 0;
	cr_assert_not(ops->queue.empty(q), "it has come back");
	demand(c, 1);
	consumer_free(q, c);
	cr_assert(ops->queue.empty(q));
	queue_delete(q);
}

CONTRACT(the_metrics_count_what_waits_and_what_is_unsettled)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 0, 2);

	put_range(q, 1, 5);
	cr_assert_eq(ops->queue.depth(q), 3);
	cr_assert_eq(metric(SQ_M_QUEUED), 5);
	settle(q, &c->items[0], SQ_DONE);
	cr_assert_eq(metric(SQ_M_QUEUED), 4);
	settle(q, &c->items[1], SQ_REQUEUE);
	cr_assert_eq(metric(SQ_M_QUEUED), 4);
	c->n = 0;
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(a_queue_is_busy_while_much_waits)
{
	struct sq_queue *q = queue_open_cfg((struct sq_queue_cfg){.max_msgs = 550});
	struct consumer *c;

	cr_assert_not(ops->queue.busy(q));
	put_range(q, 1, 550);
	cr_assert(ops->queue.full(q, 1));
	cr_assert(ops->queue.busy(q), "what is full is busy");
	c = consume(q, 0, 550);
	cr_assert(run());
	cr_assert_not(ops->queue.busy(q));
	consumer_free(q, c);
	queue_delete(q);
}

CONTRACT(an_item_passes_only_where_nothing_stands_before_it)
{
	struct sq_queue *q = queue_open();
	struct consumer *c = consume(q, 0, 2);
	struct sq_item first = item_new(1, 1), second = item_new(2, 1), third = item_new(3, 1);
	struct txn t;

	txn_begin(&t, 0);
	cr_assert_eq(ops->txn.put(&t.txn, q, &first), SQ_OK);
	cr_assert_not(ops->txn.pass(&t.txn, &c->consumer, &second), "the first one waits");
	ops->txn.commit(&t.txn);
	cr_assert(run());
	EXPECT(c, 1);
	txn_begin(&t, 0);
	if (ops->txn.pass(&t.txn, &c->consumer, &second)) /* an engine need not */
		c->items[c->n++] = second;
	else
		cr_assert_eq(ops->txn.put(&t.txn, q, &second), SQ_OK);
	ops->txn.commit(&t.txn);
	cr_assert(run());
	EXPECT(c, 1, 2);
	cr_assert_eq(metric(SQ_M_QUEUED), 2);
	txn_begin(&t, 0);
	cr_assert_not(ops->txn.pass(&t.txn, &c->consumer, &third), "it wants no more");
	sq_item_fini(&third);
	ops->txn.commit(&t.txn);
	settle(q, &c->items[1], SQ_REQUEUE);
	settle(q, &c->items[0], SQ_REQUEUE);
	c->n = 0;
	demand(c, 2);
	EXPECT(c, 1, 2);
	consumer_free(q, c);
	queue_delete(q);
}

/* What leaves undelivered: the callee keeps it in another queue, in the transaction
 * that it is told. */

static struct {
	struct sq_queue *into;
	enum sq_death why[64];
	unsigned number[64];
	size_t n;
} dead;

static void
dead_keep(void *arg, struct sq_txn *txn, const struct sq_item *item, enum sq_death why)
{
	struct sq_item copy = {.msg = sq_msg_ref(item->msg), .qos = 1};

	cr_assert_eq(arg, &dead);
	cr_assert_eq(sq_worker_self(), txn->worker, "on the transaction's worker");
	cr_assert_lt(dead.n, SQ_ARRAY_LEN(dead.why));
	dead.why[dead.n] = why;
	dead.number[dead.n++] = item_number(item);
	cr_assert_not(ops->queue.full(dead.into, 1), "no lock is held");
	cr_assert_eq(ops->txn.put(txn, dead.into, &copy), SQ_OK);
}

/* A queue whose dead items go to 'dead.into'. */
static struct sq_queue *
dead_begin(struct sq_queue_cfg cfg)
{
	cfg.dead = dead_keep;
	cfg.arg = &dead;
	dead.n = 0;
	dead.into = queue_open_as("dead", (struct sq_queue_cfg){0});
	return queue_open_cfg(cfg);
}

static void
expect_dead(size_t i, unsigned number, enum sq_death why)
{
	cr_assert_gt(dead.n, i);
	cr_assert_eq(dead.number[i], number, "item %u", dead.number[i]);
	cr_assert_eq(dead.why[i], why, "died of %d", dead.why[i]);
}

static bool
dead_are_kept(void *arg)
{
	(void)arg;
	return ops->queue.depth(dead.into) == dead.n;
}

/* All that died is in the other queue, in its order. */
static void
dead_end(struct sq_queue *q)
{
	struct consumer *c;

	cr_assert(run());
	cr_assert(fake_run_until(dead_are_kept, NULL));
	c = consume(dead.into, 0, 100);
	cr_assert(run());
	expect_numbers(c, dead.number, dead.n);
	consumer_free(dead.into, c);
	queue_delete(dead.into);
	queue_delete(q);
}

CONTRACT(an_expired_item_is_told_when_its_turn_comes)
{
	struct sq_queue *q = dead_begin((struct sq_queue_cfg){0});
	struct sq_item one = item_new(1, 1), two = item_new(2, 1), zero = item_new(3, 0);
	struct consumer *c;

	one.expires_ms = two.expires_ms = zero.expires_ms = fake_now() + 1000;
	cr_assert_eq(put_item(q, one), SQ_OK);
	cr_assert_eq(put_item(q, two), SQ_OK);
	cr_assert_eq(put_item(q, zero), SQ_OK);
	cr_assert_eq(put(q, 4, 1), SQ_OK);
	fake_set_now(fake_now() + 1000);
	c = consume(q, 1, 10);
	cr_assert(run());
	EXPECT(c, 4);
	cr_assert_eq(dead.n, 2, "not for QoS 0");
	expect_dead(0, 1, SQ_DEAD_EXPIRED);
	expect_dead(1, 2, SQ_DEAD_EXPIRED);
	cr_assert_eq(metric(SQ_M_DROPPED_EXPIRED), 3);
	consumer_free(q, c);
	dead_end(q);
}

CONTRACT(an_expired_item_that_makes_room_is_told)
{
	struct sq_queue *q = dead_begin((struct sq_queue_cfg){.max_msgs = 1});
	struct sq_item one = item_new(1, 1);

	one.expires_ms = fake_now() + 1000;
	cr_assert_eq(put_item(q, one), SQ_OK);
	fake_set_now(fake_now() + 1000);
	cr_assert_eq(put(q, 2, 1), SQ_OK);
	cr_assert_eq(dead.n, 1);
	expect_dead(0, 1, SQ_DEAD_EXPIRED);
	dead_end(q);
}

CONTRACT(the_last_attempt_is_told)
{
	struct sq_queue *q = dead_begin((struct sq_queue_cfg){.max_attempts = 2});
	struct consumer *c;

	put_range(q, 1, 2);
	c = consume(q, 0, 2);
	cr_assert(run());
	settle(q, &c->items[1], SQ_DONE);
	settle(q, &c->items[0], SQ_REQUEUE);
	cr_assert_eq(dead.n, 0);
	c->n = 0;
	demand(c, 1);
	EXPECT(c, 1);
	settle(q, &c->items[0], SQ_REQUEUE);
	c->n = 0;
	cr_assert_eq(dead.n, 1);
	expect_dead(0, 1, SQ_DEAD_ATTEMPTS);
	consumer_free(q, c);
	dead_end(q);
}

CONTRACT(a_rejected_item_is_told)
{
	struct sq_queue *q = dead_begin((struct sq_queue_cfg){0});
	struct consumer *c;

	put_range(q, 1, 2);
	c = consume(q, 0, 2);
	cr_assert(run());
	settle(q, &c->items[0], SQ_REJECT);
	settle(q, &c->items[1], SQ_DONE);
	c->n = 0;
	cr_assert_eq(dead.n, 1);
	expect_dead(0, 1, SQ_DEAD_REJECTED);
	consumer_free(q, c);
	dead_end(q);
}

CONTRACT(what_a_consumer_ends_is_told_with_its_reason)
{
	static const struct {
		enum sq_settle_how how;
		enum sq_death why;
		enum sq_broker_metric metric;
	} rows[] = {
	    {SQ_EXHAUSTED, SQ_DEAD_ATTEMPTS, SQ_M_DROPPED_ATTEMPTS},
	    {SQ_EXPIRED, SQ_DEAD_EXPIRED, SQ_M_DROPPED_EXPIRED},
	    {SQ_UNFINISHED, SQ_DEAD_UNFINISHED, SQ_M_DROPPED_UNFINISHED},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_queue *q = dead_begin((struct sq_queue_cfg){0});
		struct consumer *c = consume(q, 0, 10);
		int64_t before = metric(rows[i].metric);

		put_range(q, 1, 1);
		settle(q, &c->items[--c->n], rows[i].how);
		cr_assert_eq(dead.n, 1);
		expect_dead(0, 1, rows[i].why);
		cr_assert_eq(metric(rows[i].metric), before + 1);
		cr_assert_eq(metric(SQ_M_QUEUED), 1, "the letter alone");
		consumer_free(q, c);
		dead_end(q);
	}
}

/* A queue of three that yields, and keeps what leaves. */
static struct sq_queue *
yielding_begin(enum sq_yield yields)
{
	return dead_begin((struct sq_queue_cfg){
	    .max_msgs = 3, .overflow = SQ_OVERFLOW_REJECT_PUBLISH, .yields = yields});
}

CONTRACT(a_full_queue_makes_room_while_nobody_is_there)
{
	struct sq_queue *q = yielding_begin(SQ_YIELD_LONELY);
	struct sq_queue_state state;
	struct consumer *c;

	put_range(q, 1, 3);
	cr_assert(ops->queue.full(q, 1));
	cr_assert(ops->queue.yields(q, 1));
	cr_assert_eq(dead.n, 0, "there was room");
	put_range(q, 4, 9);
	cr_assert_eq(dead.n, 6);
	for (unsigned i = 0; i < 6; i++)
		expect_dead(i, i + 1, SQ_DEAD_ABANDONED);
	cr_assert_eq(metric(SQ_M_DROPPED_ABANDONED), 6);
	cr_assert_eq(metric(SQ_M_DROPPED_FULL), 0);
	ops->queue.state(q, &state);
	cr_assert_eq(state.n, 3);
	cr_assert_eq(put(q, 10, 0), SQ_ENOMEM, "QoS 0 makes nobody leave");
	c = consume(q, 0, 10);
	cr_assert(run());
	EXPECT(c, 7, 8, 9);
	consumer_free(q, c);
	dead_end(q);
}

/* An account of 'shares' that has room for some messages. */
static struct sq_account *
account_begin(struct sq_shares **shares)
{
	struct sq_shares_cfg cfg;

	for (size_t i = 0; i < SQ_SHARE_KINDS; i++)
		cfg.totals[i] = SQ_SHARE_UNBOUNDED;
	cfg.totals[SQ_SHARE_STORED_BYTES] = 10000;
	cfg.spaces = 1;
	*shares = sq_shares_new(&cfg);
	return sq_account_new(*shares, SQ_SHARE_OF_TENANT, "a", NULL);
}

/* Somebody else of the account has all that is left of it. */
static uint64_t
account_fill(struct sq_account *a)
{
	uint64_t left = sq_share_room(a, SQ_SHARE_STORED_BYTES);

	sq_share_force(a, SQ_SHARE_STORED_BYTES, left);
	return left;
}

static void
account_end(struct sq_shares *shares, struct sq_account *a, uint64_t filled)
{
	sq_share_give(a, SQ_SHARE_STORED_BYTES, filled);
	sq_account_free(&a);
	sq_shares_free(&shares);
}

CONTRACT(nothing_leaves_a_lonely_queue_for_its_account)
{
	struct sq_shares *shares;
	struct sq_account *a = account_begin(&shares);
	struct sq_queue *q = dead_begin((struct sq_queue_cfg){.max_msgs = 3,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .yields = SQ_YIELD_LONELY,
	    .account = a});
	struct sq_item mortal = item_new(1, 1);
	uint64_t filled;

	mortal.expires_ms = fake_now() + 1000;
	cr_assert_eq(put_item(q, mortal), SQ_OK);
	put_range(q, 2, 2);
	filled = account_fill(a);
	cr_assert(ops->queue.full(q, 1));
	cr_assert_not(ops->queue.yields(q, 1));
	put_range(q, 3, 3);
	cr_assert_eq(dead.n, 0, "it was promised, and nothing left for it");
	cr_assert(ops->queue.full(q, 1));
	cr_assert_not(ops->queue.yields(q, 1), "nor now, as the account is short besides");
	fake_set_now(fake_now() + 1000);
	cr_assert_not(ops->queue.full(q, 1), "what has expired makes room");
	put_range(q, 4, 4);
	cr_assert_eq(dead.n, 1);
	expect_dead(0, 1, SQ_DEAD_EXPIRED);
	sq_share_give(a, SQ_SHARE_STORED_BYTES, filled);
	cr_assert(ops->queue.yields(q, 1), "it is above its own limit alone");
	dead_end(q);
	account_end(shares, a, 0);
}

CONTRACT(what_always_yields_does_so_for_its_account_too)
{
	struct sq_shares *shares;
	struct sq_account *a = account_begin(&shares);
	struct sq_queue *q = dead_begin((struct sq_queue_cfg){
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH, .yields = SQ_YIELD_ALWAYS, .account = a});
	uint64_t filled;

	put_range(q, 1, 2);
	filled = account_fill(a);
	put_range(q, 3, 3);
	cr_assert_eq(dead.n, 1);
	expect_dead(0, 1, SQ_DEAD_OVERFLOW);
	dead_end(q);
	account_end(shares, a, filled);
}

/* Puts the items 'from' to 'to' in one transaction. */
static void
put_together(struct sq_queue *q, unsigned from, unsigned to)
{
	struct txn t;

	cr_assert(run());
	txn_begin(&t, 0);
	for (unsigned i = from; i <= to; i++) {
		struct sq_item item = item_new(i, 1);

		cr_assert_eq(ops->txn.put(&t.txn, q, &item), SQ_OK);
	}
	ops->txn.commit(&t.txn);
	cr_assert(run());
}

CONTRACT(what_comes_together_stays_within_the_share_of_its_account)
{
	struct sq_shares *shares;
	struct sq_account *a = account_begin(&shares);
	struct sq_queue *q = dead_begin((struct sq_queue_cfg){
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH, .yields = SQ_YIELD_ALWAYS, .account = a});
	uint64_t filled, used;

	put_range(q, 1, 2);
	filled = account_fill(a);
	used = sq_share_used(a, SQ_SHARE_STORED_BYTES);
	put_together(q, 3, 40);
	cr_assert_eq(ops->queue.depth(q), 2, "one leaves for each, also if none was there yet");
	cr_assert_leq(sq_share_used(a, SQ_SHARE_STORED_BYTES), used);
	cr_assert_eq(dead.n, 38);
	for (unsigned i = 0; i < 38; i++)
		expect_dead(i, i + 1, SQ_DEAD_OVERFLOW);
	sq_share_give(a, SQ_SHARE_STORED_BYTES, filled);
	put_together(q, 41, 43);
	cr_assert_eq(ops->queue.depth(q), 5, "nothing is owed where there is room");
	dead_end(q);
	account_end(shares, a, 0);
}

CONTRACT(of_what_has_no_share_the_newest_is_kept)
{
	struct sq_shares *shares;
	struct sq_account *a = account_begin(&shares);
	struct sq_queue *q = dead_begin((struct sq_queue_cfg){
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH, .yields = SQ_YIELD_ALWAYS, .account = a});
	uint64_t filled = account_fill(a);

	put_together(q, 1, 4);
	cr_assert_eq(ops->queue.depth(q), 1);
	cr_assert_eq(dead.n, 3);
	expect_dead(2, 3, SQ_DEAD_OVERFLOW);
	put_together(q, 5, 7);
	cr_assert_eq(ops->queue.depth(q), 1);
	cr_assert_eq(dead.n, 6);
	expect_dead(5, 6, SQ_DEAD_OVERFLOW);
	dead_end(q);
	account_end(shares, a, filled);
}

CONTRACT(a_full_queue_refuses_once_somebody_is_there)
{
	struct sq_queue *q = yielding_begin(SQ_YIELD_LONELY);
	struct sq_queue_state state;

	ops->queue.state(q, &state);
	cr_assert_eq(state.takers, 0);
	cr_assert_eq(state.lonely_since_ms, fake_now());
	ops->queue.attend(q, 1);
	ops->queue.attend(q, 1);
	put_range(q, 1, 3);
	cr_assert_not(ops->queue.yields(q, 1));
	cr_assert_eq(put(q, 4, 1), SQ_OK, "it was promised");
	ops->queue.attend(q, -1);
	ops->queue.state(q, &state);
	cr_assert_eq(state.takers, 1);
	cr_assert_eq(state.lonely_since_ms, 0);
	cr_assert_not(ops->queue.yields(q, 1), "one is there yet");
	cr_assert_eq(dead.n, 0);
	fake_set_now(fake_now() + 500);
	ops->queue.attend(q, -1);
	ops->queue.state(q, &state);
	cr_assert_eq(state.lonely_since_ms, fake_now());
	cr_assert(ops->queue.yields(q, 1));
	put_range(q, 5, 5);
	cr_assert_eq(dead.n, 2, "what was promised makes room, too");
	expect_dead(0, 1, SQ_DEAD_ABANDONED);
	expect_dead(1, 2, SQ_DEAD_ABANDONED);
	dead_end(q);
}

static int
put_assured(struct sq_queue *q, unsigned number)
{
	struct sq_item item = item_new(number, 1);

	item.assured = true;
	return put_item(q, item);
}

CONTRACT(what_is_assured_leaves_for_nobody_and_makes_nobody_leave)
{
	struct sq_queue *q = yielding_begin(SQ_YIELD_LONELY);

	put_range(q, 1, 1);
	cr_assert_eq(put_assured(q, 2), SQ_OK);
	put_range(q, 3, 4);
	cr_assert_eq(dead.n, 1);
	expect_dead(0, 1, SQ_DEAD_ABANDONED);
	cr_assert(ops->queue.full(q, 1));
	cr_assert_not(ops->queue.yields(q, 1), "the oldest is assured");
	cr_assert_eq(put(q, 5, 1), SQ_OK, "it was promised");
	cr_assert_eq(dead.n, 1);
	dead_end(q);
	q = yielding_begin(SQ_YIELD_LONELY);
	put_range(q, 1, 3);
	cr_assert_eq(put_assured(q, 4), SQ_OK, "it was promised");
	cr_assert_leq(dead.n, 1, "its owner may take it down to its limit, no further");
	dead_end(q);
}

CONTRACT(more_than_a_queue_holds_in_one_transaction_ends_at_its_limit)
{
	struct sq_queue *q = yielding_begin(SQ_YIELD_ALWAYS);
	struct txn t;

	cr_assert(run());
	txn_begin(&t, 0);
	for (unsigned i = 1; i <= 40; i++) {
		struct sq_item item = item_new(i, 1);

		if (i > 3)
			cr_assert(ops->queue.yields(q, 1), "before %u", i);
		cr_assert_eq(ops->txn.put(&t.txn, q, &item), SQ_OK);
	}
	ops->txn.commit(&t.txn);
	cr_assert(run());
	cr_assert_eq(ops->queue.depth(q), 3);
	cr_assert_eq(dead.n, 37);
	for (unsigned i = 0; i < 37; i++)
		expect_dead(i, i + 1, SQ_DEAD_OVERFLOW);
	dead_end(q);
}

CONTRACT(above_a_lowered_limit_one_leaves_for_one)
{
	struct sq_queue *q = yielding_begin(SQ_YIELD_LONELY);

	put_range(q, 1, 3);
	ops->queue.limits(q,
	    &(struct sq_queue_cfg){.max_msgs = 1,
		.max_bytes = UINT64_MAX,
		.overflow = SQ_OVERFLOW_REJECT_PUBLISH,
		.yields = SQ_YIELD_LONELY});
	cr_assert(run());
	cr_assert_eq(dead.n, 0, "the limit drops nothing");
	cr_assert(ops->queue.yields(q, 1));
	put_range(q, 4, 5);
	cr_assert_eq(dead.n, 2);
	cr_assert_eq(ops->queue.depth(q), 3);
	dead_end(q);
}

CONTRACT(what_is_uncounted_is_told_only)
{
	struct sq_queue *q = dead_begin((struct sq_queue_cfg){.max_msgs = 1,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .yields = SQ_YIELD_ALWAYS,
	    .uncounted = true});

	put_range(q, 1, 2);
	cr_assert_eq(dead.n, 1);
	expect_dead(0, 1, SQ_DEAD_OVERFLOW);
	cr_assert_eq(metric(SQ_M_DROPPED_FULL), 0);
	dead_end(q);
}

CONTRACT(the_oldest_that_makes_room_is_told)
{
	struct sq_queue *q = dead_begin(
	    (struct sq_queue_cfg){.max_msgs = 2, .overflow = SQ_OVERFLOW_DROP_OLDEST});

	put_range(q, 1, 4);
	cr_assert_eq(dead.n, 2);
	expect_dead(0, 1, SQ_DEAD_OVERFLOW);
	expect_dead(1, 2, SQ_DEAD_OVERFLOW);
	cr_assert_eq(metric(SQ_M_DROPPED_FULL), 2);
	dead_end(q);
}
