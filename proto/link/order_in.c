#include "proto/link/order_in.h"

#include <assert.h>

enum sq_order_verdict
sq_order_in_offer(
    const struct sq_order_in *o, const struct sq_subs_head *head, const uint64_t last[SQ_LANES])
{
	assert(head->mark != 0); /* else it waits for nothing */
	if (head->mark <= o->answered)
		return SQ_ORDER_ANSWERED;
	if (head->mark <= o->mark)
		return SQ_ORDER_KNOWN;
	if (head->mark != o->mark + 1 || o->mark - o->answered >= SQ_SUBS_FLYING_MAX)
		return SQ_ORDER_EARLY;
	for (int lane = 0; lane < SQ_LANES; lane++) {
		if (last[lane] < head->after[lane])
			return SQ_ORDER_EARLY;
	}
	return SQ_ORDER_ADMIT;
}
