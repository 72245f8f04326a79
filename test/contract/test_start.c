/* The start of a broker with a store of many groups: by records and queues that are written
 * through the engine, as the broker has them. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../support/broker_world.h"
#include "../support/temp_dir.h"
#include "broker/engine/engines/engines.h"
#include "broker/engine/files.h"
#include "broker/engine/record.h"
#include "broker/session/persist.h"
#include "core/clock.h"
#include "store/journal/log_file.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { GROUPS = 20000 }; /* a tenth of the issue's, and as many times slower */
#else
enum { GROUPS = 200000 };
#endif

enum { MIB = 1 << 20, TXN_GROUPS = 1000, READY_MS = 3000 };

static struct world w;
static char *dir;

static void
setup(void)
{
	world_init(&w);
	dir = temp_dir_new();
	w.cfg.engine = &sq_engine_embedded;
	w.cfg.store_dir = dir;
	w.cfg.journal_size = 32 * MIB; /* most is in the tables */
	w.cfg.store_max_size = 2048 * (uint64_t)MIB;
	w.cfg.store_cache_size = 64 * MIB;
}

static void
teardown(void)
{
	temp_dir_free(&dir);
}

TestSuite(start, .init = setup, .fini = teardown);

/* Writing. */

static unsigned running;

static void
txn_done(struct sq_txn *txn, int err)
{
	cr_assert_eq(err, SQ_OK);
	running--;
	free(txn);
}

static bool
all_done(void *arg)
{
	(void)arg;
	return running == 0;
}

static struct sq_engine *
store_open(void)
{
	const struct sq_engine_files files = {
	    .dir = dir,
	    .log = &sq_log_file,
	    .journal_bytes = w.cfg.journal_size,
	    .max_bytes = w.cfg.store_max_size,
	    .cache_bytes = w.cfg.store_cache_size,
	};
	struct sq_engine_cfg cfg = {
	    .metrics = &sq_broker_metrics,
	    .n_workers = 1,
	    .files = &files,
	};
	struct sq_buf err = {0};
	struct sq_engine *e;

	fake_workers_init(1);
	e = sq_engine_embedded.open(&cfg, &err);
	cr_assert_not_null(e, "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	return e;
}

static struct sq_txn *
txn_new(struct sq_engine *e)
{
	struct sq_txn *txn = sq_xcalloc(1, sizeof *txn);

	txn->worker = fake_worker(0);
	txn->engine = e;
	txn->done = txn_done;
	running++;
	return txn;
}

static void
put_record(struct sq_txn *txn, uint8_t kind, uint64_t id, uint64_t sub, struct sq_buf *value)
{
	struct sq_record_key key = {kind, id, sub};

	txn->engine->ops->txn.record(txn, &key, sq_buf_bytes(value));
	sq_buf_fini(value);
}

/* As broker/group/group_store.c has it: a durable group without members, which ends
 * 'expires_s' after now where it is not 0; with one binding, and its queue. */
static struct sq_queue *
put_group(struct sq_txn *txn, uint64_t id, uint32_t expiry_s, uint64_t expires_ms)
{
	struct sq_queue_cfg q = {.owner = fake_worker(0),
	    .max_msgs = 1000,
	    .max_bytes = MIB,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .durable = true};
	struct sq_buf group = {0}, binding = {0};
	struct sq_queue *out;
	char name[32], filter[32], *queue;

	snprintf(name, sizeof name, "g%llu", (unsigned long long)id);
	snprintf(filter, sizeof filter, "t/%llu", (unsigned long long)id);
	sq_buf_u8(&group, 2);
	sq_buf_u8(&group, 1);
	sq_buf_u16(&group, 0);
	sq_buf_u32(&group, expiry_s);
	sq_buf_u64(&group, 0);
	sq_buf_u64(&group, expires_ms);
	sq_record_put_text(&group, "s", 1);
	sq_record_put_text(&group, name, strlen(name));
	sq_buf_u64(&group, 0);
	sq_record_put_text(&group, "", 0);
	put_record(txn, SQ_RECORD_GROUP, id, 0, &group);
	sq_buf_u8(&binding, 1);
	sq_buf_u8(&binding, 1);
	sq_record_put_text(&binding, filter, strlen(filter));
	sq_record_put_text(&binding, "", 0);
	sq_record_put_text(&binding, filter, strlen(filter));
	put_record(txn, SQ_RECORD_BINDING, id, 1, &binding);
	q.name = queue = sq_record_queue_name(name, id);
	out = txn->engine->ops->queue.open(txn->engine, txn, &q);
	free(queue);
	return out;
}

/* Makes a store of 'n' groups. */
static void
make_groups(unsigned n, uint32_t expiry_s, uint64_t expires_ms)
{
	struct sq_queue **queues = sq_xcalloc(n, sizeof(*queues));
	struct sq_engine *e = store_open();
	struct sq_txn *txn = NULL;

	e->ops->start.ready(e);
	for (unsigned i = 0; i < n; i++) {
		if (txn == NULL)
			txn = txn_new(e);
		queues[i] = put_group(txn, i + 1, expiry_s, expires_ms);
		if (i + 1 == n || (i + 1) % TXN_GROUPS == 0) {
			e->ops->txn.commit(txn);
			cr_assert(fake_run_until(all_done, NULL));
			txn = NULL;
		}
	}
	for (unsigned i = 0; i < n; i++)
		e->ops->queue.close(queues[i]);
	free(queues);
	e->ops->close(e);
	cr_assert(fake_run());
}

/* By the processor's time: it is not a matter of what else the machine does. */
Test(start, many_groups_are_ready_in_time)
{
	make_groups(GROUPS, 0, 0);
	for (int turn = 0; turn < 2; turn++) {
		uint64_t wall_ms = sq_clock_ms();
		clock_t took = clock();
		unsigned ms;

		world_start(&w, 1);
		ms = (unsigned)((clock() - took) * 1000 / CLOCKS_PER_SEC);
		fprintf(stderr, "%d groups ready in %llu ms, %u ms of processor\n", GROUPS,
		    (unsigned long long)(sq_clock_ms() - wall_ms), ms);
		cr_assert_eq(world_metric(SQ_M_GROUPS), GROUPS);
		cr_assert_lt(ms, READY_MS);
		world_stop(&w);
	}
}
