#include "broker/subscriber/taker.h"

#include <assert.h>

#include "broker/group/group.h"
#include "broker/publish/id.h"
#include "broker/subscriber/pull_items.h"
#include "broker/subscriber/pull_txn.h"
#include "broker/subscriber/takers.h"
#include "core/wallclock.h"
#include "web/worker.h"

void
sq_takers_init(struct sq_pull *p)
{
	sq_list_init(&p->takers.all);
	sq_list_init(&p->takers.settling);
}

static bool
list_has(const struct sq_list *node)
{
	return node->next != NULL && !sq_list_empty(node);
}

/* Asks. */

static struct sq_taker_ask *
ask_of(struct sq_dispatch_grant *g)
{
	return SQ_CONTAINER_OF(g, struct sq_taker_ask, grant);
}

static void
ask_grant(struct sq_pull *p, struct sq_taker_ask *ask)
{
	ask->grant = (struct sq_dispatch_grant){
	    .n = ask->n, .bytes = ask->bytes, .linger_ms = ask->linger_ms, .kind = SQ_PULL_ASK};
	sq_dispatch_grant(p->dispatch, &ask->grant);
	ask->granted = true;
	p->takers.granted++;
}

/* What the ask has taken is free again. */
static void
ask_revoke(struct sq_pull *p, struct sq_taker_ask *ask)
{
	sq_dispatch_revoke(p->dispatch, &ask->grant);
	SQ_LIST_FOR_EACH_SAFE(it, &ask->items, struct sq_pull_item, in_poll) {
		sq_list_remove(&it->in_poll);
		sq_pull_item_free(p, it);
	}
	ask->granted = false;
	p->takers.granted--;
}

void
sq_taker_ask(struct sq_taker *t, struct sq_taker_ask *ask)
{
	struct sq_pull *p = t->pull;

	assert(ask->n > 0 && !list_has(&ask->node));
	if (p == NULL)
		return;
	ask->taker = t;
	ask->granted = false;
	sq_list_init(&ask->items);
	sq_list_push_back(&t->asks, &ask->node);
	if (!p->paused && !p->closes)
		ask_grant(p, ask);
	sq_pull_wake(p);
}

void
sq_taker_take_back(struct sq_taker_ask *ask)
{
	struct sq_pull *p;

	if (!list_has(&ask->node))
		return;
	p = ask->taker->pull;
	sq_list_remove(&ask->node);
	if (ask->granted)
		ask_revoke(p, ask);
	sq_pull_wake(p);
}

void
sq_takers_grant(struct sq_pull *p, bool granted)
{
	SQ_LIST_FOR_EACH(t, &p->takers.all, struct sq_taker, node) {
		SQ_LIST_FOR_EACH(ask, &t->asks, struct sq_taker_ask, node) {
			if (granted && !ask->granted)
				ask_grant(p, ask);
			else if (!granted && ask->granted)
				ask_revoke(p, ask);
		}
	}
}

void
sq_taker_hand(struct sq_pull *p, struct sq_dispatch_grant *g, struct sq_pull_item *it)
{
	sq_list_push_back(&ask_of(g)->items, &it->in_poll);
	sq_pull_item_out(p, it, true);
}

static uint64_t
taken_lane(const struct sq_pull *p, const struct sq_pull_item *it)
{
	return p->set.order == SQ_ORDER_NONE ? it->d.seq : it->d.key;
}

static void
taken_append(const struct sq_pull *p, struct sq_buf *out, const struct sq_pull_item *it)
{
	struct sq_taken *m = (void *)sq_buf_reserve(out, sizeof *m);
	uint64_t now_ms = sq_worker_now_ms(p->shard->worker);
	const struct sq_item *item = &it->item;

	*m = (struct sq_taken){.msg = &item->msg,
	    .seq = item->seq,
	    .lane = taken_lane(p, it),
	    .arrived_ms = item->arrived_ms,
	    .expires_ms = sq_wallclock_from_mono(item->expires_ms, now_ms),
	    .attempt = it->d.attempts + 1,
	    .qos = item->assured ? 3 : (uint8_t)sq_image_qos(item->msg.image)};
	sq_message_id(sq_tenant_name(p->group->tenant), item->msg.image, &item->origin, m->id);
	sq_buf_commit(out, sizeof *m);
}

void
sq_taker_serve(struct sq_pull *p, struct sq_dispatch_grant *g)
{
	struct sq_taker_ask *ask = ask_of(g);
	struct sq_taker *t = ask->taker;
	struct sq_buf taken = {0};

	ask->granted = false; /* the dispatcher has given the grant back */
	p->takers.granted--;
	sq_list_remove(&ask->node);
	sq_pull_items_sent(p, &ask->items);
	SQ_LIST_FOR_EACH(it, &ask->items, struct sq_pull_item, in_poll) {
		sq_pull_item_handed(it);
		it->taker = t;
		taken_append(p, &taken, it);
	}
	sq_list_splice(&t->items, &ask->items);
	t->ops->take(t, ask, (const void *)sq_buf_data(&taken),
	    sq_buf_len(&taken) / sizeof(struct sq_taken));
	sq_buf_fini(&taken);
}

/* Joining and leaving. */

void
sq_taker_join(struct sq_taker *t, struct sq_pull *p)
{
	assert(!p->over);
	t->pull = p;
	sq_list_init(&t->asks);
	sq_list_init(&t->items);
	sq_list_init(&t->settlements);
	sq_list_push_back(&p->takers.all, &t->node);
	p->takers.n++;
	sq_pull_wake(p);
}

/* Nothing in the pull is the taker's any more, but its settlements. */
static void
taker_detach(struct sq_pull *p, struct sq_taker *t)
{
	struct sq_taker_ask *ask;

	while ((ask = SQ_LIST_FIRST(&t->asks, struct sq_taker_ask, node)) != NULL) {
		sq_list_remove(&ask->node);
		if (ask->granted)
			ask_revoke(p, ask);
	}
	SQ_LIST_FOR_EACH_SAFE(it, &t->items, struct sq_pull_item, in_poll) {
		sq_taker_drop(it);
		(void)sq_dispatch_outcome(
		    p->dispatch, &it->d, SQ_DISPATCH_LATER, 0, sq_worker_now_ms(p->shard->worker));
		sq_pull_item_free(p, it);
	}
	p->takers.n--;
	t->pull = NULL;
}

void
sq_taker_leave(struct sq_taker *t)
{
	struct sq_pull *p = t->pull;

	SQ_LIST_FOR_EACH_SAFE(s, &t->settlements, struct sq_taker_settlement, of_taker) {
		sq_list_remove(&s->of_taker);
		sq_list_remove(&s->node);
	}
	if (p == NULL)
		return;
	taker_detach(p, t);
	sq_list_remove(&t->node);
	sq_pull_wake(p);
}

void
sq_takers_detach(struct sq_pull *p)
{
	SQ_LIST_FOR_EACH(t, &p->takers.all, struct sq_taker, node)
		taker_detach(p, t);
}

void
sq_takers_dismiss(struct sq_pull *p)
{
	struct sq_taker_settlement *s;
	struct sq_taker *t;

	while ((s = SQ_LIST_FIRST(&p->takers.settling, struct sq_taker_settlement, node)) != NULL) {
		sq_list_remove(&s->node);
		sq_list_remove(&s->of_taker);
		s->end = SQ_TAKER_GONE;
		s->taker->ops->settled(s->taker, s);
	}
	while ((t = SQ_LIST_FIRST(&p->takers.all, struct sq_taker, node)) != NULL) {
		sq_list_remove(&t->node);
		t->ops->dismissed(t);
	}
}

/* Settling. */

void
sq_taker_settle(struct sq_taker *t, struct sq_taker_settlement *s)
{
	struct sq_pull *p = t->pull;

	assert(p != NULL && !list_has(&s->node));
	s->taker = t;
	s->end = SQ_TAKER_DONE;
	s->why[0] = '\0';
	sq_list_push_back(&p->takers.settling, &s->node);
	sq_list_push_back(&t->settlements, &s->of_taker);
	sq_pull_wake(p);
}
