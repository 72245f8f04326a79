#include "broker/subscriber/polls.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/group/group.h"
#include "broker/subscriber/peek.h"
#include "broker/subscriber/pull_items.h"
#include "broker/subscriber/pull_txn.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	POLLS_MAX = 16384,      /* that wait at a queue */
	LOOK_MS = 100,          /* for a queue that has something, which may have to be read */
	WAIT_MAX = 3600 * 1000, /* a front bounds it further */
	ASK_MS = 15000,         /* between two questions whether a caller is still there */
};

void
sq_polls_init(struct sq_pull *p)
{
	sq_list_init(&p->polls.waiting);
}

void
sq_polls_fini(struct sq_pull *p)
{
	assert(p->polls.n == 0);
	sq_heap_fini(&p->polls.ends);
	sq_heap_fini(&p->polls.asks);
}

/* Takes the poll out, and frees it; returns its call, whose answer follows. */
static struct sq_call *
poll_leave(struct sq_pull *p, struct sq_poll *poll)
{
	struct sq_call *c = poll->call;

	assert(sq_list_empty(&poll->items));
	if (poll->granted)
		sq_dispatch_revoke(p->dispatch, &poll->grant);
	sq_list_remove(&poll->node);
	sq_heap_remove(&p->polls.ends, &poll->end);
	sq_heap_remove(&p->polls.asks, &poll->ask);
	p->polls.n--;
	free(poll);
	return c;
}

static void
poll_grant(struct sq_pull *p, struct sq_poll *poll)
{
	poll->grant.node = (struct sq_list){0};
	sq_dispatch_grant(p->dispatch, &poll->grant);
	poll->granted = true;
}

/* Whether the queue may have something that nobody has been handed. */
static bool
poll_may_have(const struct sq_pull *p)
{
	struct sq_dispatch_counts n = sq_dispatch_sums(p->dispatch);
	struct sq_queue_state q;

	if (p->paused)
		return false;
	p->group->sink.engine->ops->queue.state(p->group->sink.queue, &q);
	return n.ready > 0 || q.n > p->items.fresh;
}

static bool
poll_refused(struct sq_pull *p, struct sq_call *c)
{
	struct sq_queue_out *out = &c->out.queue;
	unsigned most = sq_pulls_max_leases(p->all);

	if (p->polls.n >= POLLS_MAX)
		sq_buf_printf(
		    &out->detail, "%u requests wait for messages of this queue", p->polls.n);
	else if (sq_dispatch_sums(p->dispatch).out >= most)
		sq_buf_printf(&out->detail,
		    "%u messages of this queue are leased, as many as pull.max-leases lets", most);
	else
		return false;
	out->how = SQ_QUEUE_CROWDED;
	sq_call_answer(c, SQ_VERDICT_OK, NULL);
	return true;
}

void
sq_poll_begin(struct sq_pull *p, struct sq_call *c)
{
	const struct sq_queue_receive *in = &c->in.queue.in.receive;
	uint64_t now_ms = sq_worker_now_ms(p->shard->worker), wait_ms = in->wait_ms;
	struct sq_poll *poll;

	c->out.queue = (struct sq_queue_out){.how = SQ_QUEUE_DONE};
	if (poll_refused(p, c))
		return;
	if (wait_ms < LOOK_MS && poll_may_have(p))
		wait_ms = LOOK_MS;
	if (wait_ms == 0) {
		sq_call_answer(c, SQ_VERDICT_OK, NULL);
		return;
	}
	poll = sq_xcalloc(1, sizeof *poll);
	poll->call = c;
	poll->grant.n = in->max;
	poll->grant.bytes = in->max_bytes;
	poll->lease_ms = in->lease_ms > 0 ? in->lease_ms : p->set.lease_ms;
	sq_list_init(&poll->items);
	sq_list_push_back(&p->polls.waiting, &poll->node);
	poll->end.owner = poll->ask.owner = poll;
	if (wait_ms > ASK_MS)
		sq_heap_set(&p->polls.asks, &poll->ask, now_ms + ASK_MS);
	sq_heap_set(&p->polls.ends, &poll->end, now_ms + (wait_ms < WAIT_MAX ? wait_ms : WAIT_MAX));
	p->polls.n++;
	if (!p->paused)
		poll_grant(p, poll);
	sq_pull_wake(p);
}

static bool
poll_alive(const struct sq_poll *poll)
{
	bool (*alive)(struct sq_call *) = poll->call->in.queue.in.receive.alive;

	return poll->alive || alive == NULL || alive(poll->call);
}

void
sq_poll_take(struct sq_pull *p, struct sq_poll *poll, struct sq_pull_item *it)
{
	if (!poll_alive(poll)) {
		sq_call_answer(poll_leave(p, poll), SQ_VERDICT_OK, NULL);
		return;
	}
	poll->alive = true;
	sq_list_push_back(&poll->items, &it->in_poll);
}

/* Appends the message to the answer, with a reference. */
static struct sq_pulled *
poll_pulled(const struct sq_pull *p, struct sq_call *c, const struct sq_pull_item *it)
{
	struct sq_buf *out = &c->out.queue.pulled;
	struct sq_pulled *m = (void *)sq_buf_reserve(out, sizeof *m);

	*m = sq_peek_item(
	    sq_tenant_name(p->group->tenant), &it->item, sq_worker_now_ms(p->shard->worker));
	m->attempt = it->d.attempts + 1;
	sq_buf_commit(out, sizeof *m);
	return m;
}

static void
poll_lease(struct sq_pull *p, const struct sq_poll *poll, struct sq_pull_item *it,
    char text[SQ_LEASE_TEXT_MAX])
{
	uint64_t now_ms = sq_worker_now_ms(p->shard->worker);

	sq_pull_item_lease(p, it, poll->call->in.queue.who, poll->lease_ms, text);
	if (!it->stored)
		sq_dispatch_extend(p->dispatch, &it->d, now_ms + poll->lease_ms);
}

void
sq_poll_served(struct sq_pull *p, struct sq_poll *poll)
{
	struct sq_call *c = poll->call;
	bool at_once = c->in.queue.in.receive.at_once;
	uint64_t now_ms = sq_worker_now_ms(p->shard->worker);

	poll->granted = false; /* the dispatcher has given the grant back */
	sq_pull_items_sent(p, &poll->items);
	SQ_LIST_FOR_EACH_SAFE(it, &poll->items, struct sq_pull_item, in_poll) {
		struct sq_pulled *m = poll_pulled(p, c, it);

		sq_list_remove(&it->in_poll);
		sq_pull_item_handed(it);
		if (at_once)
			sq_dispatch_outcome(p->dispatch, &it->d, SQ_DISPATCH_OK, 0, now_ms);
		else
			poll_lease(p, poll, it, m->lease);
	}
	poll_leave(p, poll);
	if (at_once || p->set.exactly_once) {
		(void)sq_pull_txn(p);
		sq_pull_answer(p, c);
	} else {
		sq_call_answer(c, SQ_VERDICT_OK, NULL);
	}
}

void
sq_polls_grant(struct sq_pull *p, bool granted)
{
	SQ_LIST_FOR_EACH(poll, &p->polls.waiting, struct sq_poll, node) {
		if (granted && !poll->granted)
			poll_grant(p, poll);
		if (!granted && poll->granted)
			sq_dispatch_revoke(p->dispatch, &poll->grant);
		poll->granted = granted;
	}
}

void
sq_polls_tick(struct sq_pull *p, uint64_t now_ms)
{
	struct sq_heap_node *n;

	while ((n = sq_heap_pop(&p->polls.ends, now_ms)) != NULL)
		sq_call_answer(poll_leave(p, n->owner), SQ_VERDICT_OK, NULL);
	while ((n = sq_heap_pop(&p->polls.asks, now_ms)) != NULL) {
		if (poll_alive(n->owner))
			sq_heap_set(&p->polls.asks, n, now_ms + ASK_MS);
		else
			sq_call_answer(poll_leave(p, n->owner), SQ_VERDICT_OK, NULL);
	}
}

void
sq_polls_end(struct sq_pull *p)
{
	struct sq_poll *poll;

	while ((poll = SQ_LIST_FIRST(&p->polls.waiting, struct sq_poll, node)) != NULL) {
		struct sq_call *c = poll_leave(p, poll);

		c->out.queue.how = SQ_QUEUE_MISSING;
		c->retry_after_s = 1;
		if (p->closes)
			sq_pull_refuse(c, SQ_VERDICT_DRAINING, "draining");
		else
			sq_call_answer(c, SQ_VERDICT_OK, NULL);
	}
}
