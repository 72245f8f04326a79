/* The embedded engine over restarts, and with more than fits into memory.  What
 * every engine must do is in test/contract/test_engine.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../support/counting_log.h"
#include "../support/fake_worker.h"
#include "../support/temp_dir.h"
#include "broker/engine/embedded/table.h"
#include "broker/engine/engines/engines.h"
#include "broker/engine/files.h"
#include "broker/engine/queue/queue.h"
#include "broker/metrics/metrics.h"
#include "broker/share/share.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/memory.h"
#include "store/journal/log_file.h"

enum { QUEUES = 8, MIB = 1 << 20 };

static const struct sq_engine_ops *const ops = &sq_engine_embedded;
static const struct sq_log_ops *log_ops = &sq_log_file;
static struct sq_engine *engine;
static char *dir;
static unsigned running;

/* Reads of the tables that fail: the next so many. */

static atomic_int failing_reads;

int __real_mdb_txn_begin(MDB_env *, MDB_txn *, unsigned flags, MDB_txn **);
int __wrap_mdb_txn_begin(MDB_env *, MDB_txn *, unsigned flags, MDB_txn **);

int
__wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn)
{
	if (flags & MDB_RDONLY && atomic_load(&failing_reads) > 0) {
		atomic_fetch_sub(&failing_reads, 1);
		return MDB_READERS_FULL;
	}
	return __real_mdb_txn_begin(env, parent, flags, txn);
}

/* The wall clock, and how far it was set. */

static int64_t wall_set_ms;

uint64_t __real_sq_clock_wall_ms(void);
uint64_t __wrap_sq_clock_wall_ms(void);

uint64_t
__wrap_sq_clock_wall_ms(void)
{
	return __real_sq_clock_wall_ms() + (uint64_t)wall_set_ms;
}

static void
store_open(void)
{
	const struct sq_engine_files files = {
	    .dir = dir,
	    .log = log_ops,
	    .journal_bytes = 8 * MIB,
	    .max_bytes = 512 * MIB,
	    .cache_bytes = MIB,
	};
	struct sq_engine_cfg cfg = {
	    .metrics = &sq_broker_metrics,
	    .n_workers = 1,
	    .files = &files,
	};
	struct sq_buf err = {0};

	for (size_t i = 0; i < SQ_M_COUNT; i++)
		sq_metric_set(&sq_broker_metrics, i, 0);
	engine = ops->open(&cfg, &err);
	cr_assert_not_null(engine, "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	sq_buf_fini(&err);
}

static void
begin(void)
{
	fake_workers_init(1);
	dir = temp_dir_new();
	store_open();
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
	cr_assert(fake_run_until(all_done, NULL));
}

static void
store_close(void)
{
	run();
	ops->close(engine);
	cr_assert(fake_run());
}

static void
end(void)
{
	store_close();
	temp_dir_free(&dir);
}

/* Transactions free themselves. */

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

static bool timed_queues;

static struct sq_queue *
queue_open_of(const char *name, struct sq_account *memory)
{
	struct sq_queue_cfg cfg = {
	    .memory = memory,
	    .timed = timed_queues,
	    .name = name,
	    .owner = fake_worker(0),
	    .max_msgs = 1000000,
	    .max_bytes = UINT64_C(1) << 40,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .durable = true,
	};
	struct sq_txn *txn = txn_new();
	struct sq_queue *q = ops->queue.open(engine, txn, &cfg);

	ops->txn.commit(txn);
	return q;
}

static struct sq_queue *
queue_open(const char *name)
{
	return queue_open_of(name, NULL);
}

static struct sq_item
item_new(unsigned number, size_t size)
{
	unsigned char *payload = sq_xcalloc(1, size);
	struct sq_item item = {.qos = 1, .origin = {7, 8, number, 0}};

	sq_put32(payload, number);
	item.msg = sq_msg_new(1, false, (struct sq_bytes){(const unsigned char *)"t", 1},
	    (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY, (struct sq_bytes){payload, size});
	free(payload);
	return item;
}

static unsigned
item_number(const struct sq_item *item)
{
	return sq_get32(sq_image_payload(item->msg.image).p);
}

static void
put(struct sq_queue *q, unsigned from, unsigned to, size_t size)
{
	for (unsigned i = from; i <= to; i++) {
		struct sq_txn *txn = txn_new();
		struct sq_item item = item_new(i, size);

		cr_assert_eq(ops->txn.put(txn, q, &item), SQ_OK);
		ops->txn.commit(txn);
		if (i % 256 == 0)
			run();
	}
	run();
}

static void
settle(struct sq_queue *q, struct sq_item *item, enum sq_settle_how how)
{
	struct sq_txn *txn = txn_new();

	ops->txn.settle(txn, q, item, how);
	if (how == SQ_DONE)
		sq_item_fini(item);
	ops->txn.commit(txn);
}

/* A consumer that keeps what it takes. */

struct consumer {
	struct sq_consumer consumer;
	struct sq_item *items;
	size_t n, cap, want;
	bool cancelled;
};

static void
consumer_take(struct sq_consumer *sc, struct sq_item *items, size_t n)
{
	struct consumer *c = SQ_CONTAINER_OF(sc, struct consumer, consumer);

	if (c->n + n > c->cap) {
		c->cap = (c->n + n) * 2;
		c->items = sq_xrealloc(c->items, c->cap * sizeof(*c->items));
	}
	for (size_t i = 0; i < n; i++) {
		ops->consumer.sent(sc->queue, 1, sq_image_size(items[i].msg.image));
		items[i].unsent = false;
	}
	memcpy(c->items + c->n, items, n * sizeof *items);
	c->n += n;
}

static void
consumer_cancelled(struct sq_consumer *sc)
{
	SQ_CONTAINER_OF(sc, struct consumer, consumer)->cancelled = true;
}

static bool
consumer_full(void *arg)
{
	const struct consumer *c = arg;

	return c->n >= c->want;
}

static bool
consumer_is_cancelled(void *arg)
{
	const struct consumer *c = arg;

	return c->cancelled;
}

/* Wants 'n' items out of the queue. */
static void
consumer_start(struct consumer *c, struct sq_queue *q, size_t n)
{
	*c = (struct consumer){.want = n};
	c->consumer.worker = fake_worker(0);
	c->consumer.take = consumer_take;
	c->consumer.cancelled = consumer_cancelled;
	sq_list_init(&c->consumer.node);
	ops->consumer.consume(q, &c->consumer);
	ops->consumer.demand(
	    &c->consumer, &(struct sq_demand){(uint32_t)n, (uint32_t)n, UINT64_MAX});
}

static void
consumer_stop(struct consumer *c)
{
	ops->consumer.cancel(&c->consumer);
	cr_assert(fake_run_until(consumer_is_cancelled, c));
}

/* Takes 'n' items out of the queue, in order. */
static void
consumer_take_n(struct consumer *c, struct sq_queue *q, size_t n)
{
	consumer_start(c, q, n);
	cr_assert(fake_run_until(consumer_full, c), "%zu of %zu items", c->n, n);
	consumer_stop(c);
	cr_assert_eq(c->n, n);
}

/* Takes items 'from' to 'to', in order, and settles them. */
static void
drain(struct sq_queue *q, unsigned from, unsigned to)
{
	struct consumer c;

	consumer_take_n(&c, q, to - from + 1);
	for (size_t i = 0; i < c.n; i++) {
		cr_assert_eq(item_number(&c.items[i]), from + i, "item %zu is %u, not %zu", i,
		    item_number(&c.items[i]), from + i);
		settle(q, &c.items[i], SQ_DONE);
		if (i % 256 == 0)
			run();
	}
	run();
	free(c.items);
}

static int64_t
checkpoints(void)
{
	return atomic_load(&sq_broker_metrics.values[SQ_M_STORE_CHECKPOINTS]);
}

/* Waits until more than 'before' checkpoints were written. */
static void
await_checkpoint(int64_t before)
{
	for (int i = 0; i < 60000 && checkpoints() <= before; i++)
		usleep(1000);
	cr_assert_gt(checkpoints(), before);
}

/* Waits until more than 'n' items of the queue are in the tables alone. */
static void
await_gap(struct sq_queue *q, uint64_t n)
{
	struct sq_gap gap = {0};

	for (int i = 0; i < 60000 && gap.n <= n; i++) {
		cr_assert(fake_run());
		pthread_mutex_lock(&q->lock);
		gap = q->gap;
		pthread_mutex_unlock(&q->lock);
		usleep(1000);
	}
	cr_assert_gt(gap.n, n);
}

Test(embedded, what_was_committed_is_there_after_a_restart)
{
	struct sq_queue *q;
	struct consumer c;

	begin();
	q = queue_open("a");
	ops->start.ready(engine);
	put(q, 1, 10, 100);
	drain(q, 1, 3);
	consumer_take_n(&c, q, 2); /* 4 stays out, 5 comes back */
	settle(q, &c.items[1], SQ_REQUEUE);
	run();
	ops->queue.close(q);
	sq_item_fini(&c.items[0]);
	free(c.items);
	store_close();

	store_open();
	q = queue_open("a");
	ops->start.ready(engine);
	cr_assert_eq(ops->queue.depth(q), 7);
	consumer_take_n(&c, q, 7);
	for (unsigned i = 0; i < 7; i++) {
		cr_assert_eq(item_number(&c.items[i]), i + 4);
		cr_assert_eq(c.items[i].attempts, i == 1);
		cr_assert(sq_origin_equal(&c.items[i].origin, &(struct sq_origin){7, 8, i + 4, 0}));
		settle(q, &c.items[i], SQ_DONE);
	}
	free(c.items);
	run();
	ops->queue.close(q);
	store_close();

	store_open();
	q = queue_open("a");
	ops->start.ready(engine);
	cr_assert_eq(ops->queue.depth(q), 0);
	ops->queue.close(q);
	end();
}

Test(embedded, its_log_is_the_one_that_it_is_given)
{
	const struct counting_log_counts *counts = &counting_log_counts;
	unsigned appended;
	struct sq_queue *q;

	log_ops = &counting_log;
	begin();
	cr_assert_eq(counts->opened, 1);
	cr_assert_eq(counts->claimed, 1);
	q = queue_open("a");
	ops->start.ready(engine);
	put(q, 1, 10, 100);
	run();
	appended = counts->appended;
	cr_assert_gt(appended, 0);
	ops->queue.close(q);
	store_close();
	cr_assert_eq(counts->closed, 1);

	store_open();
	q = queue_open("a");
	ops->start.ready(engine);
	cr_assert_eq(ops->queue.depth(q), 10);
	drain(q, 1, 10);
	run();
	cr_assert_gt(counts->appended, appended);
	ops->queue.close(q);
	end();
	cr_assert_eq(counts->opened, 2);
	cr_assert_eq(counts->closed, 2);
}

Test(embedded, a_backlog_leaves_memory_and_comes_back_in_order)
{
	enum { N = 40000, SIZE = 1000 };
	struct sq_queue *q;

	begin();
	q = queue_open("a");
	ops->start.ready(engine);
	put(q, 1, N, SIZE);
	cr_assert_eq(ops->queue.depth(q), N);
	await_gap(q, N / 2);
	cr_assert_lt(q->bytes, 12 * MIB);
	drain(q, 1, 1000);
	put(q, N + 1, N + 1000, SIZE);
	drain(q, 1001, N / 2);
	ops->queue.close(q);
	store_close();

	store_open();
	q = queue_open("a");
	ops->start.ready(engine);
	cr_assert_eq(ops->queue.depth(q), N / 2 + 1000);
	drain(q, N / 2 + 1, N + 1000);
	cr_assert_eq(ops->queue.depth(q), 0);
	ops->queue.close(q);
	end();
}

/* Draws the first from that seq on, as often as it takes to read it. */
static int
take_out(struct sq_queue *q, uint64_t from, struct sq_item *out)
{
	int err;

	while ((err = ops->queue.draw(q, from, UINT64_MAX, out)) == SQ_EAGAIN)
		usleep(1000);
	return err;
}

Test(embedded, a_backlog_is_drawn_to_its_end)
{
	enum { N = 10000, KEPT = 5000 };
	struct sq_item item, kept;
	struct sq_queue *q;
	unsigned drawn;

	begin();
	q = queue_open("a");
	ops->start.ready(engine);
	put(q, 1, N, 1000);
	await_gap(q, N / 2);
	ops->queue.close(q);
	store_close();

	store_open();
	q = queue_open("a");
	ops->start.ready(engine);
	for (drawn = 0; take_out(q, 0, &item) == SQ_OK;) {
		cr_assert_eq(item_number(&item), ++drawn);
		if (drawn == KEPT)
			kept = item;
		else
			settle(q, &item, SQ_DONE);
		if (drawn % 256 == 0)
			run();
	}
	cr_assert_eq(drawn, N);
	settle(q, &kept, SQ_UNTRIED);
	run();
	cr_assert_eq(ops->queue.depth(q), 1);
	ops->queue.close(q);
	store_close();

	store_open();
	q = queue_open("a");
	ops->start.ready(engine);
	drain(q, KEPT, KEPT);
	ops->queue.close(q);
	end();
}

Test(embedded, what_is_drawn_from_behind_a_gap_is_read_once)
{
	enum { N = 8000 };
	struct sq_item last, none;
	struct sq_queue *q;
	unsigned n = N;
	uint64_t to;

	begin();
	q = queue_open("a");
	ops->start.ready(engine);
	put(q, 1, N, 1000);
	cr_assert(q->gap.open);
	to = q->gap.to;
	while (ops->queue.recall(q)) /* as much as has room */
		usleep(1000);
	cr_assert(q->gap.open, "not all of it has");
	cr_assert_neq(ops->queue.draw(q, to, UINT64_MAX, &none), SQ_OK, "nor can it be read");
	do { /* what has just come is in memory, until it is written to the tables */
		n++;
		put(q, n, n, 1000);
	} while (ops->queue.draw(q, q->last_seq, UINT64_MAX, &last) != SQ_OK && n < 2 * N);
	cr_assert_eq(item_number(&last), n);
	settle(q, &last, SQ_UNTRIED);
	run();
	drain(q, 1, n);
	ops->queue.close(q);
	end();
}

Test(embedded, a_small_backlog_is_read_to_be_seen)
{
	enum { N = 100 };
	struct sq_queue *q;
	struct sq_item item;
	uint64_t from = 0;

	begin();
	q = queue_open("a");
	ops->start.ready(engine);
	put(q, 1, N, 1000);
	put(q, N + 1, N + 8000, 1000); /* so that a chunk is written to the tables */
	drain(q, 1, 8000);
	run();
	ops->queue.close(q);
	store_close();

	store_open();
	q = queue_open("a");
	ops->start.ready(engine);
	while (ops->queue.recall(q))
		usleep(1000);
	for (unsigned i = 8001; i <= N + 8000; i++) {
		cr_assert(ops->queue.peek(q, from, &item), "%u", i);
		cr_assert_eq(item_number(&item), i);
		from = item.seq + 1;
		sq_item_fini(&item);
	}
	drain(q, 8001, N + 8000);
	ops->queue.close(q);
	end();
}

Test(embedded, what_was_handed_out_is_claimed_from_journal_and_tables)
{
	enum { N = 8000 };
	struct sq_queue *q;
	struct sq_item old, young, none;
	struct consumer c;
	uint64_t seqs[3];

	begin();
	q = queue_open("a");
	ops->start.ready(engine);
	put(q, 1, N, 1000);
	consumer_take_n(&c, q, N);
	seqs[0] = c.items[0].seq;
	seqs[1] = c.items[N - 1].seq;
	seqs[2] = c.items[1].seq;
	settle(q, &c.items[1], SQ_DONE);
	run();
	ops->queue.close(q);
	for (unsigned i = 0; i < N; i++)
		if (i != 1)
			sq_item_fini(&c.items[i]);
	free(c.items);
	store_close();

	store_open();
	q = queue_open("a");
	atomic_store(&failing_reads, 2); /* which is tried again */
	cr_assert_eq(ops->start.claim(q, seqs[0], &old), SQ_OK);
	cr_assert_eq(atomic_load(&failing_reads), 0);
	cr_assert_eq(ops->start.claim(q, seqs[1], &young), SQ_OK);
	cr_assert_eq(ops->start.claim(q, seqs[2], &none), SQ_ENOTFOUND, "it was settled");
	ops->start.ready(engine);
	cr_assert_eq(item_number(&old), 1);
	cr_assert_eq(item_number(&young), N);
	cr_assert_eq(ops->queue.depth(q), N - 3);
	settle(q, &young, SQ_DONE);
	settle(q, &old, SQ_UNTRIED);
	consumer_take_n(&c, q, N - 2);
	cr_assert_eq(item_number(&c.items[0]), 1);
	for (unsigned i = 1; i < N - 2; i++)
		cr_assert_eq(item_number(&c.items[i]), i + 2);
	for (unsigned i = 0; i < N - 2; i++)
		settle(q, &c.items[i], SQ_DONE);
	free(c.items);
	run();
	ops->queue.close(q);
	end();
}

static int64_t
metric(enum sq_broker_metric m)
{
	return atomic_load(&sq_broker_metrics.values[m]);
}

/* Waits until healthy() says that reads fail, or no longer; it never refuses for that. */
static void
await_failing_reads(bool failing)
{
	struct sq_buf why = {0};
	bool told = !failing;

	for (int i = 0; i < 60000 && told != failing; i++) {
		cr_assert(fake_run());
		cr_assert(ops->healthy(engine, &why));
		told = sq_buf_len(&why) > 0;
		sq_buf_fini(&why);
		usleep(1000);
	}
	cr_assert_eq(told, failing);
}

struct scan {
	struct sq_scan scan;
	bool done;
	int err;
};

static void
scan_done(struct sq_scan *scan, int err)
{
	struct scan *s = SQ_CONTAINER_OF(scan, struct scan, scan);

	s->done = true;
	s->err = err;
}

static bool
scan_is_done(void *arg)
{
	return ((const struct scan *)arg)->done;
}

static int
scan_some(struct sq_queue *q, uint64_t from, uint32_t n, struct scan *s)
{
	*s = (struct scan){.scan = {.worker = fake_worker(0),
			       .from = from,
			       .max_items = n,
			       .max_bytes = UINT64_MAX,
			       .done = scan_done}};
	ops->queue.scan(q, &s->scan);
	cr_assert(fake_run_until(scan_is_done, s));
	return s->err;
}

/* Scans all, 'n' at a time; of 'numbers', ascending, each is there once, and no other. */
static void
scan_all(struct sq_queue *q, uint32_t n, const unsigned *numbers, size_t n_numbers)
{
	struct scan s = {.scan.more = true};
	uint64_t next = 0;
	size_t at = 0;

	while (s.scan.more) {
		cr_assert_eq(scan_some(q, next, n, &s), SQ_OK);
		next = s.scan.next;
		for (uint32_t i = 0; i < s.scan.n; i++, at++) {
			cr_assert_lt(at, n_numbers);
			cr_assert_eq(item_number(&s.scan.items[i]), numbers[at],
			    "%zu is %u instead of %u", at, item_number(&s.scan.items[i]),
			    numbers[at]);
		}
		sq_scan_fini(&s.scan);
	}
	cr_assert_eq(at, n_numbers, "%zu of %zu", at, n_numbers);
}

/* Head, gap and tail, without what is handed out, and with what has come back; before and after a
 * restart that finds a part settled and a part claimed. */
Test(embedded, a_scan_finds_what_only_the_tables_have)
{
	enum { N = 4000, SIZE = 4000, OUT = 3 };
	static unsigned numbers[N];
	struct sq_item claimed;
	struct sq_queue *q;
	struct consumer c;
	struct scan s;
	uint64_t seq, bytes;
	size_t n = 0;

	begin();
	q = queue_open("a");
	ops->start.ready(engine);
	put(q, 1, N, SIZE);
	await_gap(q, N / 2);
	consumer_take_n(&c, q, OUT);
	settle(q, &c.items[1], SQ_UNTRIED);
	run();
	for (unsigned i = 2; i <= N; i++)
		if (i != OUT)
			numbers[n++] = i;
	bytes = q->bytes;
	scan_all(q, 7, numbers, n);
	scan_all(q, SQ_SCAN_MAX, numbers, n);
	cr_assert_leq(q->bytes, bytes, "nothing of it comes into memory");
	seq = c.items[2].seq;
	settle(q, &c.items[0], SQ_DONE);
	run();
	sq_item_fini(&c.items[2]);
	free(c.items);
	ops->queue.close(q);
	store_close();

	store_open();
	q = queue_open("a");
	cr_assert_eq(ops->start.claim(q, seq, &claimed), SQ_OK);
	ops->start.ready(engine);
	scan_all(q, 300, numbers, n);
	settle(q, &claimed, SQ_UNTRIED);
	run();
	for (unsigned i = 0; i <= n; i++)
		numbers[i] = i + 2;
	scan_all(q, 300, numbers, ++n);
	atomic_store(&failing_reads, 1);
	cr_assert_eq(scan_some(q, 0, 10, &s), SQ_EIO);
	sq_scan_fini(&s.scan);
	cr_assert_eq(atomic_load(&failing_reads), 0);
	scan_all(q, 300, numbers, n);
	drain(q, 2, N);
	ops->queue.close(q);
	end();
}

/* With consumers, pages and checkpoints at the same time, each scan is in order. */
Test(embedded, a_scan_goes_on_beside_everything_else)
{
	enum { N = 6000, SIZE = 2000 };
	struct sq_queue *q;
	struct consumer c;
	struct scan s;
	unsigned seen = 0;

	begin();
	q = queue_open("a");
	ops->start.ready(engine);
	put(q, 1, N, SIZE);
	consumer_start(&c, q, N);
	while (!consumer_full(&c)) {
		uint64_t next = 0;

		s.scan.more = true;
		while (s.scan.more) {
			unsigned before = 0;

			cr_assert_eq(scan_some(q, next, 100, &s), SQ_OK);
			for (uint32_t i = 0; i < s.scan.n; i++) {
				cr_assert_gt(item_number(&s.scan.items[i]), before);
				cr_assert(i == 0 || item_number(&s.scan.items[i]) == before + 1);
				before = item_number(&s.scan.items[i]);
			}
			seen += s.scan.n;
			next = s.scan.next;
			sq_scan_fini(&s.scan);
		}
	}
	cr_assert_gt(seen, 0);
	for (size_t i = 0; i < c.n; i++)
		settle(q, &c.items[i], SQ_DONE);
	free(c.items);
	run();
	consumer_stop(&c);
	ops->queue.close(q);
	end();
}

static unsigned faults;

static void
check_line(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

/* What the tables have is what they say they have. */
static void
check_tables(void)
{
	struct sq_buf err = {0};
	struct sq_table *t;

	cr_assert_eq(sq_table_open(&t, dir, 0, true, &err), SQ_OK);
	faults = sq_table_check(t, check_line, NULL);
	sq_table_close(&t);
	sq_buf_fini(&err);
	cr_assert_eq(faults, 0);
}

/* From the journal, and of large ones from the tables. */
Test(embedded, the_time_of_arrival_outlives_a_restart)
{
	enum { N = 3000, SIZE = 4000 };
	struct sq_queue *timed, *other;
	uint64_t before, after;
	struct consumer c;

	begin();
	other = queue_open("other");
	timed_queues = true;
	timed = queue_open("timed");
	ops->start.ready(engine);
	before = sq_clock_wall_ms();
	put(timed, 1, N, SIZE);
	put(other, 1, 1, 10);
	put(timed, N + 1, N + 3, 10);
	after = sq_clock_wall_ms();
	await_gap(timed, 0);
	ops->queue.close(timed);
	ops->queue.close(other);
	store_close();
	check_tables();

	wall_set_ms = 3600000; /* it says when that was, not how long ago */
	store_open();
	timed = queue_open("timed");
	timed_queues = false;
	other = queue_open("other");
	ops->start.ready(engine);
	consumer_take_n(&c, other, 1);
	cr_assert_eq(c.items[0].arrived_ms, 0);
	settle(other, &c.items[0], SQ_DONE);
	free(c.items);
	consumer_take_n(&c, timed, N + 3);
	for (size_t i = 0; i < c.n; i++) {
		cr_assert_eq(item_number(&c.items[i]), i + 1);
		cr_assert_geq(c.items[i].arrived_ms, before);
		cr_assert_leq(c.items[i].arrived_ms, after);
		settle(timed, &c.items[i], SQ_DONE);
		if (i % 256 == 0)
			run();
	}
	free(c.items);
	run();
	wall_set_ms = 0;
	cr_assert_eq(metric(SQ_M_QUEUED_BYTES), 0, "%lld", (long long)metric(SQ_M_QUEUED_BYTES));
	ops->queue.close(timed);
	ops->queue.close(other);
	store_close();
	check_tables();
	temp_dir_free(&dir);
}

/* Tries the items, which stay out, and says their seqs. */
static void
try_items(struct sq_queue *q, struct consumer *c, unsigned times, uint64_t *seqs)
{
	struct sq_txn *txn = txn_new();

	for (size_t i = 0; i < c->n; i++) {
		seqs[i] = c->items[i].seq;
		for (unsigned n = 0; n < times; n++)
			ops->txn.settle(txn, q, &c->items[i], SQ_TRIED);
	}
	ops->txn.commit(txn);
	run();
	ops->queue.close(q);
	for (size_t i = 0; i < c->n; i++)
		sq_item_fini(&c->items[i]);
	free(c->items);
}

/* Also of items that are in the tables alone. */
Test(embedded, what_was_tried_is_claimed_with_its_attempts)
{
	enum { N = 4000, SIZE = 4000 };
	uint64_t seqs[2];
	struct sq_item first, second;
	struct sq_queue *q;
	struct consumer c;

	begin();
	q = queue_open("a");
	ops->start.ready(engine);
	for (unsigned large = 0; large < 2; large++) {
		put(q, 1, large ? N : 2, SIZE);
		consumer_take_n(&c, q, 2);
		cr_assert_eq(item_number(&c.items[1]), 2);
		try_items(q, &c, 3, seqs);
		store_close();

		store_open();
		q = queue_open("a");
		cr_assert_eq(ops->start.claim(q, seqs[0], &first), SQ_OK);
		ops->start.ready(engine);
		cr_assert_eq(item_number(&first), 1);
		cr_assert_eq(first.attempts, 3, "%u, large %u", first.attempts, large);
		settle(q, &first, SQ_DONE);
		consumer_take_n(&c, q, 1);
		second = c.items[0];
		free(c.items);
		cr_assert_eq(second.seq, seqs[1], "what nobody claims waits again");
		cr_assert_eq(second.attempts, 3);
		settle(q, &second, SQ_DONE);
		run();
	}
	drain(q, 3, N);
	ops->queue.close(q);
	end();
}

/* A consumer waits for what is in the tables, and nobody else does anything for it. */
Test(embedded, a_read_that_fails_refuses_nothing_and_is_tried_again)
{
	enum { N = 20000, SIZE = 1000, FAILURES = 4 };
	struct sq_queue *q, *other;
	struct consumer c;
	size_t head;

	begin();
	q = queue_open("a");
	other = queue_open("b");
	ops->start.ready(engine);
	put(q, 1, N, SIZE);
	await_gap(q, N / 2);
	atomic_store(&failing_reads, INT_MAX);
	consumer_start(&c, q, 2 * N);
	await_failing_reads(true);
	head = c.n;
	cr_assert_lt(head, N / 2);
	cr_assert_not(ops->queue.full(q, SIZE));
	cr_assert_not(ops->queue.full(other, SIZE));
	put(other, 1, 100, SIZE);
	put(q, N + 1, 2 * N, SIZE);
	cr_assert_lt(q->bytes, 12 * MIB, "it leaves memory meanwhile");
	cr_assert_eq(c.n, head);
	cr_assert_eq(metric(SQ_M_STORE_STALLED), 0);
	cr_assert_eq(metric(SQ_M_DROPPED_FULL), 0);

	atomic_store(&failing_reads, FAILURES);
	cr_assert(fake_run_until(consumer_full, &c), "%zu of %d items", c.n, 2 * N);
	await_failing_reads(false);
	cr_assert_gt(metric(SQ_M_STORE_READ_FAILURES), FAILURES);
	for (size_t i = 0; i < c.n; i++) {
		cr_assert_eq(item_number(&c.items[i]), i + 1);
		settle(q, &c.items[i], SQ_DONE);
		if (i % 256 == 0)
			run();
	}
	free(c.items);
	consumer_stop(&c);
	ops->queue.close(q);
	ops->queue.close(other);
	end();
}

Test(embedded, a_queue_may_end_while_its_reads_fail)
{
	enum { N = 20000, SIZE = 1000 };
	struct sq_queue *q, *other;
	struct consumer c;
	struct sq_txn *txn;

	begin();
	q = queue_open("a");
	other = queue_open("b");
	ops->start.ready(engine);
	put(q, 1, N, SIZE);
	put(other, 1, N, SIZE);
	await_gap(q, N / 2);
	atomic_store(&failing_reads, INT_MAX);
	consumer_start(&c, q, N);
	await_failing_reads(true);
	consumer_stop(&c);
	txn = txn_new();
	ops->queue.delete(txn, q);
	ops->txn.commit(txn);
	run();
	await_failing_reads(false); /* nothing is left to be read */
	for (size_t i = 0; i < c.n; i++)
		sq_item_fini(&c.items[i]);
	free(c.items);
	atomic_store(&failing_reads, 0);
	drain(other, 1, N);
	ops->queue.close(other);
	end();
}

/* Half of what a consumer has comes back, and more arrives than memory may hold: the
 * other half, which is in the tables, does not come with it. */
Test(embedded, what_is_with_a_consumer_is_not_read_from_the_tables)
{
	enum { HANDED = 4000, N = 40000, REST = N - HANDED / 2, SIZE = 1000 };
	struct sq_queue *q;
	struct consumer has, rest;

	begin();
	q = queue_open("a");
	ops->start.ready(engine);
	put(q, 1, HANDED, SIZE);
	consumer_take_n(&has, q, HANDED);
	for (unsigned i = 0; i < HANDED; i += 2)
		settle(q, &has.items[i], SQ_UNTRIED);
	put(q, HANDED + 1, N, SIZE);
	await_gap(q, N / 2);
	cr_assert_eq(ops->queue.depth(q), REST);
	consumer_take_n(&rest, q, REST);
	for (unsigned i = 0; i < REST; i++) {
		unsigned number = i < HANDED / 2 ? 2 * i + 1 : i + HANDED / 2 + 1;

		cr_assert_eq(item_number(&rest.items[i]), number, "item %u is %u, not %u", i,
		    item_number(&rest.items[i]), number);
		settle(q, &rest.items[i], SQ_DONE);
		if (i % 256 == 0)
			run();
	}
	for (unsigned i = 1; i < HANDED; i += 2)
		settle(q, &has.items[i], SQ_DONE);
	run();
	cr_assert_eq(ops->queue.depth(q), 0);
	free(has.items);
	free(rest.items);
	ops->queue.close(q);
	end();
}

/* Records. */

static void
record(uint64_t id, const char *value)
{
	struct sq_txn *txn = txn_new();

	ops->txn.record(txn, &(struct sq_record_key){3, id, id + 1},
	    (struct sq_bytes){(const unsigned char *)value, value != NULL ? strlen(value) : 0});
	ops->txn.commit(txn);
}

static void
record_seen(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	cr_assert_eq(key->kind, 3);
	cr_assert_eq(key->sub, key->id + 1);
	sq_buf_printf(arg, "%d=%.*s ", (int)key->id, (int)value.len, (const char *)value.p);
}

static void
records_expect(const char *want)
{
	struct sq_buf text = {0};

	cr_assert_eq(ops->start.load(engine, 3, record_seen, &text), SQ_OK);
	cr_assert_eq(ops->start.load(engine, 4, record_seen, &text), SQ_OK);
	sq_buf_u8(&text, 0);
	cr_assert_str_eq((const char *)sq_buf_data(&text), want);
	sq_buf_fini(&text);
}

Test(embedded, the_last_value_of_a_record_counts)
{
	struct sq_queue *q;
	int64_t before;

	begin();
	q = queue_open("a");
	ops->start.ready(engine);
	record(5, "five");
	record(1, "one");
	record(2, "two");
	record(3, "");
	record(1, "ONE");
	record(2, NULL);
	run();
	ops->queue.close(q);
	store_close();

	store_open();
	records_expect("1=ONE 3= 5=five ");
	q = queue_open("a");
	ops->start.ready(engine);
	before = checkpoints();
	put(q, 1, 4000, 1000); /* until a checkpoint has written them */
	await_checkpoint(before);
	record(5, NULL);
	record(1, "eins");
	record(4, "four");
	run();
	ops->queue.close(q);
	store_close();

	store_open();
	records_expect("1=eins 3= 4=four ");
	ops->start.ready(engine);
	end();
}

Test(embedded, a_queue_that_nobody_opens_is_deleted)
{
	struct sq_queue *a, *b;

	begin();
	a = queue_open("a");
	b = queue_open("b");
	ops->start.ready(engine);
	put(a, 1, 5000, 1000);
	put(b, 1, 2, 1000);
	ops->queue.close(a);
	ops->queue.close(b);
	store_close();

	store_open();
	b = queue_open("b");
	ops->start.ready(engine);
	run();
	ops->queue.close(b);
	store_close();

	store_open();
	a = queue_open("a");
	b = queue_open("b");
	ops->start.ready(engine);
	cr_assert_eq(ops->queue.depth(a), 0);
	cr_assert_eq(ops->queue.depth(b), 2);
	drain(b, 1, 2);
	ops->queue.close(a);
	ops->queue.close(b);
	end();
}

Test(embedded, a_second_broker_gets_no_store)
{
	struct sq_engine_files files = {
	    .log = &sq_log_file, .journal_bytes = 64 * MIB, .max_bytes = 64 * MIB};
	const struct sq_engine_cfg cfg = {
	    .metrics = &sq_broker_metrics, .n_workers = 1, .files = &files};
	struct sq_buf err = {0};

	begin();
	files.dir = dir;
	cr_assert_null(ops->open(&cfg, &err));
	sq_buf_u8(&err, 0);
	cr_assert_not_null(strstr((const char *)sq_buf_data(&err), dir));
	sq_buf_fini(&err);
	ops->start.ready(engine);
	end();
}

/* Gives the checkpoint reason to write, until it has, and what was put meanwhile away. */
static void
force_checkpoint(struct sq_queue *other)
{
	int64_t before = checkpoints();

	while (checkpoints() < before + 2) {
		put(other, 1, 512, 4000);
		drain(other, 1, 512);
	}
}

Test(embedded, what_comes_back_does_not_leave_memory_over_what_is_still_out)
{
	enum { N = 6000 };
	struct sq_queue *q, *other;
	struct consumer c = {0}, rest;
	bool seen[N + 1] = {0};

	begin();
	q = queue_open("a");
	other = queue_open("other");
	ops->start.ready(engine);
	for (unsigned i = 0; i < N; i += 100) { /* handed out as they come */
		put(q, i + 1, i + 100, 1000);
		consumer_take_n(&rest, q, 100);
		if (i == 0)
			c = (struct consumer){.cap = N, .items = sq_xcalloc(N, sizeof *c.items)};
		memcpy(c.items + c.n, rest.items, 100 * sizeof *c.items);
		c.n += 100;
		free(rest.items);
	}
	force_checkpoint(other);
	for (unsigned i = 0; i < N; i += 2)
		settle(q, &c.items[i], SQ_UNTRIED);
	run();
	put(q, N + 1, N + 1000, 1000);
	force_checkpoint(other);
	for (unsigned i = 1; i < N; i += 4) /* settled, though perhaps still in the tables */
		settle(q, &c.items[i], SQ_DONE);
	run();
	cr_assert_eq(ops->queue.depth(q), N / 2 + 1000);
	consumer_take_n(&rest, q, N / 2 + 1000);
	for (size_t i = 0; i < rest.n; i++) {
		unsigned number = item_number(&rest.items[i]);

		if (number <= N) {
			cr_assert_eq(number % 2, 1, "%u was not given back", number);
			cr_assert(!seen[number], "%u came twice", number);
			seen[number] = true;
		}
		settle(q, &rest.items[i], SQ_DONE);
	}
	cr_assert_eq(ops->queue.depth(q), 0);
	free(rest.items);
	for (unsigned i = 3; i < N; i += 4)
		settle(q, &c.items[i], SQ_DONE);
	free(c.items);
	run();
	ops->queue.close(q);
	ops->queue.close(other);
	end();
}

Test(embedded, what_was_claimed_comes_back_to_its_place)
{
	enum { N = 8000, YOUNG = 1000 };
	struct sq_queue *q;
	struct consumer c;
	struct sq_item young;
	uint64_t seq;

	begin();
	q = queue_open("a");
	ops->start.ready(engine);
	put(q, 1, N, 1000);
	consumer_take_n(&c, q, N);
	seq = c.items[YOUNG - 1].seq;
	ops->queue.close(q);
	for (unsigned i = 0; i < N; i++)
		sq_item_fini(&c.items[i]);
	free(c.items);
	store_close();

	store_open();
	q = queue_open("a");
	cr_assert_eq(ops->start.claim(q, seq, &young), SQ_OK);
	ops->start.ready(engine);
	cr_assert(q->gap.open && q->gap.to > seq);
	settle(q, &young, SQ_UNTRIED);
	run();
	drain(q, 1, N);
	ops->queue.close(q);
	end();
}

Test(embedded, the_number_of_a_queue_whose_items_are_being_deleted_is_not_used_again)
{
	enum { N = 24000 };
	struct sq_queue *q, *other;
	struct sq_txn *txn;

	begin();
	other = queue_open("other");
	q = queue_open("a");
	ops->start.ready(engine);
	put(q, 1, N, 1000);
	txn = txn_new();
	ops->queue.delete(txn, q);
	ops->txn.commit(txn);
	force_checkpoint(other);
	ops->queue.close(other);
	store_close();

	store_open();
	other = queue_open("other");
	ops->start.ready(engine);
	q = queue_open("b");
	put(q, 1, N, 1000);
	force_checkpoint(other);
	drain(q, 1, N);
	ops->queue.close(q);
	ops->queue.close(other);
	end();
}

Test(embedded, a_queue_whose_making_was_lost_is_made_at_the_start)
{
	struct sq_queue_cfg cfg = {.name = "a",
	    .owner = fake_worker(0),
	    .max_msgs = 10,
	    .max_bytes = 10000,
	    .durable = true};
	struct sq_queue *q;

	begin();
	cfg.owner = fake_worker(0);
	q = ops->queue.open(engine, NULL, &cfg);
	ops->start.ready(engine);
	put(q, 1, 3, 10);
	ops->queue.close(q);
	store_close();

	store_open();
	q = ops->queue.open(engine, NULL, &cfg);
	ops->start.ready(engine);
	cr_assert_eq(ops->queue.depth(q), 3);
	drain(q, 1, 3);
	ops->queue.close(q);
	end();
}

Test(embedded, what_has_expired_makes_room_though_it_is_not_in_memory)
{
	enum { N = 8000 };
	struct sq_queue_cfg cfg = {.name = "a",
	    .max_msgs = N,
	    .max_bytes = UINT64_C(1) << 40,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .durable = true};
	struct sq_txn *txn;
	struct sq_queue *q, *other;
	struct sq_item item;

	begin();
	cfg.owner = fake_worker(0);
	txn = txn_new();
	q = ops->queue.open(engine, txn, &cfg);
	ops->txn.commit(txn);
	other = queue_open("other");
	ops->start.ready(engine);
	for (unsigned i = 1; i <= N; i++) {
		txn = txn_new();
		item = item_new(i, 1000);
		item.expires_ms = fake_now() + 1000;
		cr_assert_eq(ops->txn.put(txn, q, &item), SQ_OK);
		ops->txn.commit(txn);
		if (i % 256 == 0)
			run();
	}
	run();
	force_checkpoint(other);
	cr_assert(q->gap.open);
	cr_assert(ops->queue.full(q, 10));
	fake_set_now(fake_now() + 2000);
	for (unsigned i = 1; i <= 2 * N; i++) {
		while (ops->queue.full(q, 10)) /* a part is being read */
			usleep(100);
		txn = txn_new();
		item = item_new(i, 10);
		cr_assert_eq(ops->txn.put(txn, q, &item), SQ_OK);
		ops->txn.commit(txn);
		if (i % 256 == 0)
			run();
		if (i == N) {
			run();
			break;
		}
	}
	cr_assert_eq(ops->queue.depth(q), N);
	cr_assert(ops->queue.full(q, 10));
	drain(q, 1, N);
	ops->queue.close(q);
	ops->queue.close(other);
	end();
}

/* One item that expires in 'left_ms'. */
static void
put_expiring(struct sq_queue *q, unsigned number, uint64_t left_ms)
{
	struct sq_txn *txn = txn_new();
	struct sq_item item = item_new(number, 10);

	item.expires_ms = sq_clock_ms() + left_ms;
	cr_assert_eq(ops->txn.put(txn, q, &item), SQ_OK);
	ops->txn.commit(txn);
	run();
}

/* As where the time is not known before the network is there. */
Test(embedded, an_expiry_is_the_wall_clocks_also_where_that_is_set_after_the_start)
{
	enum { HOUR_MS = 3600 * 1000, SLACK_MS = 60000 };
	struct sq_queue *q;
	struct consumer c;

	wall_set_ms = -(int64_t)50 * 365 * 24 * HOUR_MS;
	begin();
	fake_set_now(sq_clock_ms());
	q = queue_open("a");
	ops->start.ready(engine);
	put_expiring(q, 1, HOUR_MS); /* fifty years ago */
	wall_set_ms = 0;
	put_expiring(q, 2, HOUR_MS);
	ops->queue.close(q);
	store_close();

	store_open();
	q = queue_open("a");
	ops->start.ready(engine);
	consumer_take_n(&c, q, 1);
	cr_assert_eq(item_number(&c.items[0]), 2);
	cr_assert_gt(c.items[0].expires_ms, sq_clock_ms() + HOUR_MS - SLACK_MS);
	cr_assert_lt(c.items[0].expires_ms, sq_clock_ms() + HOUR_MS + SLACK_MS);
	settle(q, &c.items[0], SQ_DONE);
	free(c.items);
	run();
	ops->queue.close(q);
	end();
}

/* Random puts, settlements and restarts, beside a reference in memory. */

struct reference {
	struct sq_queue *q;
	unsigned *waiting; /* numbers, in order */
	size_t n, cap;
};

static uint64_t seed = 88172645463325252ull;

static uint32_t
draw(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % below;
}

static void
reference_put(struct reference *r, unsigned number, size_t size)
{
	if (r->n == r->cap) {
		r->cap = r->cap > 0 ? r->cap * 2 : 64;
		r->waiting = sq_xrealloc(r->waiting, r->cap * sizeof(*r->waiting));
	}
	r->waiting[r->n++] = number;
	put(r->q, number, number, size);
}

/* Takes some from the front; settles a part of them, the others come back. */
static void
reference_take(struct reference *r)
{
	size_t n = draw((uint32_t)(r->n < 600 ? r->n : 600)) + 1, kept = 0;
	struct consumer c;

	consumer_take_n(&c, r->q, n);
	for (size_t i = 0; i < n; i++) {
		bool back = draw(10) == 0;

		cr_assert_eq(item_number(&c.items[i]), r->waiting[i]);
		if (back)
			r->waiting[kept++] = r->waiting[i];
		settle(r->q, &c.items[i], back ? SQ_UNTRIED : SQ_DONE);
	}
	run();
	memmove(r->waiting + kept, r->waiting + n, (r->n - n) * sizeof(*r->waiting));
	r->n -= n - kept;
	free(c.items);
}

static void
reference_restart(struct reference *refs)
{
	char name[8];

	for (unsigned i = 0; i < QUEUES; i++)
		ops->queue.close(refs[i].q);
	store_close();
	store_open();
	for (unsigned i = 0; i < QUEUES; i++) {
		snprintf(name, sizeof name, "q%u", i);
		refs[i].q = queue_open(name);
	}
	ops->start.ready(engine);
	for (unsigned i = 0; i < QUEUES; i++)
		cr_assert_eq(ops->queue.depth(refs[i].q), refs[i].n, "queue %u: %zu, not %zu", i,
		    ops->queue.depth(refs[i].q), refs[i].n);
}

Test(embedded, random_work_with_restarts_loses_and_doubles_nothing)
{
	struct reference refs[QUEUES] = {0};
	unsigned number = 0;
	char name[8];

	begin();
	for (unsigned i = 0; i < QUEUES; i++) {
		snprintf(name, sizeof name, "q%u", i);
		refs[i].q = queue_open(name);
	}
	ops->start.ready(engine);
	for (unsigned step = 0; step < 20000; step++) {
		struct reference *r = &refs[draw(QUEUES)];

		if (draw(40) == 0 && r->n > 0)
			reference_take(r);
		else
			reference_put(r, ++number, 4 + draw(6000));
		if (draw(2000) == 0)
			reference_restart(refs);
	}
	reference_restart(refs);
	for (unsigned i = 0; i < QUEUES; i++) {
		while (refs[i].n > 0)
			reference_take(&refs[i]);
		ops->queue.close(refs[i].q);
		free(refs[i].waiting);
	}
	end();
}

/* A queue that nobody takes from, whose letters another one keeps. */

static struct {
	struct sq_queue *q, *letters;
} lonely;

static void
lonely_dead(void *arg, struct sq_txn *txn, const struct sq_item *item, enum sq_death why)
{
	struct sq_item letter = {.msg = sq_msg_ref(item->msg), .qos = 1};

	(void)arg;
	cr_assert_eq(why, SQ_DEAD_ABANDONED);
	cr_assert_eq(ops->txn.put(txn, lonely.letters, &letter), SQ_OK);
}

static void
lonely_open(uint32_t max_msgs)
{
	struct sq_queue_cfg cfg = {
	    .name = "lonely",
	    .owner = fake_worker(0),
	    .max_msgs = max_msgs,
	    .max_bytes = UINT64_C(1) << 40,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .yields = SQ_YIELD_LONELY,
	    .durable = true,
	    .dead = lonely_dead,
	};
	struct sq_txn *txn = txn_new();

	lonely.letters = queue_open("letters");
	lonely.q = ops->queue.open(engine, txn, &cfg);
	ops->txn.commit(txn);
	ops->start.ready(engine);
	run();
}

static bool
lonely_takes(void *arg)
{
	(void)arg;
	return !ops->queue.full(lonely.q, 1) || ops->queue.yields(lonely.q, 1);
}

/* As publishers do, who ask first. */
static void
lonely_put(unsigned from, unsigned to)
{
	for (unsigned i = from; i <= to; i += 100) {
		cr_assert(fake_run_until(lonely_takes, NULL), "%u is refused for ever", i);
		put(lonely.q, i, i + 99, 1000);
	}
}

static bool
lonely_is_at(void *arg)
{
	const unsigned *n = arg;

	return ops->queue.depth(lonely.q) == n[0] && ops->queue.depth(lonely.letters) == n[1];
}

Test(embedded, an_abandoned_queue_makes_room_from_the_tables_and_over_a_restart)
{
	enum { N = 8000 };
	struct sq_queue_state state;

	begin();
	lonely_open(N);
	lonely_put(1, N);
	force_checkpoint(lonely.letters);
	ops->queue.state(lonely.q, &state);
	cr_assert(lonely.q->gap.open, "most of it is in the tables only");
	cr_assert_eq(ops->queue.depth(lonely.letters), 0);
	lonely_put(N + 1, N + N / 2);
	cr_assert(fake_run_until(lonely_is_at, (unsigned[]){N, N / 2}));
	ops->queue.close(lonely.q);
	ops->queue.close(lonely.letters);
	store_close();

	store_open();
	lonely_open(N);
	cr_assert(lonely_is_at((unsigned[]){N, N / 2}), "each is in one of them");
	lonely_put(N + N / 2 + 1, 3 * N);
	cr_assert(fake_run_until(lonely_is_at, (unsigned[]){N, 2 * N}));
	drain(lonely.q, 2 * N + 1, 3 * N);
	drain(lonely.letters, 1, 2 * N);
	ops->queue.close(lonely.q);
	ops->queue.close(lonely.letters);
	end();
}

Test(embedded, a_full_store_is_no_reason_to_make_room)
{
	struct sq_queue_state state;

	begin();
	lonely_open(100);
	lonely_put(1, 100);
	cr_assert(ops->queue.yields(lonely.q, 1));
	atomic_store(&lonely.q->store->full, true);
	cr_assert(ops->queue.full(lonely.q, 1));
	cr_assert_not(ops->queue.yields(lonely.q, 1));
	ops->queue.state(lonely.q, &state);
	cr_assert(state.store_full);
	atomic_store(&lonely.q->store->full, false);
	cr_assert(ops->queue.yields(lonely.q, 1));
	drain(lonely.q, 1, 100);
	ops->queue.close(lonely.q);
	ops->queue.close(lonely.letters);
	end();
}

/* Memory that runs short.  These set its level; where every malloc() is counted, the next one sets
 * it again: only builds with a sanitizer have these tests. */
#ifdef SQ_WATCHED
enum { LEVEL_IS_COUNTED = false };
#else
enum { LEVEL_IS_COUNTED = true };
#endif

static void
level_set(enum sq_memory_level level)
{
	atomic_store(&sq_memory_level_now, (unsigned)level);
}

static void
level_reset(void)
{
	sq_memory_limit_set(0);
	level_set(SQ_MEMORY_FREE);
}

static void
await_bytes(struct sq_queue *q, uint64_t most)
{
	uint64_t bytes = UINT64_MAX;

	for (int i = 0; i < 60000 && bytes > most; i++) {
		cr_assert(fake_run());
		pthread_mutex_lock(&q->lock);
		bytes = q->bytes;
		pthread_mutex_unlock(&q->lock);
		usleep(1000);
	}
	cr_assert_leq(bytes, most);
}

static void
await_lacking(struct sq_queue *q)
{
	bool lacks = false;

	for (int i = 0; i < 60000 && !lacks; i++) {
		cr_assert(fake_run());
		pthread_mutex_lock(&q->lock);
		lacks = q->read.resting && q->read.lacks > 0;
		pthread_mutex_unlock(&q->lock);
		usleep(1000);
	}
	cr_assert(lacks);
}

/* Waits until the consumer has items 'from' to 'to', in order; settles them and ends it. */
static void
took(struct consumer *c, struct sq_queue *q, unsigned from, unsigned to)
{
	cr_assert(fake_run_until(consumer_full, c));
	cr_assert_eq(c->n, to - from + 1);
	for (unsigned i = 0; i < c->n; i++) {
		cr_assert_eq(item_number(&c->items[i]), from + i);
		settle(q, &c->items[i], SQ_DONE);
	}
	consumer_stop(c);
	free(c->items);
}

Test(embedded, what_nobody_asks_for_leaves_memory_that_runs_short, .fini = level_reset,
    .disabled = LEVEL_IS_COUNTED)
{
	enum { SIZE = 1000, N = 100, OUT = 10 };
	struct sq_queue *q, *other;
	struct consumer c;

	begin();
	q = queue_open("a");
	other = queue_open("other");
	ops->start.ready(engine);
	put(q, 1, N, SIZE);
	level_set(SQ_MEMORY_FILLED);
	force_checkpoint(other);
	await_bytes(q, 0);
	cr_assert_eq(ops->queue.depth(q), N);
	cr_assert_not(ops->queue.empty(q));
	drain(q, 1, 20); /* what is read besides goes back */
	await_bytes(q, 0);
	consumer_take_n(&c, q, OUT);
	for (unsigned i = 0; i < OUT; i++)
		settle(q, &c.items[i], SQ_UNTRIED);
	free(c.items);
	await_bytes(q, OUT * 2 * SIZE); /* these are in the tables as handed out */
	cr_assert_gt(q->bytes, OUT * SIZE);
	put(q, N + 1, N + 10, SIZE);
	drain(q, 21, N + 10);
	cr_assert_eq(ops->queue.depth(q), 0);
	ops->queue.close(q);
	ops->queue.close(other);
	end();
}

Test(embedded, what_is_not_in_memory_is_read_within_the_share_of_its_tenant, .fini = level_reset,
    .disabled = LEVEL_IS_COUNTED)
{
	enum { SIZE = 30000, N = 10, SHARE = 64 * 1024 };
	struct sq_shares_cfg cfg = {.spaces = 0};
	struct sq_share_limits limits = sq_share_no_limits;
	struct sq_shares *shares;
	struct sq_account *account;
	struct sq_queue *q, *other;
	struct sq_buf why = {0};
	struct consumer c;

	for (int i = 0; i < SQ_SHARE_KINDS; i++)
		cfg.totals[i] = SQ_SHARE_UNBOUNDED;
	limits.of[SQ_SHARE_MEMORY] = SHARE;
	shares = sq_shares_new(&cfg);
	account = sq_account_new(shares, SQ_SHARE_OF_TENANT, "a", &limits);
	begin();
	q = queue_open_of("a", account);
	other = queue_open("other");
	ops->start.ready(engine);
	put(q, 1, N, SIZE);
	level_set(SQ_MEMORY_FILLED);
	force_checkpoint(other);
	await_bytes(q, 0);
	sq_share_force(account, SQ_SHARE_MEMORY, SHARE);
	consumer_start(&c, q, N / 2);
	await_lacking(q);
	cr_assert_eq(c.n, 0);
	cr_assert(ops->healthy(engine, &why));
	cr_assert_eq(sq_buf_len(&why), 0, "to wait for memory is no trouble");
	put(other, 1, 1, SIZE);
	drain(other, 1, 1); /* others are read for */
	level_set(SQ_MEMORY_REFUSED);
	sq_share_give(account, SQ_SHARE_MEMORY, SHARE);
	await_lacking(q);
	cr_assert_eq(c.n, 0, "where memory is nearly used up nothing is read");
	level_set(SQ_MEMORY_FILLED);
	took(&c, q, 1, N / 2);

	await_bytes(q, 0);
	sq_share_force(account, SQ_SHARE_MEMORY, SHARE);
	consumer_start(&c, q, N / 2);
	await_lacking(q);
	cr_assert_eq(c.n, 0);
	sq_memory_limit_set(1 << 30); /* some is left for the first of a queue */
	took(&c, q, N / 2 + 1, N);
	sq_share_give(account, SQ_SHARE_MEMORY, SHARE);
	run();
	ops->queue.close(q);
	ops->queue.close(other);
	end();
	sq_account_free(&account);
	sq_shares_free(&shares);
}
