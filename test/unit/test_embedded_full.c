/* A store that is kept at its limit: what is new is refused, what ends something never is, and
 * it goes on by itself. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "../support/fake_worker.h"
#include "../support/temp_dir.h"
#include "broker/engine/engines/engines.h"
#include "broker/engine/files.h"
#include "broker/engine/queue/queue.h"
#include "broker/metrics/metrics.h"
#include "broker/engine/record.h"
#include "core/clock.h"
#include "core/mem.h"
#include "store/journal/log_file.h"

enum { MIB = 1 << 20, RECORDS = 60000, QUEUES = 4, VALUE_MAX = 3000, WAIT_MS = 120000 };

static const struct sq_engine_ops *const ops = &sq_engine_embedded;
static struct sq_engine *engine;
static struct sq_queue *queues[QUEUES];
static char *dir;
static uint64_t max_bytes;
static unsigned running;
static uint64_t rng;

/* What is acknowledged: the size of each record's value, 0 where there is none. */
static uint16_t values[RECORDS];
static uint64_t n_items[QUEUES]; /* and items of each queue */

static uint64_t
draw(uint64_t below)
{
	rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (rng >> 33) % below;
}

static bool
all_done(void *arg)
{
	(void)arg;
	return running == 0;
}

static void
run(void)
{
	cr_assert(fake_run_until(all_done, NULL), "commits hang");
}

static void
txn_done(struct sq_txn *txn, int err)
{
	cr_assert_eq(err, SQ_OK);
	running--;
	free(txn);
}

static struct sq_txn *
txn_new(void)
{
	struct sq_txn *txn = sq_xcalloc(1, sizeof *txn);

	txn->worker = fake_worker(0);
	txn->engine = engine;
	txn->done = txn_done;
	running++;
	return txn;
}

static void
see_record(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	size_t *n = arg;

	cr_assert_lt(key->id, RECORDS);
	cr_assert_eq(value.len, values[key->id], "record %llu has %zu bytes, not %u",
	    (unsigned long long)key->id, value.len, values[key->id]);
	(*n)++;
}

static void
store_open(void)
{
	const struct sq_engine_files files = {
	    .dir = dir,
	    .log = &sq_log_file,
	    .journal_bytes = 8 * MIB,
	    .max_bytes = max_bytes,
	    .cache_bytes = MIB,
	};
	struct sq_engine_cfg cfg = {
	    .metrics = &sq_broker_metrics,
	    .n_workers = 1,
	    .files = &files,
	};
	struct sq_buf err = {0};
	size_t found = 0, n = 0;

	fake_workers_init(1);
	engine = ops->open(&cfg, &err);
	cr_assert_not_null(engine, "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	for (size_t i = 0; i < RECORDS; i++)
		n += values[i] != 0;
	cr_assert_eq(ops->start.load(engine, 1, see_record, &found), SQ_OK);
	cr_assert_eq(found, n, "%zu records of %zu", found, n);
	for (unsigned i = 0; i < QUEUES; i++) {
		char name[8] = {'q', (char)('0' + i), '\0'};
		struct sq_queue_cfg q = {.name = name,
		    .owner = fake_worker(0),
		    .max_msgs = 1000000,
		    .max_bytes = UINT64_C(1) << 40,
		    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
		    .durable = true};
		struct sq_txn *txn = txn_new();

		queues[i] = ops->queue.open(engine, txn, &q);
		ops->txn.commit(txn);
	}
	ops->start.ready(engine);
	run();
	for (unsigned i = 0; i < QUEUES; i++)
		cr_assert_eq(ops->queue.depth(queues[i]), n_items[i]);
}

static void
store_close(void)
{
	run();
	for (unsigned i = 0; i < QUEUES; i++)
		ops->queue.close(queues[i]);
	ops->close(engine);
	cr_assert(fake_run());
}

static void
begin(uint64_t max, uint64_t seed)
{
	rng = seed;
	max_bytes = max;
	memset(values, 0, sizeof values);
	memset(n_items, 0, sizeof n_items);
	dir = temp_dir_new();
	store_open();
}

static void
end(void)
{
	store_close();
	temp_dir_free(&dir);
}

/* Steps, each in the transaction. */

static void
record(struct sq_txn *txn, size_t id, size_t len)
{
	static unsigned char bytes[VALUE_MAX];
	struct sq_record_key key = {1, id, 0};

	memset(bytes, (int)id, len);
	ops->txn.record(txn, &key, (struct sq_bytes){len > 0 ? bytes : NULL, len});
	values[id] = (uint16_t)len;
}

static void
put(struct sq_txn *txn, unsigned i, size_t len)
{
	unsigned char *payload = sq_xcalloc(1, len);
	struct sq_item item = {.qos = 1, .origin = {7, 8, 9, 0}};

	item.msg = sq_msg_new(1, false, (struct sq_bytes){(const unsigned char *)"t", 1},
	    (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY, (struct sq_bytes){payload, len});
	free(payload);
	cr_assert_eq(ops->txn.put(txn, queues[i], &item), SQ_OK);
	n_items[i]++;
}

/* Takes and settles up to as many as it wants. */
struct taker {
	struct sq_consumer consumer;
	unsigned queue;
	size_t n, want;
	bool cancelled;
};

static void
taker_take(struct sq_consumer *sc, struct sq_item *items, size_t n)
{
	struct taker *t = SQ_CONTAINER_OF(sc, struct taker, consumer);
	struct sq_txn *txn = txn_new();

	for (size_t i = 0; i < n; i++) {
		ops->consumer.sent(sc->queue, 1, sq_image_size(items[i].msg.image));
		items[i].unsent = false;
		ops->txn.settle(txn, sc->queue, &items[i], SQ_DONE);
		sq_item_fini(&items[i]);
	}
	ops->txn.commit(txn);
	t->n += n;
	n_items[t->queue] -= n;
}

static void
taker_cancelled(struct sq_consumer *sc)
{
	SQ_CONTAINER_OF(sc, struct taker, consumer)->cancelled = true;
}

static bool
taker_has(void *arg)
{
	const struct taker *t = arg;

	return t->n >= t->want;
}

static bool
taker_is_cancelled(void *arg)
{
	return ((const struct taker *)arg)->cancelled;
}

static void
take(unsigned queue, size_t n)
{
	struct taker t = {.queue = queue, .want = n < n_items[queue] ? n : n_items[queue]};

	run();
	if (t.want == 0)
		return;
	t.consumer.worker = fake_worker(0);
	t.consumer.take = taker_take;
	t.consumer.cancelled = taker_cancelled;
	sq_list_init(&t.consumer.node);
	ops->consumer.consume(queues[queue], &t.consumer);
	ops->consumer.demand(
	    &t.consumer, &(struct sq_demand){(uint32_t)t.want, (uint32_t)t.want, UINT64_MAX});
	cr_assert(fake_run_until(taker_has, &t), "%zu of %zu items", t.n, t.want);
	ops->consumer.cancel(&t.consumer);
	cr_assert(fake_run_until(taker_is_cancelled, &t));
	run();
}

/* Makes records of 'len' bytes, or items of it, until that is refused; returns how many. */
static size_t
fill(size_t len, bool items)
{
	size_t n = 0;

	while (n < RECORDS) {
		struct sq_txn *txn;

		if (items ? ops->queue.full(queues[0], (uint32_t)len) : sq_engine_full(engine))
			break;
		txn = txn_new();
		for (unsigned i = 0; i < 20 && n < RECORDS; i++, n++) {
			if (items)
				put(txn, 0, len);
			else
				record(txn, n, len);
		}
		ops->txn.commit(txn);
		run();
	}
	cr_assert_lt(n, RECORDS, "it is never full");
	return n;
}

static void
await_room(void)
{
	uint64_t until_ms = sq_clock_ms() + WAIT_MS;
	struct sq_buf why = {0};

	while (sq_engine_full(engine) || !ops->healthy(engine, &why)) {
		cr_assert_lt(sq_clock_ms(), until_ms, "it does not go on by itself: %.*s",
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
		sq_buf_drain(&why, sq_buf_len(&why));
		usleep(1000);
	}
	sq_buf_fini(&why);
}

static void
delete_all(void)
{
	struct sq_txn *txn = txn_new();

	for (size_t i = 0; i < RECORDS; i++) {
		if (values[i] == 0)
			continue;
		record(txn, i, 0);
		if (i % 50 == 0) {
			ops->txn.commit(txn);
			run();
			txn = txn_new();
		}
	}
	ops->txn.commit(txn);
	run();
}

TestSuite(embedded_full, .timeout = 300);

Test(embedded_full, records_are_refused_and_their_end_makes_room)
{
	for (size_t len = 20; len < VALUE_MAX; len *= 5) {
		begin(4 * MIB, len);
		for (unsigned turn = 0; turn < 2; turn++) {
			size_t n = fill(len, false);
			struct sq_txn *txn;

			for (size_t i = 0; i < n; i++) { /* what is there goes on */
				txn = txn_new();
				record(txn, i, len);
				ops->txn.commit(txn);
				if (i % 100 == 0)
					run();
			}
			run();
			delete_all();
			await_room();
		}
		end();
	}
}

Test(embedded_full, items_are_refused_and_their_settlement_makes_room)
{
	for (size_t len = 20; len < VALUE_MAX; len *= 5) {
		begin(4 * MIB, len);
		for (unsigned turn = 0; turn < 2; turn++) {
			fill(len, true);
			take(0, RECORDS);
			await_room();
		}
		end();
	}
}

Test(embedded_full, a_store_that_has_more_than_it_may_starts_and_gets_less)
{
	size_t n;

	begin(16 * MIB, 1);
	n = fill(1000, false);
	store_close();
	max_bytes = 4 * MIB; /* as it was written in the configuration */
	store_open();
	cr_assert(sq_engine_full(engine), "from the start, with %zu records", n);
	store_close();
	store_open();
	delete_all();
	await_room();
	n = fill(1000, false);
	cr_assert_lt(n * 1000, 4 * MIB);
	delete_all();
	await_room();
	end();
}

/* One random step of somebody who asks before. */
static void
step(void)
{
	struct sq_txn *txn = txn_new();
	unsigned what = (unsigned)draw(100), queue = (unsigned)draw(QUEUES);
	size_t id = draw(RECORDS), len = 1 + draw(draw(2) == 0 ? 100 : VALUE_MAX - 1);

	if (what < 55) {
		if (!sq_engine_full(engine) && values[id] == 0)
			record(txn, id, len);
		else if (values[id] != 0)
			record(txn, id, draw(2) == 0 ? values[id] : 0);
	} else if (what < 98) {
		if (!ops->queue.full(queues[queue], (uint32_t)len))
			put(txn, queue, len);
	}
	ops->txn.commit(txn);
	if (what >= 98)
		take(queue, 1 + draw(200));
	else if (draw(16) == 0)
		run();
}

Test(embedded_full, random_work_at_the_limit_never_hangs_and_loses_nothing)
{
	enum { SEEDS = 2, LIVES = 4, STEPS = 6000 };

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		unsigned full = 0;

		begin(3 * MIB, seed);
		for (unsigned life = 0; life < LIVES; life++) {
			for (unsigned i = 0; i < STEPS; i++) {
				step();
				full += sq_engine_full(engine);
			}
			store_close();
			store_open();
		}
		cr_assert_gt(full, 0, "it was never at its limit");
		delete_all();
		for (unsigned i = 0; i < QUEUES; i++)
			take(i, n_items[i]);
		await_room();
		end();
	}
}
