#include "held_engine.h"

#include <assert.h>

#include "broker/engine/engines/engines.h"
#include "core/mem.h"
#include "web/worker.h"

static struct sq_list waiting = {&waiting, &waiting};
static size_t n_waiting;
static bool holding;

void
held_engine_hold(bool hold)
{
	holding = hold;
}

size_t
held_engine_waiting(void)
{
	return n_waiting;
}

static void
failed_run(struct sq_task *t)
{
	struct sq_txn *txn = SQ_CONTAINER_OF(t, struct sq_txn, task);

	txn->done(txn, SQ_EIO);
}

void
held_engine_release(int err)
{
	struct sq_txn *txn = SQ_LIST_FIRST(&waiting, struct sq_txn, task.node);

	assert(txn != NULL);
	sq_list_remove(&txn->task.node);
	n_waiting--;
	if (err == SQ_OK) {
		sq_engine_memory.txn.commit(txn);
		return;
	}
	txn->task.run = failed_run;
	sq_worker_post(txn->worker, &txn->task);
}

static struct sq_engine *
held_open(const struct sq_engine_cfg *cfg, struct sq_buf *err)
{
	struct sq_engine *e = sq_engine_memory.open(cfg, err);

	e->ops = &held_engine;
	return e;
}

static void
held_close(struct sq_engine *e)
{
	sq_engine_memory.close(e);
}

static struct sq_queue *
held_queue_open(struct sq_engine *e, struct sq_txn *txn, const struct sq_queue_cfg *cfg)
{
	return sq_engine_memory.queue.open(e, txn, cfg);
}

static void
held_queue_delete(struct sq_txn *txn, struct sq_queue *q)
{
	sq_engine_memory.queue.delete(txn, q);
}

static void
held_queue_close(struct sq_queue *q)
{
	sq_engine_memory.queue.close(q);
}

static bool
held_healthy(struct sq_engine *e, struct sq_buf *why)
{
	return sq_engine_memory.healthy(e, why);
}

static bool
held_stalled(struct sq_engine *e)
{
	return sq_engine_memory.stalled(e);
}

static int
held_load(struct sq_engine *e, uint8_t kind,
    void (*fn)(void *arg, const struct sq_record_key *, struct sq_bytes value), void *arg)
{
	return sq_engine_memory.start.load(e, kind, fn, arg);
}

static int
held_claim(struct sq_queue *q, uint64_t seq, struct sq_item *out)
{
	return sq_engine_memory.start.claim(q, seq, out);
}

static void
held_ready(struct sq_engine *e)
{
	sq_engine_memory.start.ready(e);
}

static void
held_record(struct sq_txn *txn, const struct sq_record_key *key, struct sq_bytes value)
{
	sq_engine_memory.txn.record(txn, key, value);
}

static bool
held_is_durable(const struct sq_txn *txn)
{
	return sq_engine_memory.txn.is_durable(txn);
}

static void
held_queue_limits(struct sq_queue *q, const struct sq_queue_cfg *cfg)
{
	sq_engine_memory.queue.limits(q, cfg);
}

static bool
held_queue_full(const struct sq_queue *q, uint32_t bytes)
{
	return sq_engine_memory.queue.full(q, bytes);
}

static bool
held_queue_busy(const struct sq_queue *q)
{
	return sq_engine_memory.queue.busy(q);
}

static size_t
held_queue_depth(const struct sq_queue *q)
{
	return sq_engine_memory.queue.depth(q);
}

static void
held_queue_attend(struct sq_queue *q, int by)
{
	sq_engine_memory.queue.attend(q, by);
}

static bool
held_queue_yields(const struct sq_queue *q, uint32_t bytes)
{
	return sq_engine_memory.queue.yields(q, bytes);
}

static void
held_queue_state(const struct sq_queue *q, struct sq_queue_state *out)
{
	sq_engine_memory.queue.state(q, out);
}

static bool
held_queue_empty(const struct sq_queue *q)
{
	return sq_engine_memory.queue.empty(q);
}

static bool
held_txn_room(const struct sq_txn *txn, uint64_t items, uint64_t bytes)
{
	return sq_engine_memory.txn.room(txn, items, bytes);
}

static int
held_put(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item)
{
	return sq_engine_memory.txn.put(txn, q, item);
}

static bool
held_pass(struct sq_txn *txn, struct sq_consumer *c, struct sq_item *item)
{
	return sq_engine_memory.txn.pass(txn, c, item);
}

static void
held_settle(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item, enum sq_settle_how how)
{
	sq_engine_memory.txn.settle(txn, q, item, how);
}

static void
held_commit(struct sq_txn *txn)
{
	if (!holding) {
		sq_engine_memory.txn.commit(txn);
		return;
	}
	sq_list_push_back(&waiting, &txn->task.node);
	n_waiting++;
}

static void
held_consume(struct sq_queue *q, struct sq_consumer *c)
{
	sq_engine_memory.consumer.consume(q, c);
}

static void
held_demand(struct sq_consumer *c, const struct sq_demand *all)
{
	sq_engine_memory.consumer.demand(c, all);
}

static void
held_sent(struct sq_queue *q, uint32_t n, uint64_t bytes)
{
	sq_engine_memory.consumer.sent(q, n, bytes);
}

static void
held_cancel(struct sq_consumer *c)
{
	sq_engine_memory.consumer.cancel(c);
}

const struct sq_engine_ops held_engine = {
    .name = "held",
    .open = held_open,
    .close = held_close,
    .healthy = held_healthy,
    .stalled = held_stalled,
    .start =
	{
	    .load = held_load,
	    .claim = held_claim,
	    .ready = held_ready,
	},
    .queue =
	{
	    .open = held_queue_open,
	    .delete = held_queue_delete,
	    .close = held_queue_close,
	    .limits = held_queue_limits,
	    .full = held_queue_full,
	    .busy = held_queue_busy,
	    .depth = held_queue_depth,
	    .attend = held_queue_attend,
	    .yields = held_queue_yields,
	    .state = held_queue_state,
	    .empty = held_queue_empty,
	},
    .txn =
	{
	    .room = held_txn_room,
	    .put = held_put,
	    .pass = held_pass,
	    .settle = held_settle,
	    .record = held_record,
	    .is_durable = held_is_durable,
	    .commit = held_commit,
	},
    .consumer =
	{
	    .consume = held_consume,
	    .demand = held_demand,
	    .sent = held_sent,
	    .cancel = held_cancel,
	},
};
