#include "broker/session/order.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/session/session.h"
#include "broker/session/window.h"
#include "core/mem.h"

struct sq_order_answer {
	struct sq_list node; /* of the session, in the attachment that asks */
	struct sq_call *call;
	uint64_t epoch;
	uint32_t mark;
	uint8_t round; /* that the request began; 0: none, it bound nothing */
	bool ready;
	struct sq_buf codes; /* one byte each */
	struct sq_notes notes;
};

/* Admission. */

/* Subscriptions that wait: early ones, and such as wait for their answer. */
static unsigned
order_parked(const struct sq_session *s)
{
	unsigned n = 0;

	SQ_LIST_FOR_EACH(c, &s->waiting, struct sq_call, node)
		n += c->kind == SQ_CALL_SUBSCRIPTIONS;
	return n;
}

static void
order_park(struct sq_session *s, struct sq_call *c)
{
	if (order_parked(s) < SQ_SUBS_FLYING_MAX) {
		sq_list_push_back(&s->waiting, &c->node);
		return;
	}
	c->last = s->order.in.mark;
	sq_call_refuse(c, SQ_VERDICT_GAP);
}

bool
sq_order_offer(struct sq_session *s, struct sq_call *c, const struct sq_subs_head *head)
{
	const uint64_t last[SQ_LANES] = {s->in.lanes[0].last, s->in.lanes[1].last};

	if (head->mark == 0)
		return true;
	switch (sq_order_in_offer(&s->order.in, head, last)) {
	case SQ_ORDER_ADMIT:
		s->order.in.mark = head->mark;
		return true;
	case SQ_ORDER_EARLY:
	case SQ_ORDER_KNOWN:
		order_park(s, c);
		return false;
	case SQ_ORDER_ANSWERED:
		sq_call_answer(c, SQ_VERDICT_OK, NULL);
		return false;
	}
	return false;
}

/* Answers. */

struct sq_order_answer *
sq_order_ask(struct sq_session *s, struct sq_call *c, uint32_t mark)
{
	struct sq_order_answer *a = sq_xcalloc(1, sizeof *a);

	assert(mark == s->order.in.mark && s->order.asking == 0);
	s->order.asking = mark;
	a->call = c;
	a->epoch = s->at.epoch;
	a->mark = mark;
	sq_list_push_back(&s->order.answers, &a->node);
	return a;
}

/* The answer of the request that is carried out. */
static struct sq_order_answer *
order_asking(struct sq_session *s)
{
	return SQ_CONTAINER_OF(s->order.answers.prev, struct sq_order_answer, node);
}

void
sq_order_bind(struct sq_session *s)
{
	struct sq_order *o = &s->order;

	assert(sq_space_locked()); /* publishers read the sink's round */
	if (o->asking == 0 || order_asking(s)->round != 0)
		return;
	o->round = o->round == UINT8_MAX ? 1 : (uint8_t)(o->round + 1);
	s->sink.round = o->round;
	order_asking(s)->round = o->round;
}

void
sq_order_asked(
    struct sq_session *s, struct sq_order_answer *a, struct sq_buf *codes, struct sq_notes *notes)
{
	assert(a == order_asking(s) && a->mark == s->order.asking);
	s->order.asking = 0;
	a->codes = *codes;
	*codes = (struct sq_buf){0};
	a->notes = *notes;
	*notes = (struct sq_notes){0};
}

static void
answer_free(struct sq_order_answer *a)
{
	sq_list_remove(&a->node);
	sq_buf_fini(&a->codes);
	sq_notes_fini(&a->notes);
	free(a);
}

static void
answer_refuse(struct sq_order_answer *a)
{
	sq_call_refuse(a->call, SQ_VERDICT_EPOCH);
	answer_free(a);
}

void
sq_order_failed(struct sq_order_answer *a)
{
	sq_call_answer(a->call, SQ_VERDICT_FAILED, "the commit failed");
	answer_free(a);
}

/* Moves held items in front of the pending ones. */
static void
order_release(struct sq_session *s)
{
	struct sq_order *o = &s->order;

	while (o->n_held > 0)
		sq_pending_unpop(&s->window.pending, &o->held[--o->n_held]);
}

/* Writes the first answer. */
static void
order_write(struct sq_session *s, struct sq_order_answer *a)
{
	struct sq_order *o = &s->order;

	sq_outlet_subscribed(s->at.outlet, a->epoch, a->mark, sq_buf_data(&a->codes),
	    (uint16_t)sq_buf_len(&a->codes), &a->notes);
	o->in.answered = a->mark;
	if (a->round != 0)
		o->told = a->round;
	order_release(s); /* of a later round: deliver.c holds it again */
	sq_members_answered(s, a->mark);
	sq_call_answer(a->call, SQ_VERDICT_OK, NULL);
	answer_free(a);
	sq_session_wake(s);
}

bool
sq_order_flush(struct sq_session *s)
{
	struct sq_order_answer *a;
	bool any = false;

	while ((a = SQ_LIST_FIRST(&s->order.answers, struct sq_order_answer, node)) != NULL &&
	    a->ready) {
		if (!sq_outlet_writable(s->at.outlet)) {
			sq_linked_block(s);
			break;
		}
		order_write(s, a);
		any = true;
	}
	return any;
}

void
sq_order_ready(struct sq_session *s, struct sq_order_answer *a)
{
	a->ready = true;
	if (a->epoch == s->at.epoch)
		(void)sq_order_flush(s);
	else
		answer_refuse(a);
}

/* Held items. */

void
sq_order_hold(struct sq_session *s, const struct sq_pending *r)
{
	struct sq_order *o = &s->order;

	if (o->n_held == o->cap_held) {
		o->cap_held = o->cap_held > 0 ? o->cap_held * 2 : 8;
		o->held = sq_xrealloc(o->held, o->cap_held * sizeof(*o->held));
	}
	o->held[o->n_held++] = *r;
}

/* The attachment. */

void
sq_order_begin(struct sq_session *s)
{
	assert(sq_list_empty(&s->order.answers) && s->members.n_joining == 0);
	s->order.in = (struct sq_order_in){0};
}

void
sq_order_end(struct sq_session *s)
{
	assert(s->order.asking == 0);
	SQ_LIST_FOR_EACH_SAFE(a, &s->order.answers, struct sq_order_answer, node) {
		if (a->ready)
			answer_refuse(a);
		else
			sq_list_remove(&a->node); /* its commit comes, and finds another epoch */
	}
	s->order.told = s->order.round;
	order_release(s);
}
