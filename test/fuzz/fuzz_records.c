/* The records of a store behind their checksums, through the broker's own start.
 *
 * The input is a list of records: u8 kind, u8 id, u8 sub, u16 length, the value.  An engine that
 * has them is opened; the start succeeds or says which record does not read, and either way
 * nothing is left.  A start that succeeds is worked on for a while: time passes, sessions and
 * groups end. */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/broker_open.h"
#include "../support/fake_front.h"
#include "../support/fake_worker.h"
#include "broker/broker.h"
#include "broker/engine/engines/engines.h"
#include "broker/metrics/metrics.h"
#include "broker/engine/record.h"
#include "core/bytes.h"
#include "core/mem.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS = 64, WORKERS = 2, DAY_MS = 86400000, STEPS = 8 };

struct fuzz_record {
	struct sq_record_key key;
	struct sq_bytes value;
};

static struct fuzz_record records[RECORDS];
static size_t n_records;
static struct sq_engine_ops ops; /* the memory engine's, with what a store has besides */

static int
record_order(const void *x, const void *y)
{
	const struct sq_record_key *a = &((const struct fuzz_record *)x)->key;
	const struct sq_record_key *b = &((const struct fuzz_record *)y)->key;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->sub < b->sub ? -1 : a->sub > b->sub;
}

/* As a store has them: by key, each once. */
static void
records_read(const uint8_t *data, size_t size)
{
	struct sq_reader in = sq_reader(data, size);
	size_t n = 0;

	n_records = 0;
	while (n_records < RECORDS && !in.bad && sq_reader_left(&in) > 0) {
		struct fuzz_record *r = &records[n_records];

		r->key.kind = sq_read8(&in);
		r->key.id = sq_read8(&in);
		r->key.sub = sq_read8(&in);
		r->value.len = sq_read16(&in);
		if (r->value.len > sq_reader_left(&in))
			r->value.len = sq_reader_left(&in);
		r->value.p = sq_read_bytes(&in, r->value.len);
		n_records += !in.bad;
	}
	qsort(records, n_records, sizeof *records, record_order);
	for (size_t i = 0; i < n_records; i++) {
		if (n == 0 || record_order(&records[n - 1], &records[i]) != 0)
			records[n++] = records[i];
	}
	n_records = n;
}

/* The engine. */

static struct sq_engine *
fuzz_open(const struct sq_engine_cfg *cfg, struct sq_buf *err)
{
	struct sq_engine *e = sq_engine_memory.open(cfg, err);

	e->ops = &ops;
	return e;
}

static int
fuzz_load(struct sq_engine *e, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg)
{
	(void)e;
	for (size_t i = 0; i < n_records; i++) {
		if (records[i].key.kind == kind)
			fn(arg, &records[i].key, records[i].value);
	}
	return SQ_OK;
}

/* What was on its way is not there. */
static int
fuzz_claim(struct sq_queue *q, uint64_t seq, struct sq_item *out)
{
	(void)q;
	(void)seq;
	(void)out;
	return SQ_ENOTFOUND;
}

/* The broker. */

/* A start and an end, each on a thread of its own beside the workers', as in the program. */
struct start {
	struct sq_broker_cfg cfg;
	struct sq_broker *broker;
	struct sq_buf err;
};

static void *
start_main(void *arg)
{
	struct start *s = arg;

	s->broker = broker_open(&s->cfg, fake_workers(), WORKERS, &s->err);
	return NULL;
}

static void *
stop_main(void *broker)
{
	sq_broker_stop(broker);
	return NULL;
}

static void
run(void)
{
	if (!fake_run())
		abort();
	fake_self(0);
}

static void
work(struct sq_broker *b)
{
	for (int i = 0; i < STEPS; i++) {
		fake_set_now(fake_now() + (i == 0 ? 100 : DAY_MS * UINT64_C(2)));
		for (unsigned w = 0; w < WORKERS; w++) {
			fake_self(w);
			sq_broker_tick(b, fake_worker(w));
		}
		run();
	}
}

static void
beside(void *(*fn)(void *), void *arg)
{
	pthread_t thread;
	void *done = NULL;

	if (pthread_create(&thread, NULL, fn, arg) != 0)
		abort();
	while (pthread_tryjoin_np(thread, &done) != 0) {
		run();
		sched_yield();
	}
	run();
}

static struct sq_broker_cfg
config(void)
{
	return (struct sq_broker_cfg){.engine = &ops,
	    .store_dir = "fuzz",
	    .max_packet = 65536,
	    .grace_ms = 30000,
	    .session_expiry_max_s = 7 * 86400,
	    .max_inflight = 100,
	    .queue_max_msgs = 100,
	    .queue_max_bytes = 1 << 20,
	    .queue_expiry_s = 86400,
	    .queue_expiry_max_s = 7 * 86400,
	    .retained_max_msgs = 100,
	    .retained_max_bytes = 1 << 20,
	    .delayed_max_msgs = 100,
	    .delayed_max_bytes = 1 << 20,
	    .delayed_max_s = 3600,
	    .dead_max_msgs = 100,
	    .dead_max_bytes = 1 << 20,
	    .key_window_ms = 60000,
	    .max_keys = 100,
	    .max_sessions = 100,
	    .max_subs_per_session = 50};
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	ops = sq_engine_memory;
	ops.durable = true;
	ops.open = fuzz_open;
	ops.start.load = fuzz_load;
	ops.start.claim = fuzz_claim;
	if (freopen("/dev/null", "w", stdout) == NULL) /* of the log there is plenty */
		abort();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct start s = {.cfg = config()};

	records_read(data, size);
	fake_workers_init(WORKERS);
	beside(start_main, &s);
	if (s.broker != NULL) {
		work(s.broker);
		beside(stop_main, s.broker);
		sq_broker_free(&s.broker);
		run();
	} else {
		assert(sq_buf_len(&s.err) > 0);
	}
	sq_buf_fini(&s.err);
	return 0;
}
