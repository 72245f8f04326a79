/* The embedded engine alone, without a network: how fast it commits while many
 * messages wait, how long it stalls, how soon it is ready again, how fast a
 * backlog drains.  One worker, as in a broker.
 *
 *   bench_engine [--dir D] [--queues N] [--waiting N] [--size BYTES]
 *                [--window N] [--seconds S] */
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../test/support/thread_worker.h"
#include "bench/hist.h"
#include "broker/engine/engines/engines.h"
#include "broker/engine/files.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/mem.h"
#include "store/journal/log_file.h"

enum { MIB = 1 << 20 };

struct options {
	const char *dir;
	unsigned queues, waiting, size, window, seconds;
};

struct lane {
	struct sq_queue *queue;
	struct sq_consumer consumer;
	bool cancelled;
};

struct bench {
	struct options o;
	struct sq_engine *engine;
	struct sq_worker *worker;
	struct sq_task task;
	struct lane *lanes;
	unsigned next;      /* lane of the next put */
	unsigned in_flight; /* puts */
	uint64_t to_put, put, acked, taken;
	uint64_t end_us; /* puts end then; 0: with 'to_put' */
	uint64_t last_ack_us, longest_us;
	bool pairs; /* each put asks for an item of the same queue */
	struct sq_hist *latency;
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool done;
};

struct put {
	struct sq_txn txn;
	struct bench *bench;
	uint64_t begun_us;
};

static struct bench bench;

static void
fail(const char *what)
{
	fprintf(stderr, "bench_engine: %s\n", what);
	exit(1);
}

static void
phase_over(void)
{
	pthread_mutex_lock(&bench.lock);
	bench.done = true;
	pthread_cond_signal(&bench.over);
	pthread_mutex_unlock(&bench.lock);
}

/* Puts. */

static void bench_more(void);

static void
put_done(struct sq_txn *txn, int err)
{
	struct put *p = SQ_CONTAINER_OF(txn, struct put, txn);
	uint64_t now_us = sq_clock_us();

	if (err != SQ_OK)
		fail("a commit failed");
	sq_hist_add(bench.latency, (now_us - p->begun_us) * 1000);
	if (now_us - bench.last_ack_us > bench.longest_us)
		bench.longest_us = now_us - bench.last_ack_us;
	bench.last_ack_us = now_us;
	free(p);
	bench.acked++;
	bench.in_flight--;
	bench_more();
}

static const struct sq_demand all = {256, 256, UINT64_MAX};

static void
bench_put(void)
{
	struct lane *l = &bench.lanes[bench.next++ % bench.o.queues];
	struct put *p = sq_xcalloc(1, sizeof *p);
	unsigned char payload[65536] = {0};
	struct sq_item item = {.qos = 1, .origin = {1, 2, bench.put, 0}};

	item.msg = sq_msg_new(1, false, (struct sq_bytes){(const unsigned char *)"bench/topic", 11},
	    (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY, (struct sq_bytes){payload, bench.o.size});
	p->txn.worker = bench.worker;
	p->txn.engine = bench.engine;
	p->txn.done = put_done;
	p->begun_us = sq_clock_us();
	if (bench.engine->ops->txn.put(&p->txn, l->queue, &item) != SQ_OK)
		fail("a put was refused");
	bench.engine->ops->txn.commit(&p->txn);
	bench.put++;
	bench.in_flight++;
	if (bench.pairs)
		bench.engine->ops->consumer.demand(&l->consumer, &all);
}

static bool
bench_puts(void)
{
	return bench.end_us != 0 ? sq_clock_us() < bench.end_us : bench.put < bench.to_put;
}

static void
bench_more(void)
{
	while (bench.in_flight < bench.o.window && bench_puts())
		bench_put();
	if (bench.in_flight == 0 && bench.to_put != UINT64_MAX)
		phase_over();
}

static void
bench_begin(struct sq_task *t)
{
	(void)t;
	bench.last_ack_us = sq_clock_us();
	bench_more();
}

/* Takes. */

static void
settled_done(struct sq_txn *txn, int err)
{
	(void)err;
	free(txn);
}

static void
lane_take(struct sq_consumer *c, struct sq_item *items, size_t n)
{
	struct sq_txn *txn = sq_xcalloc(1, sizeof *txn);

	txn->worker = bench.worker;
	txn->engine = bench.engine;
	txn->done = settled_done;
	for (size_t i = 0; i < n; i++) {
		bench.engine->ops->txn.settle(txn, c->queue, &items[i], SQ_DONE);
		sq_item_fini(&items[i]);
	}
	bench.engine->ops->txn.commit(txn);
	bench.taken += n;
	if (bench.to_put == UINT64_MAX) { /* draining */
		bench.engine->ops->consumer.demand(c, &all);
		if (bench.taken == bench.o.waiting)
			phase_over();
	}
}

static void
lane_cancelled(struct sq_consumer *c)
{
	SQ_CONTAINER_OF(c, struct lane, consumer)->cancelled = true;
}

static void
lanes_consume(struct sq_task *t)
{
	(void)t;
	for (unsigned i = 0; i < bench.o.queues; i++) {
		struct lane *l = &bench.lanes[i];

		l->consumer = (struct sq_consumer){
		    .worker = bench.worker, .take = lane_take, .cancelled = lane_cancelled};
		sq_list_init(&l->consumer.node);
		bench.engine->ops->consumer.consume(l->queue, &l->consumer);
		if (bench.to_put == UINT64_MAX)
			bench.engine->ops->consumer.demand(&l->consumer, &all);
	}
	if (bench.to_put != UINT64_MAX)
		phase_over();
}

static void
lanes_cancel(struct sq_task *t)
{
	(void)t;
	for (unsigned i = 0; i < bench.o.queues; i++)
		bench.engine->ops->consumer.cancel(&bench.lanes[i].consumer);
	phase_over();
}

/* Phases. */

static uint64_t
phase_run(void (*run)(struct sq_task *))
{
	uint64_t begun_us = sq_clock_us();

	bench.done = false;
	bench.task = (struct sq_task){.run = run};
	sq_worker_post(bench.worker, &bench.task);
	pthread_mutex_lock(&bench.lock);
	while (!bench.done)
		pthread_cond_wait(&bench.over, &bench.lock);
	pthread_mutex_unlock(&bench.lock);
	return sq_clock_us() - begun_us;
}

static long
anon_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	long kib = 0;

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		sscanf(line, "RssAnon: %ld", &kib);
	if (f != NULL)
		fclose(f);
	return kib;
}

static void
open_done(struct sq_txn *txn, int err)
{
	(void)err;
	free(txn);
}

static uint64_t
engine_open(void)
{
	const struct sq_engine_files files = {
	    .dir = bench.o.dir,
	    .log = &sq_log_file,
	    .journal_bytes = 256 * MIB,
	    .max_bytes = UINT64_C(64) << 30,
	    .cache_bytes = 64 * MIB,
	};
	struct sq_engine_cfg cfg = {
	    .metrics = &sq_broker_metrics,
	    .n_workers = 1,
	    .files = &files,
	};
	uint64_t begun_us = sq_clock_us();
	struct sq_buf err = {0};

	bench.engine = sq_engine_embedded.open(&cfg, &err);
	if (bench.engine == NULL)
		fail((const char *)sq_buf_data(&err));
	for (unsigned i = 0; i < bench.o.queues; i++) {
		struct sq_txn *txn = sq_xcalloc(1, sizeof *txn);
		char name[32];
		struct sq_queue_cfg q = {.name = name,
		    .owner = bench.worker,
		    .max_msgs = UINT32_MAX,
		    .max_bytes = UINT64_MAX / 2,
		    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
		    .durable = true};

		snprintf(name, sizeof name, "queue %u", i);
		txn->worker = bench.worker;
		txn->engine = bench.engine;
		txn->done = open_done;
		bench.lanes[i].queue = bench.engine->ops->queue.open(bench.engine, txn, &q);
		bench.engine->ops->txn.commit(txn);
	}
	bench.engine->ops->start.ready(bench.engine);
	return sq_clock_us() - begun_us;
}

static void
engine_close(void)
{
	for (unsigned i = 0; i < bench.o.queues; i++)
		bench.engine->ops->queue.close(bench.lanes[i].queue);
	bench.engine->ops->close(bench.engine);
}

static void
report(const char *what, uint64_t n, uint64_t us)
{
	printf("%-28s %9.0f msg/s", what, (double)n * 1e6 / (double)us);
	if (bench.acked > 0)
		printf("  p50 %6.2f ms  p99 %6.2f ms  longest gap %4" PRIu64 " ms",
		    (double)sq_hist_quantile(bench.latency, 0.5) / 1e6,
		    (double)sq_hist_quantile(bench.latency, 0.99) / 1e6, bench.longest_us / 1000);
	printf("  anonymous %ld MiB\n", anon_kib() / 1024);
	fflush(stdout);
	sq_hist_free(&bench.latency);
	bench.latency = sq_hist_new();
	bench.acked = bench.longest_us = 0;
}

static void
no_tick(struct sq_worker *w)
{
	(void)w;
}

static void
options_parse(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {{"dir", 1, NULL, 'd'}, {"queues", 1, NULL, 'q'},
	    {"waiting", 1, NULL, 'n'}, {"size", 1, NULL, 's'}, {"window", 1, NULL, 'w'},
	    {"seconds", 1, NULL, 't'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		unsigned n = c != 'd' ? (unsigned)strtoul(optarg != NULL ? optarg : "", NULL, 10)
				      : 0;

		if (c == 'd')
			o->dir = optarg;
		else if (c == 'q')
			o->queues = n;
		else if (c == 'n')
			o->waiting = n;
		else if (c == 's')
			o->size = n;
		else if (c == 'w')
			o->window = n;
		else if (c == 't')
			o->seconds = n;
		else
			exit(2);
	}
	if (o->dir == NULL || o->queues == 0 || o->window == 0 || o->size > 65536)
		fail("--dir is needed; --size is at most 65536");
}

int
main(int argc, char **argv)
{
	uint64_t us;

	bench.o = (struct options){NULL, 1000, 1000000, 1024, 1000, 20};
	options_parse(&bench.o, argc, argv);
	bench.lanes = sq_xcalloc(bench.o.queues, sizeof(*bench.lanes));
	bench.latency = sq_hist_new();
	pthread_mutex_init(&bench.lock, NULL);
	pthread_cond_init(&bench.over, NULL);
	bench.worker = thread_worker_start(0, no_tick);
	engine_open();

	bench.to_put = bench.o.waiting;
	us = phase_run(bench_begin);
	report("put, nobody takes", bench.o.waiting, us);

	phase_run(lanes_consume);
	bench.pairs = true;
	bench.put = 0;
	bench.end_us = sq_clock_us() + bench.o.seconds * UINT64_C(1000000);
	us = phase_run(bench_begin);
	report("put and take, as many wait", bench.put, us);

	phase_run(lanes_cancel);
	engine_close();
	us = engine_open();
	printf("%-28s %9.0f ms\n", "ready again after", (double)us / 1000);

	bench.to_put = UINT64_MAX;
	bench.taken = 0;
	us = phase_run(lanes_consume);
	report("take, nobody puts", bench.taken, us);
	phase_run(lanes_cancel);
	engine_close();
	thread_worker_stop(&bench.worker);
	return 0;
}
