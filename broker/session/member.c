/* Members: the consumers of a session in queues of groups. */
#include <stdlib.h>

#include "broker/group/group.h"
#include "broker/session/demand.h"
#include "broker/session/member_item.h"
#include "core/mem.h"
#include "proto/mqtt/options.h"

/* Tells the group's queue whether the member is there to take from it. */
static void
member_attend(struct sq_member *m, bool attends)
{
	const struct sq_sink *sink = &m->group->sink;

	if (m->attends == attends || sink->queue == NULL) /* at a start it comes later */
		return;
	m->attends = attends;
	sink->engine->ops->queue.attend(sink->queue, attends ? 1 : -1);
}

void
sq_members_attend(struct sq_session *s, bool attend)
{
	SQ_LIST_FOR_EACH(m, &s->members.list, struct sq_member, node)
		member_attend(m, attend);
}

static void
member_consume(struct sq_member *m)
{
	struct sq_session *s = m->session;

	sq_session_pin(s);
	m->demanded = (struct sq_demand){0};
	s->sink.engine->ops->consumer.consume(m->group->sink.queue, &m->consumer);
}

static void
member_take(struct sq_consumer *c, struct sq_item *items, size_t n)
{
	struct sq_member *m = SQ_CONTAINER_OF(c, struct sq_member, consumer);
	struct sq_session *s = m->session;

	sq_demand_taken(&m->demanded, items, n);
	for (size_t i = 0; i < n; i++)
		sq_pending_push(&s->window.pending,
		    &(struct sq_pending){items[i], sq_member_item_from(m->group), m});
	sq_window_charge(&s->window);
	m->open += (uint32_t)n;
	if (sq_list_empty(&m->node) || s->state != SQ_SESSION_ATTACHED) /* it has left meanwhile */
		sq_return_pending(s, SQ_RETURN_GROUPS);
	sq_session_wake(s);
}

static void
member_cancelled(struct sq_consumer *c)
{
	struct sq_member *m = SQ_CONTAINER_OF(c, struct sq_member, consumer);
	struct sq_session *s = m->session;

	if (sq_list_empty(&m->node)) { /* it has left */
		sq_group_unref(&m->group);
		sq_block_unref(&m->subs);
		free(m);
	} else if (s->state == SQ_SESSION_ATTACHED) {
		member_consume(m);
		sq_session_wake(s);
	}
	sq_session_unpin(s);
}

void
sq_member_join(struct sq_session *s, struct sq_subscription *sub, const struct sq_sub *e)
{
	struct sq_member *m = sq_xcalloc(1, sizeof *m);
	bool declared = (e->flags & SQ_SUB_DECLARED) != 0;

	m->session = s;
	m->group = sq_group_ref(sub->group);
	m->max_qos = declared ? 2 : e->options & 3;
	m->consumer.worker = s->shard->worker;
	m->consumer.take = member_take;
	m->consumer.cancelled = member_cancelled;
	sq_list_init(&m->consumer.node);
	sq_list_push_back(&s->members.list, &m->node);
	sub->member = m;
	member_attend(m, sq_session_attends(s));
	m->after = s->order.asking;
	s->members.n_joining += m->after != 0;
	if (s->state == SQ_SESSION_ATTACHED && m->after == 0) /* else later */
		member_consume(m);
}

void
sq_member_options(struct sq_member *m, const struct sq_sub *e, struct sq_block *subs)
{
	m->concurrency = e->concurrency;
	sq_block_unref(&m->subs);
	m->subs = subs;
	if ((e->flags & SQ_SUB_DECLARED) == 0)
		m->max_qos = e->options & SQ_OPTION_QOS;
	m->as_published = (e->options & SQ_OPTION_AS_PUBLISHED) != 0;
}

/* Ends the wait of a member that may take items now, or that ends. */
static void
member_joined(struct sq_member *m)
{
	m->session->members.n_joining -= m->after != 0;
	m->after = 0;
}

void
sq_members_answered(struct sq_session *s, uint32_t mark)
{
	/* The waiting members are the newest ones. */
	for (struct sq_list *at = s->members.list.prev;
	     s->members.n_joining > 0 && at != &s->members.list; at = at->prev) {
		struct sq_member *m = SQ_CONTAINER_OF(at, struct sq_member, node);

		if (m->after != 0 && m->after <= mark) {
			member_joined(m);
			member_consume(m);
		}
	}
}

void
sq_member_leave(struct sq_session *s, struct sq_member *m)
{
	sq_list_remove(&m->node);
	member_joined(m);
	member_attend(m, false);
	if (sq_pending_of(&s->window.pending, m)) /* what it was handed loses its member */
		sq_return_pending(s, SQ_RETURN_GROUPS);
	if (m->consumer.queue == NULL) {
		sq_session_pin(s);
		member_cancelled(&m->consumer);
	} else if (!m->consumer.stopped) {
		s->sink.engine->ops->consumer.cancel(&m->consumer);
	}
}

void
sq_members_start(struct sq_session *s)
{
	SQ_LIST_FOR_EACH(m, &s->members.list, struct sq_member, node) {
		if (m->consumer.queue == NULL) /* else it comes back once it is cancelled */
			member_consume(m);
	}
}

void
sq_members_stop(struct sq_session *s)
{
	SQ_LIST_FOR_EACH(m, &s->members.list, struct sq_member, node) {
		if (m->consumer.queue != NULL && !m->consumer.stopped)
			s->sink.engine->ops->consumer.cancel(&m->consumer);
		m->demanded = (struct sq_demand){0};
		member_joined(m);
	}
}
