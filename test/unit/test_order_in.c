/* Which marks are admitted: docs/link.md, "Order of a connection". */
#include <criterion/criterion.h>

#include "proto/link/order_in.h"

static enum sq_order_verdict
offer(struct sq_order_in o, uint32_t mark, uint64_t after_0, uint64_t after_1)
{
	static const uint64_t last[SQ_LANES] = {10, 20};
	struct sq_subs_head head = {.mark = mark, .after = {after_0, after_1}};

	return sq_order_in_offer(&o, &head, last);
}

Test(order_in, the_next_mark_waits_for_both_lanes)
{
	struct sq_order_in o = {.mark = 3, .answered = 3};

	cr_expect_eq(offer(o, 4, 0, 0), SQ_ORDER_ADMIT);
	cr_expect_eq(offer(o, 4, 10, 20), SQ_ORDER_ADMIT);
	cr_expect_eq(offer(o, 4, 11, 20), SQ_ORDER_EARLY);
	cr_expect_eq(offer(o, 4, 10, 21), SQ_ORDER_EARLY);
	cr_expect_eq(offer(o, 5, 0, 0), SQ_ORDER_EARLY);
}

Test(order_in, a_mark_that_was_admitted_is_answered_with_its_frame)
{
	struct sq_order_in o = {.mark = 3, .answered = 2};

	cr_expect_eq(offer(o, 2, 99, 99), SQ_ORDER_ANSWERED);
	cr_expect_eq(offer(o, 3, 99, 99), SQ_ORDER_KNOWN);
}

Test(order_in, no_more_are_admitted_than_may_fly)
{
	struct sq_order_in o = {.mark = SQ_SUBS_FLYING_MAX, .answered = 0};

	cr_expect_eq(offer(o, o.mark + 1, 0, 0), SQ_ORDER_EARLY);
	o.answered = 1;
	cr_expect_eq(offer(o, o.mark + 1, 0, 0), SQ_ORDER_ADMIT);
}

Test(order_in, a_batch_waits_for_its_mark_and_for_no_answer)
{
	struct sq_order_in o = {.mark = 3, .answered = 0};

	cr_expect(sq_order_in_batch(&o, 0));
	cr_expect(sq_order_in_batch(&o, 3));
	cr_expect_not(sq_order_in_batch(&o, 4));
}
