/* See lane_mark.h.  Marks ascend along the list of batches, as numbers do. */
#include "proto/link/lane_mark.h"

#include <assert.h>

#include "proto/link/lane_out_priv.h"

void
sq_lane_out_mark(struct sq_lane_out *l, uint32_t mark)
{
	assert(mark >= l->mark);
	l->mark = mark;
}

void
sq_lane_out_remark(struct sq_lane_out *l, uint32_t (*to)(void *arg, uint32_t mark), void *arg)
{
	SQ_LIST_FOR_EACH(b, &l->batches, struct sq_lane_batch, node)
		b->mark = to(arg, b->mark);
	l->mark = to(arg, l->mark);
}

void
sq_lane_out_unmark(struct sq_lane_out *l, uint32_t most)
{
	SQ_LIST_FOR_EACH(b, &l->batches, struct sq_lane_batch, node) {
		if (b->mark > most)
			b->mark = most;
	}
	if (l->mark > most)
		l->mark = most;
}

bool
sq_lane_out_behind(const struct sq_lane_out *l, uint32_t mark)
{
	return !sq_list_empty(&l->batches) &&
	    SQ_CONTAINER_OF(l->batches.prev, struct sq_lane_batch, node)->mark >= mark;
}

bool
sq_lane_out_sent(const struct sq_lane_out *l, uint32_t mark)
{
	for (const struct sq_list *n = l->scan; n != &l->batches; n = n->next) {
		const struct sq_lane_batch *b = SQ_CONTAINER_OF(n, struct sq_lane_batch, node);

		if (b->state == SQ_LB_OPEN || b->state == SQ_LB_SEALED)
			return b->mark >= mark;
	}
	return true;
}

uint64_t
sq_lane_out_before(const struct sq_lane_out *l, uint32_t mark)
{
	uint64_t last = l->next - 1;

	/* What was answered may have its number of an older run. */
	for (const struct sq_list *n = l->batches.prev; n != &l->batches; n = n->prev) {
		const struct sq_lane_batch *b = SQ_CONTAINER_OF(n, struct sq_lane_batch, node);

		if (b->mark < mark)
			break;
		if (b->state != SQ_LB_ANSWERED)
			last = b->first - 1;
	}
	return last;
}

void
sq_lane_out_wait(struct sq_lane_out *l)
{
	l->wait_next = true;
}

void
sq_lane_out_go(struct sq_lane_out *l)
{
	l->wait_next = false;
	SQ_LIST_FOR_EACH(b, &l->batches, struct sq_lane_batch, node)
		b->waits = false;
}
