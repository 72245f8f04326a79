#include "broker/subscriber/pull_run.h"

#include <assert.h>
#include <string.h>

#include "broker/group/group.h"
#include "broker/subscriber/polls.h"
#include "broker/subscriber/pull_items.h"
#include "broker/subscriber/pull_txn.h"
#include "broker/subscriber/takers.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/memory.h"
#include "web/worker.h"

enum {
	HELD_MAX = 1000,       /* messages that wait in the dispatcher */
	HELD_BYTES = 16 << 20, /* and their bytes */
	TICK_MS = 100,
	OPEN_MIN = 64 << 10, /* bytes with consumers that are let in any case */
};

/* Actions. */

static void
run_hand(struct sq_pull *p, const struct sq_dispatch_action *a)
{
	struct sq_pull_item *it = sq_pull_item_of(a->item);

	if (a->grant->kind == SQ_PULL_ASK)
		sq_taker_hand(p, a->grant, it);
	else
		sq_poll_take(p, sq_poll_of(a->grant), it);
}

static void
run_count_expired(const struct sq_pull *p, const struct sq_dispatch_item *d)
{
	sq_count(p->shard->broker, SQ_M_PULL_EXPIRED, d->overdue);
}

static void
run_action(struct sq_pull *p, const struct sq_dispatch_action *a)
{
	switch (a->what) {
	case SQ_DISPATCH_HAND:
		run_hand(p, a);
		return;
	case SQ_DISPATCH_SERVED:
		if (a->grant->kind == SQ_PULL_ASK)
			sq_taker_serve(p, a->grant);
		else
			sq_poll_served(p, sq_poll_of(a->grant));
		return;
	case SQ_DISPATCH_TRY:
		run_count_expired(p, a->item);
		sq_pull_item_tried(p, sq_pull_item_of(a->item));
		return;
	case SQ_DISPATCH_SETTLE:
		if (a->end == SQ_DISPATCH_ATTEMPTS)
			run_count_expired(p, a->item);
		sq_pull_item_end(p, sq_pull_item_of(a->item), a->end);
		return;
	}
}

/* Demand. */

static struct sq_demand
run_want(const struct sq_pull *p)
{
	uint64_t out = p->items.out_bytes, room = sq_charge_room(&p->items.charge, out);
	uint64_t fair = sq_memory_fair(), held = sq_dispatch_sums(p->dispatch).held_bytes;
	struct sq_demand want = {.msgs = sq_dispatch_demand(p->dispatch)};

	fair = fair > out ? fair - out : 0;
	room = room < fair ? room : fair;
	if (out < OPEN_MIN && room < OPEN_MIN - out)
		room = OPEN_MIN - out;
	want.bytes = held < HELD_BYTES ? HELD_BYTES - held : 0;
	want.bytes = want.bytes < room ? want.bytes : room;
	if (want.bytes == 0 || p->paused || p->over)
		want.msgs = 0;
	want.slots = want.msgs;
	return want;
}

/* Says to the queue whether somebody takes from it: who waits, or has waited of late, and takers. */
static void
run_attend(struct sq_pull *p)
{
	bool consumes = p->consumer.queue != NULL && !p->consumer.stopped;
	bool attends = consumes || (p->takers.n > 0 && !p->paused && !p->over);

	if (attends == p->takers.attended)
		return;
	p->takers.attended = attends;
	p->group->sink.engine->ops->queue.attend(p->group->sink.queue, attends ? 1 : -1);
}

static void
run_demand(struct sq_pull *p)
{
	const struct sq_consumer_ops *ops = &p->group->sink.engine->ops->consumer;
	struct sq_demand want = run_want(p);

	if (p->consumer.stopped || (want.msgs == 0 && p->asked.msgs == 0) ||
	    (want.msgs == p->asked.msgs && want.bytes <= p->asked.bytes))
		return;
	if (p->consumer.queue == NULL) /* nobody has waited of late */
		ops->consume(p->group->sink.queue, &p->consumer);
	p->asked = want;
	ops->demand(&p->consumer, &want);
}

void
sq_pull_stop_taking(struct sq_pull *p)
{
	if (p->consumer.queue != NULL && !p->consumer.stopped) {
		p->asked = (struct sq_demand){0};
		p->group->sink.engine->ops->consumer.cancel(&p->consumer);
	}
	run_attend(p);
}

static void
run_take(struct sq_consumer *c, struct sq_item *items, size_t n)
{
	struct sq_pull *p = SQ_CONTAINER_OF(c, struct sq_pull, consumer);

	for (size_t i = 0; i < n; i++) {
		struct sq_pull_item *it = sq_pull_item_new(p, &items[i]);

		if (sq_demand_covers(&p->asked, &items[i]))
			sq_demand_take(&p->asked, &items[i]);
		if (p->dispatch == NULL)
			sq_pull_item_end(p, it, SQ_DISPATCH_BACK);
		else
			sq_pull_item_take(p, it);
	}
	sq_pull_wake(p); /* later in this turn: more may come meanwhile */
}

/* Attempts are durable: their items may go again. */
static void
run_tried(struct sq_pull *p, struct sq_buf *tried, uint64_t now_ms)
{
	struct sq_pull_tried t;

	for (; sq_buf_len(tried) > 0; sq_buf_drain(tried, sizeof t)) {
		struct sq_pull_item *it;

		memcpy(&t, sq_buf_data(tried), sizeof t);
		it = sq_pull_item_find(p, t.seq);
		if (it != NULL && it->d.state == SQ_DISPATCH_TRYING && it->d.attempts == t.attempts)
			sq_dispatch_tried(p->dispatch, &it->d, now_ms);
	}
}

/* Leases are durable: they begin. */
static void
run_leased(struct sq_pull *p, struct sq_buf *leased, uint64_t now_ms)
{
	struct sq_pull_leased l;

	for (; sq_buf_len(leased) > 0; sq_buf_drain(leased, sizeof l)) {
		struct sq_pull_item *it;

		memcpy(&l, sq_buf_data(leased), sizeof l);
		it = sq_pull_item_find(p, l.seq);
		if (it != NULL && it->leased && it->number == l.number)
			sq_dispatch_extend(p->dispatch, &it->d, now_ms + l.lease_ms);
	}
}

static void
run_durable(struct sq_pull *p, struct sq_pull_txn *t)
{
	uint64_t now_ms = sq_worker_now_ms(p->shard->worker);

	if (p->dispatch == NULL)
		return;
	run_tried(p, &t->tried, now_ms);
	run_leased(p, &t->leased, now_ms);
}

/* Counts. */

static void
run_told(_Atomic uint64_t *told, uint64_t now)
{
	if (atomic_load_explicit(told, memory_order_relaxed) != now)
		atomic_store_explicit(told, now, memory_order_relaxed);
}

void
sq_pull_tell(struct sq_pull *p, bool lanes)
{
	/* They were taken in the order of the queue. */
	const struct sq_pull_item *oldest = SQ_LIST_FIRST(&p->items.all, struct sq_pull_item, node);
	struct sq_dispatch_counts n = {0};
	struct sq_broker *b = p->shard->broker;
	uint64_t stuck = atomic_load_explicit(&p->told.stuck, memory_order_relaxed);

	if (p->dispatch != NULL)
		n = lanes ? sq_dispatch_count(p->dispatch) : sq_dispatch_sums(p->dispatch);
	if (lanes) {
		sq_count(b, SQ_M_DISPATCH_STUCK, (int64_t)n.stuck - (int64_t)stuck);
		run_told(&p->told.stuck, n.stuck);
	}
	sq_count(b, SQ_M_PULL_LEASES, (int64_t)n.out - (int64_t)p->told.leased);
	sq_count(b, SQ_M_DISPATCH_LANES, (int64_t)n.lanes - (int64_t)p->told.lanes);
	p->told.lanes = n.lanes;
	run_told(&p->told.leased, n.out);
	run_told(&p->told.parked, n.held - n.free);
	atomic_store_explicit(
	    &p->told.again, (int64_t)(n.free - p->items.fresh), memory_order_relaxed);
	atomic_store_explicit(&p->told.again_bytes, (int64_t)(n.free_bytes - p->items.fresh_bytes),
	    memory_order_relaxed);
	run_told(&p->group->pulled.leased, n.out);
	run_told(&p->group->pulled.parked, n.held - n.free);
	run_told(&p->told.oldest_ms, oldest != NULL ? oldest->item.arrived_ms : 0);
	atomic_store_explicit(&p->told.pollers, p->polls.n, memory_order_relaxed);
	atomic_store_explicit(&p->told.takers, p->paused ? 0 : p->takers.n, memory_order_relaxed);
}

/* The run. */

void
sq_pull_run_owed(struct sq_pull *p)
{
	struct sq_dispatch_action a;

	while (sq_dispatch_owed(p->dispatch, &a))
		run_action(p, &a);
}

/* Has the dispatcher do what it can now.  Nothing is handed out before what is in front of it. */
static void
run_dispatch(struct sq_pull *p)
{
	uint64_t now_ms = sq_worker_now_ms(p->shard->worker);
	struct sq_dispatch_action a;

	if (p->items.began_ms == 0)
		p->items.began_ms = now_ms;
	if ((p->polls.n > 0 || p->takers.granted > 0) && !sq_pull_items_catch_up(p)) {
		sq_pull_run_owed(p);
		return;
	}
	while (sq_dispatch_next(p->dispatch, now_ms, &a))
		run_action(p, &a);
	run_demand(p);
	run_attend(p);
}

/* Has it run again when the next time is over, where ticks are too seldom for it. */
static void
run_alarm(struct sq_pull *p)
{
	uint64_t now_ms = sq_worker_now_ms(p->shard->worker);
	uint64_t due_ms = sq_dispatch_due_ms(p->dispatch);

	if (due_ms >= now_ms + TICK_MS || (p->alarm.at.pos != 0 && p->alarm.at.due <= due_ms))
		return;
	sq_worker_alarm(&p->alarm, due_ms > now_ms ? due_ms : now_ms + 1);
}

void
sq_pull_run(struct sq_pull *p)
{
	assert(sq_worker_self() == p->shard->worker);
	if (p->running) {
		sq_pull_wake(p);
		return;
	}
	sq_pull_set_busy(p);
	p->running = true;
	if (p->dispatch != NULL)
		run_dispatch(p);
	if (p->dispatch != NULL)
		run_alarm(p);
	sq_pull_tell(p, false);
	p->running = false;
	sq_pull_commit(p);
}

static void
run_cancelled(struct sq_consumer *c)
{
	c->stopped = false; /* it may begin again */
	sq_pull_wake(SQ_CONTAINER_OF(c, struct sq_pull, consumer));
}

void
sq_pull_run_init(struct sq_pull *p)
{
	p->consumer.worker = p->shard->worker;
	p->consumer.take = run_take;
	p->consumer.cancelled = run_cancelled;
	sq_list_init(&p->consumer.node);
	p->durable = run_durable;
}

/* Settings. */

static enum sq_dispatch_order
run_order(enum sq_declared_order order)
{
	return order == SQ_ORDER_NONE  ? SQ_DISPATCH_NONE
	    : order == SQ_ORDER_STRICT ? SQ_DISPATCH_STRICT
				       : SQ_DISPATCH_LANES;
}

void
sq_pull_grant(struct sq_pull *p, bool granted)
{
	granted = granted && !p->paused && !p->closes;
	sq_polls_grant(p, granted);
	sq_takers_grant(p, granted);
}

/* Has the new dispatcher go on with what is out by the old one; the rest goes back. */
static void
run_move(struct sq_pull *p, struct sq_dispatch *to)
{
	struct sq_dispatch *old = p->dispatch;

	sq_pull_grant(p, false);
	p->dispatch = to;
	p->items.behind = 0;
	SQ_LIST_FOR_EACH_SAFE(it, &p->items.all, struct sq_pull_item, node) {
		uint64_t until_ms = it->d.at.pos != 0 ? it->d.at.due : UINT64_MAX;

		if (it->d.state == SQ_DISPATCH_OUT) {
			sq_pull_item_again(p, it);
			sq_pull_item_adopt(p, to, it, until_ms);
		} else {
			sq_pull_item_end(p, it, SQ_DISPATCH_BACK);
		}
	}
	sq_dispatch_free(&old);
	sq_pull_grant(p, true);
}

void
sq_pull_configure(struct sq_pull *p, const struct sq_declaration *decl)
{
	struct sq_dispatch_cfg cfg = {.order = run_order(decl->order),
	    .retry = decl->retry,
	    .max_attempts = decl->max_attempts,
	    .blocks = decl->blocks,
	    .held_max = HELD_MAX,
	    .held_bytes_max = HELD_BYTES,
	    .out_max = sq_pulls_max_leases(p->all),
	    .seed = sq_random_u64()};
	bool moves = p->dispatch != NULL && p->set.order != decl->order;

	p->set = (struct sq_pull_set){.lease_ms = decl->lease_ms,
	    .retry_ms = decl->retry.jitter ? decl->retry.first_ms : 0,
	    .order = decl->order,
	    .exactly_once = decl->exactly_once};
	if (p->dispatch == NULL)
		p->dispatch = sq_dispatch_new(&cfg);
	else if (moves)
		run_move(p, sq_dispatch_new(&cfg));
	else
		sq_dispatch_configure(p->dispatch, &cfg);
	SQ_LIST_FOR_EACH(it, &p->items.all, struct sq_pull_item, node)
		sq_dispatch_unblock(p->dispatch, &it->d);
}

void
sq_pull_give_back(struct sq_pull *p)
{
	sq_dispatch_free(&p->dispatch);
	SQ_LIST_FOR_EACH_SAFE(it, &p->items.all, struct sq_pull_item, node) {
		if (p->closes && it->stored)
			sq_pull_item_keep(p, it);
		else
			sq_pull_item_end(p, it, SQ_DISPATCH_BACK);
	}
}
