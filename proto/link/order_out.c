#include "proto/link/order_out.h"

#include <assert.h>
#include <stddef.h>

static struct sq_order_request *
order_last(const struct sq_order_out *o)
{
	return sq_list_empty(&o->requests)
	    ? NULL
	    : SQ_CONTAINER_OF(o->requests.prev, struct sq_order_request, node);
}

/* The one writer of a request's state. */
static void
order_enter(struct sq_order_out *o, struct sq_order_request *r, enum sq_order_state to)
{
	o->flying -= r->state == SQ_ORDER_FLIES;
	o->flying += to == SQ_ORDER_FLIES;
	r->state = (uint8_t)to;
}

void
sq_order_out_init(struct sq_order_out *o)
{
	*o = (struct sq_order_out){0};
	sq_list_init(&o->requests);
}

bool
sq_order_out_idle(const struct sq_order_out *o)
{
	return sq_list_empty(&o->requests);
}

void
sq_order_out_add(struct sq_order_out *o, struct sq_order_request *r)
{
	r->mark = ++o->given;
	r->state = SQ_ORDER_WAITS;
	r->gap = r->older = false;
	sq_list_push_back(&o->requests, &r->node);
}

struct sq_order_request *
sq_order_out_growing(const struct sq_order_out *o)
{
	struct sq_order_request *r = order_last(o);

	return r != NULL && r->mark == o->given && r->mark > o->posted ? r : NULL;
}

struct sq_order_request *
sq_order_out_find(const struct sq_order_out *o, uint32_t mark)
{
	SQ_LIST_FOR_EACH(r, &o->requests, struct sq_order_request, node) {
		if (r->mark == mark)
			return r;
	}
	return NULL;
}

static struct sq_order_request *
order_waiting(const struct sq_order_out *o)
{
	SQ_LIST_FOR_EACH(r, &o->requests, struct sq_order_request, node) {
		if (r->state == SQ_ORDER_WAITS)
			return r;
	}
	return NULL;
}

/* Whether one before 'r' has no response. */
static bool
order_flies_before(const struct sq_order_out *o, const struct sq_order_request *r)
{
	SQ_LIST_FOR_EACH(it, &o->requests, struct sq_order_request, node) {
		if (it == r)
			break;
		if (it->state == SQ_ORDER_FLIES)
			return true;
	}
	return false;
}

struct sq_order_request *
sq_order_out_next(const struct sq_order_out *o, unsigned most)
{
	struct sq_order_request *r = order_waiting(o);

	/* One that must go again is not kept back by later ones, which wait for it. */
	if (r == NULL || (o->flying >= most && r->mark > o->posted) ||
	    (r->gap && order_flies_before(o, r)))
		return NULL;
	return r;
}

uint32_t
sq_order_out_top(const struct sq_order_out *o)
{
	const struct sq_order_request *r = order_waiting(o);

	return r != NULL ? r->mark - 1 : o->given;
}

void
sq_order_out_flies(struct sq_order_out *o, struct sq_order_request *r)
{
	assert(r->state == SQ_ORDER_WAITS);
	order_enter(o, r, SQ_ORDER_FLIES);
	r->gap = false;
	if (r->mark > o->posted)
		o->posted = r->mark;
}

void
sq_order_out_written(struct sq_order_out *o, struct sq_order_request *r)
{
	assert(r->state == SQ_ORDER_FLIES);
	order_enter(o, r, SQ_ORDER_WRITTEN);
}

void
sq_order_out_failed(struct sq_order_out *o, struct sq_order_request *r, bool gap)
{
	assert(r->state == SQ_ORDER_FLIES);
	order_enter(o, r, SQ_ORDER_WAITS);
	r->gap = gap;
}

void
sq_order_out_end(struct sq_order_out *o, struct sq_order_request *r)
{
	order_enter(o, r, SQ_ORDER_WAITS);
	sq_list_remove(&r->node);
}

struct sq_order_out_rank
sq_order_out_rank_begin(const struct sq_order_out *o)
{
	return (struct sq_order_out_rank){.order = o, .at = &o->requests};
}

uint32_t
sq_order_out_rank(void *arg, uint32_t mark)
{
	struct sq_order_out_rank *k = arg;
	const struct sq_list *end = &k->order->requests;

	while (k->at->next != end &&
	    SQ_CONTAINER_OF(k->at->next, struct sq_order_request, node)->mark <= mark) {
		k->at = k->at->next;
		k->rank++;
	}
	return k->rank;
}

void
sq_order_out_attached(struct sq_order_out *o)
{
	uint32_t posted = o->posted;

	o->given = o->posted = 0;
	SQ_LIST_FOR_EACH(r, &o->requests, struct sq_order_request, node) {
		order_enter(o, r, SQ_ORDER_WAITS);
		r->gap = false;
		r->older = r->older || r->mark <= posted;
		r->mark = ++o->given;
	}
	assert(o->flying == 0);
}

bool
sq_order_out_owes(const struct sq_order_out *o)
{
	const struct sq_order_request *r = SQ_LIST_FIRST(
	    &o->requests, struct sq_order_request, node);

	return r != NULL && r->older; /* such stand first: marks are posted in order */
}

struct sq_order_request *
sq_order_out_drop(struct sq_order_out *o)
{
	struct sq_order_request *r = order_last(o);

	if (r == NULL || r->mark <= o->posted) {
		o->given = o->posted;
		return NULL;
	}
	sq_order_out_end(o, r);
	return r;
}
