#include "broker/subscriber/pull.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/group/group.h"
#include "broker/subscriber/polls.h"
#include "broker/subscriber/pull_items.h"
#include "broker/subscriber/pull_past.h"
#include "broker/subscriber/pull_publish.h"
#include "broker/subscriber/pull_run.h"
#include "broker/subscriber/pull_settle.h"
#include "broker/subscriber/pull_txn.h"
#include "broker/subscriber/requests.h"
#include "broker/subscriber/taker_settle.h"
#include "broker/subscriber/takers.h"
#include "core/mem.h"
#include "web/worker.h"

/* Where nobody has waited for that long, members of MQTT have the queue for themselves: one that is
 * alone is handed many messages at a time. */
enum { QUIET_MS = 10000 };

/* Nothing is left: tells the owner, and frees the pull. */
static void
pull_free(struct sq_pull *p)
{
	struct sq_broker *b = p->shard->broker;
	void (*ended)(void *, struct sq_pull_past *) = p->ended;
	struct sq_pull_past *past = sq_pull_past_new(&p->requests, &p->items.acked);
	void *arg = p->arg;

	assert(sq_list_empty(&p->later));
	sq_worker_alarm_off(&p->alarm);
	sq_polls_fini(p);
	sq_requests_fini(p);
	sq_pull_items_fini(p);
	free(p);
	if (ended != NULL)
		ended(arg, past);
	else
		sq_pull_past_free(&past);
	sq_broker_object(b, -1);
}

/* Nothing else of the pull is done meanwhile, also not for a call that an answer brings. */
static void
pull_settle(struct sq_pull *p, struct sq_call *c)
{
	assert(!p->running);
	p->running = true;
	c->out.queue = (struct sq_queue_out){.how = SQ_QUEUE_DONE};
	if (c->in.queue.in.settle.n_msgs > 0) {
		sq_settle_publish(p, c);
	} else {
		sq_settle_leases(p, c);
		sq_pull_answer(p, c);
	}
	p->running = false;
}

static void
pull_later(struct sq_pull *p)
{
	struct sq_call *c;

	while ((c = SQ_LIST_FIRST(&p->later, struct sq_call, node)) != NULL) {
		sq_list_remove(&c->node);
		pull_settle(p, c);
	}
}

static void
pull_refuse_later(struct sq_pull *p)
{
	struct sq_call *c;

	while ((c = SQ_LIST_FIRST(&p->later, struct sq_call, node)) != NULL) {
		sq_list_remove(&c->node);
		c->out.queue = (struct sq_queue_out){.how = SQ_QUEUE_MISSING};
		c->retry_after_s = 1;
		sq_call_answer(c, p->closes ? SQ_VERDICT_DRAINING : SQ_VERDICT_OK, NULL);
	}
}

static void
pull_task(struct sq_task *t)
{
	struct sq_pull *p = SQ_CONTAINER_OF(t, struct sq_pull, task);

	p->posted = false;
	pull_later(p);
	sq_takers_settle(p);
	sq_pull_run(p);
	if (p->over && p->consumer.queue == NULL && sq_pull_txns_idle(p) && !p->posted)
		pull_free(p);
}

static void
pull_alarm(struct sq_alarm *a)
{
	struct sq_pull *p = SQ_CONTAINER_OF(a, struct sq_pull, alarm);

	if (p->dispatch == NULL)
		return;
	sq_dispatch_tick(p->dispatch, sq_worker_now_ms(p->shard->worker));
	sq_pull_run(p);
}

struct sq_pull *
sq_pull_new(const struct sq_pull_cfg *cfg)
{
	struct sq_pull *p = sq_xcalloc(1, sizeof *p);
	struct sq_pull_past *past = cfg->past;

	p->all = cfg->all;
	p->shard = cfg->shard;
	p->group = cfg->group;
	p->ended = cfg->ended;
	p->arg = cfg->arg;
	p->paused = cfg->paused;
	p->task.run = pull_task;
	p->alarm.run = pull_alarm;
	sq_pull_txns_init(p);
	sq_pull_items_init(p);
	sq_requests_init(p);
	if (past != NULL)
		sq_pull_past_give(&past, &p->requests, &p->items.acked);
	sq_list_init(&p->later);
	sq_list_init(&p->busy);
	sq_polls_init(p);
	sq_takers_init(p);
	sq_pull_run_init(p);
	sq_pull_configure(p, cfg->decl);
	sq_broker_object(p->shard->broker, 1);
	sq_pull_set_busy(p); /* it may be given what the store has */
	return p;
}

void
sq_pull_declare(struct sq_pull *p, const struct sq_declaration *decl)
{
	sq_pull_configure(p, decl);
	sq_pull_run(p);
}

void
sq_pull_pause(struct sq_pull *p, bool paused)
{
	if (p->paused == paused)
		return;
	p->paused = paused;
	sq_pull_grant(p, !paused);
	sq_pull_run(p);
}

void
sq_pull_receive(struct sq_pull *p, struct sq_call *c)
{
	assert(!p->over);
	sq_poll_begin(p, c);
}

void
sq_pull_settle(struct sq_pull *p, struct sq_call *c)
{
	assert(!p->over);
	if (p->running) {
		sq_list_push_back(&p->later, &c->node);
		sq_pull_wake(p);
		return;
	}
	pull_settle(p, c);
	sq_pull_run(p);
}

void
sq_pull_tick(struct sq_pull *p, uint64_t now_ms)
{
	bool due = sq_dispatch_due_ms(p->dispatch) <= now_ms;

	sq_polls_tick(p, now_ms);
	sq_pull_acked_sweep(p);
	sq_requests_sweep(p);
	if (due)
		sq_dispatch_tick(p->dispatch, now_ms);
	sq_pull_tell(p, true);
	if (p->polls.n > 0 || (p->takers.n > 0 && !p->paused))
		p->polls.waited_ms = now_ms;
	else if (now_ms >= p->polls.waited_ms + QUIET_MS)
		sq_pull_stop_taking(p);
	if (due || p->polls.n > 0 || !sq_pull_txns_idle(p))
		sq_pull_run(p);
}

/* Whether nothing happens to it by the clock, until it is woken. */
static bool
pull_idle(const struct sq_pull *p)
{
	return p->polls.n == 0 && p->items.by_seq.n == 0 && p->items.acked.by_name.n == 0 &&
	    p->requests.by_name.n == 0 && p->consumer.queue == NULL && sq_pull_txns_idle(p);
}

void
sq_pulls_tick(struct sq_pulls *all, const struct sq_shard *sh, uint64_t now_ms)
{
	struct sq_list *busy = sq_pulls_busy(all, sh), round;
	struct sq_pull *p;

	sq_list_init(&round);
	sq_list_splice(&round, busy);
	while ((p = SQ_LIST_FIRST(&round, struct sq_pull, busy)) != NULL) {
		sq_list_remove(&p->busy);
		sq_list_push_back(busy, &p->busy);
		sq_pull_tick(p, now_ms);
		if (pull_idle(p))
			sq_list_remove(&p->busy);
	}
}

void
sq_pull_release(struct sq_pull *p)
{
	SQ_LIST_FOR_EACH_SAFE(it, &p->items.all, struct sq_pull_item, node)
		(void)sq_dispatch_release(p->dispatch, &it->d);
	sq_pull_run_owed(p);
	sq_pull_commit(p);
}

void
sq_pull_drain(struct sq_pull *p)
{
	p->closes = true;
	sq_polls_end(p);
	sq_pull_grant(p, false);
	sq_pull_wake(p);
}

struct sq_pull_counts
sq_pull_count(const struct sq_pull *p)
{
	return (struct sq_pull_counts){
	    .leased = atomic_load_explicit(&p->told.leased, memory_order_relaxed),
	    .parked = atomic_load_explicit(&p->told.parked, memory_order_relaxed),
	    .again = atomic_load_explicit(&p->told.again, memory_order_relaxed),
	    .again_bytes = atomic_load_explicit(&p->told.again_bytes, memory_order_relaxed),
	    .oldest_ms = atomic_load_explicit(&p->told.oldest_ms, memory_order_relaxed),
	    .pollers = atomic_load_explicit(&p->told.pollers, memory_order_relaxed),
	    .takers = atomic_load_explicit(&p->told.takers, memory_order_relaxed),
	    .stuck = atomic_load_explicit(&p->told.stuck, memory_order_relaxed)};
}

void
sq_pull_end(struct sq_pull *p)
{
	assert(!p->over);
	p->closes = sq_broker_closing(p->shard->broker);
	if (!p->running) {
		sq_takers_settle(p);
		sq_pull_run_owed(p);
	}
	p->over = true;
	sq_list_remove(&p->busy);
	sq_polls_end(p);
	pull_refuse_later(p);
	sq_takers_detach(p);
	sq_pull_give_back(p);
	sq_pull_tell(p, true);
	sq_pull_commit(p);
	sq_pull_stop_taking(p);
	sq_pull_wake(p);
	sq_takers_dismiss(p);
}
