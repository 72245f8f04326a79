#include <assert.h>
#include <stdlib.h>

#include "broker/push/push_priv.h"
#include "core/mem.h"

void
sq_push_request_set(struct sq_push_request *r, enum sq_push_at at)
{
	struct sq_push *p = r->push;

	p->at[r->at].n--;
	sq_list_remove(&r->node);
	r->at = at;
	p->at[at].n++;
	sq_list_push_back(&p->at[at].list, &r->node);
	atomic_store_explicit(&p->told.out, p->at[SQ_PUSH_OUT].n, memory_order_relaxed);
}

struct sq_push_request *
sq_push_request_new(struct sq_push *p)
{
	struct sq_push_request *r = SQ_LIST_FIRST(
	    &p->at[SQ_PUSH_IDLE].list, struct sq_push_request, node);

	if (r != NULL)
		return r;
	r = sq_xcalloc(1, sizeof *r);
	r->push = r->trip.push = p;
	r->at = SQ_PUSH_IDLE;
	sq_list_init(&r->ask.node);
	sq_list_init(&r->ask.items);
	sq_list_push_back(&p->at[SQ_PUSH_IDLE].list, &r->node);
	p->at[SQ_PUSH_IDLE].n++;
	return r;
}

/* Headers and answer, wiped; 'out' may be sent again. */
static void
request_empty(struct sq_push_request *r)
{
	sq_push_trip_empty(&r->trip);
	sq_push_message_reset(&r->message);
}

void
sq_push_request_free(struct sq_push_request *r)
{
	struct sq_push *p = r->push;

	assert(r->at == SQ_PUSH_IDLE);
	sq_list_remove(&r->node);
	p->at[SQ_PUSH_IDLE].n--;
	request_empty(r);
	sq_push_message_fini(&r->message);
	free(r->taken.v);
	free(r->taken.msgs);
	free(r->taken.outcomes);
	free(r);
}

void
sq_push_request_fill(struct sq_push_request *r, const struct sq_taken *taken, size_t n)
{
	struct sq_push_taken *to = &r->taken;

	if (n > to->room) {
		to->v = sq_xrealloc(to->v, n * sizeof *to->v);
		to->msgs = sq_xrealloc(to->msgs, n * sizeof *to->msgs);
		to->outcomes = sq_xrealloc(to->outcomes, n * sizeof *to->outcomes);
		to->room = n;
	}
	to->n = n;
	for (size_t i = 0; i < n; i++) {
		to->msgs[i] = sq_msg_ref(*taken[i].msg);
		to->v[i] = taken[i];
		to->v[i].msg = &to->msgs[i];
	}
}

void
sq_push_request_over(struct sq_push_request *r)
{
	for (size_t i = 0; i < r->taken.n; i++)
		sq_msg_unref(&r->taken.msgs[i]);
	r->taken.n = 0;
	if (r->settlement.reply.image != NULL)
		sq_msg_unref(&r->settlement.reply);
	r->settlement = (struct sq_taker_settlement){0};
	r->probe = false;
	r->push->holds.blocked -= r->blocked;
	r->blocked = false;
	request_empty(r);
	sq_push_conf_unref(&r->conf);
	sq_push_request_set(r, SQ_PUSH_IDLE);
}
