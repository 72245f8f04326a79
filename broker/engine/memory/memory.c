/* Puts take effect at once, so a transaction is its own commit and only its done() comes later. */
#include "broker/engine/memory/memory.h"

#include <stdlib.h>

#include "broker/engine/queue/queue.h"
#include "core/clock.h"
#include "core/mem.h"

struct memory {
	struct sq_engine engine;
	struct sq_metrics metrics;
};

static struct sq_queue *
memory_queue_open(struct sq_engine *e, struct sq_txn *txn, const struct sq_queue_cfg *cfg)
{
	(void)txn;
	return sq_queue_new(e, NULL, &SQ_CONTAINER_OF(e, struct memory, engine)->metrics, cfg);
}

static void
memory_queue_delete(struct sq_txn *txn, struct sq_queue *q)
{
	(void)txn;
	sq_queue_close(q);
}

static int
memory_put(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item)
{
	int err;

	item->stored = false;
	item->arrived_ms = q->cfg.timed ? sq_clock_wall_ms() : 0;
	err = sq_queue_offer(q, txn, item);
	if (err == SQ_OK)
		sq_queue_arrive(q, item);
	return err;
}

static bool
memory_pass(struct sq_txn *txn, struct sq_consumer *c, struct sq_item *item)
{
	(void)txn;
	return sq_queue_pass(c, item);
}

static void
memory_settle(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item, enum sq_settle_how how)
{
	switch (how) {
	case SQ_DONE:
		break;
	case SQ_REJECT:
	case SQ_EXHAUSTED:
	case SQ_EXPIRED:
	case SQ_UNFINISHED:
		sq_queue_dead_how(q, txn, item, how);
		break;
	case SQ_TRIED:
		(void)sq_queue_tried(q, item);
		return;
	case SQ_REQUEUE:
		if (!sq_queue_tried(q, item)) {
			sq_queue_back(q, item);
			return;
		}
		sq_queue_dead(q, txn, item, SQ_DEAD_ATTEMPTS);
		sq_queue_settled(q, item);
		sq_item_fini(item);
		return;
	case SQ_UNTRIED:
		sq_queue_back(q, item);
		return;
	}
	sq_queue_settled(q, item);
}

static bool
memory_txn_room(const struct sq_txn *txn, uint64_t items, uint64_t bytes)
{
	(void)txn;
	(void)items;
	(void)bytes;
	return true;
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
	sq_txn_post(txn, txn_run);
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

static void
memory_close(struct sq_engine *e)
{
	free(SQ_CONTAINER_OF(e, struct memory, engine));
}

static bool
memory_healthy(struct sq_engine *e, struct sq_buf *why)
{
	(void)e;
	(void)why;
	return true;
}

static bool
memory_stalled(struct sq_engine *e)
{
	(void)e;
	return false;
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

const struct sq_engine_ops sq_engine_memory = {
    .name = "memory",
    .durable = false,
    .open = memory_open,
    .close = memory_close,
    .healthy = memory_healthy,
    .stalled = memory_stalled,
    .start =
	{
	    .load = memory_load,
	    .claim = memory_claim,
	    .ready = memory_ready,
	},
    .queue =
	{
	    .open = memory_queue_open,
	    .delete = memory_queue_delete,
	    .close = sq_queue_close,
	    .limits = sq_queue_limits,
	    .full = sq_queue_full,
	    .busy = sq_queue_busy,
	    .depth = sq_queue_depth,
	    .attend = sq_queue_attend,
	    .yields = sq_queue_yields,
	    .state = sq_queue_state,
	    .peek = sq_queue_peek,
	    .draw = sq_queue_draw,
	    .recall = sq_queue_recall,
	    .scan = sq_queue_scan,
	    .pause = sq_queue_pause,
	    .empty = sq_queue_empty,
	},
    .txn =
	{
	    .room = memory_txn_room,
	    .put = memory_put,
	    .pass = memory_pass,
	    .settle = memory_settle,
	    .record = memory_record,
	    .is_durable = memory_is_durable,
	    .commit = memory_commit,
	},
    .consumer =
	{
	    .consume = sq_queue_consume,
	    .demand = sq_queue_demand,
	    .sent = sq_queue_sent,
	    .cancel = sq_queue_cancel,
	},
};
