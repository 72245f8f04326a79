/* proto/link/order_out: marks of a connection's requests to subscribe. */
#include <criterion/criterion.h>

#include "proto/link/order_out.h"

enum { MOST = 2 };

static struct sq_order_out order;
static struct sq_order_request r[6]; /* r[1] has the mark 1, and so on */

static void
setup(void)
{
	sq_order_out_init(&order);
}

TestSuite(order_out, .init = setup);

static void
add(int from, int to)
{
	for (int i = from; i <= to; i++) {
		sq_list_init(&r[i].node);
		sq_order_out_add(&order, &r[i]);
		cr_assert_eq(r[i].mark, (unsigned)i);
	}
}

static void
fly(int i)
{
	cr_assert_eq(sq_order_out_next(&order, MOST), &r[i]);
	sq_order_out_flies(&order, &r[i]);
}

static void
stay(void)
{
	cr_assert_null(sq_order_out_next(&order, MOST));
}

Test(order_out, at_most_so_many_fly_and_what_was_published_follows_them)
{
	cr_assert_eq(sq_order_out_top(&order), 0);
	add(1, 3);
	cr_assert_eq(sq_order_out_top(&order), 0);
	fly(1);
	cr_assert_eq(sq_order_out_top(&order), 1);
	fly(2);
	cr_assert_eq(sq_order_out_top(&order), 2);
	stay();
	sq_order_out_written(&order, &r[1]);
	fly(3);
	cr_assert_eq(sq_order_out_top(&order), 3);
	sq_order_out_end(&order, &r[2]); /* by its frame, which came before the response */
	sq_order_out_end(&order, &r[1]);
	cr_assert_not(sq_order_out_idle(&order));
	sq_order_out_end(&order, &r[3]);
	cr_assert(sq_order_out_idle(&order));
	cr_assert_eq(sq_order_out_top(&order), 3);
	add(4, 4);
	cr_assert_eq(sq_order_out_top(&order), 3);
	fly(4);
}

Test(order_out, the_last_request_grows_until_it_was_posted)
{
	cr_assert_null(sq_order_out_growing(&order));
	add(1, 2);
	cr_assert_eq(sq_order_out_growing(&order), &r[2]);
	fly(1);
	cr_assert_eq(sq_order_out_growing(&order), &r[2]);
	fly(2);
	cr_assert_null(sq_order_out_growing(&order));
	sq_order_out_failed(&order, &r[2], false); /* the receiver may have had it */
	cr_assert_null(sq_order_out_growing(&order));
	sq_order_out_attached(&order);
	cr_assert_eq(sq_order_out_growing(&order), &r[2]);
}

Test(order_out, what_failed_goes_again_before_later_ones)
{
	add(1, 3);
	fly(1);
	fly(2);
	sq_order_out_failed(&order, &r[1], false);
	cr_assert_eq(sq_order_out_top(&order), 0);
	fly(1);
	cr_assert_eq(sq_order_out_top(&order), 2);
	sq_order_out_failed(&order, &r[1], false);
	cr_assert_eq(
	    sq_order_out_next(&order, 1), &r[1], "the second one waits there for the first one");
}

Test(order_out, one_that_found_no_place_waits_for_those_before_it)
{
	add(1, 2);
	fly(1);
	fly(2);
	sq_order_out_failed(&order, &r[2], true);
	stay();
	sq_order_out_written(&order, &r[1]);
	fly(2);
	sq_order_out_failed(&order, &r[2], true);
	fly(2); /* nothing is before it */
}

Test(order_out, a_new_attachment_counts_from_what_has_no_answer)
{
	static const uint32_t want[] = {0, 0, 1, 1, 2, 3};

	add(1, 5);
	fly(1);
	fly(2);
	sq_order_out_end(&order, &r[1]);
	fly(3);
	sq_order_out_end(&order, &r[3]); /* before the second, which no receiver does */
	for (int lane = 0; lane < 2; lane++) {
		struct sq_order_out_rank rank = sq_order_out_rank_begin(&order);

		for (uint32_t mark = 0; mark <= 5; mark++) {
			cr_assert_eq(sq_order_out_rank(&rank, mark), want[mark], "%u", mark);
			cr_assert_eq(sq_order_out_rank(&rank, mark), want[mark], "%u again", mark);
		}
	}
	sq_order_out_attached(&order);
	cr_assert_eq(r[2].mark, 1);
	cr_assert_eq(r[4].mark, 2);
	cr_assert_eq(r[5].mark, 3);
	cr_assert_eq(order.given, 3);
	cr_assert_eq(sq_order_out_top(&order), 0);
	fly(2);
	cr_assert_eq(sq_order_out_top(&order), 1);
	fly(4);
	stay();
	cr_assert_eq(sq_order_out_find(&order, 2), &r[4]);
	cr_assert_null(sq_order_out_find(&order, 4));
}

Test(order_out, a_client_that_is_gone_asks_for_no_more)
{
	add(1, 4);
	fly(1);
	fly(2);
	cr_assert_eq(sq_order_out_drop(&order), &r[4]);
	cr_assert_eq(sq_order_out_drop(&order), &r[3]);
	cr_assert_null(sq_order_out_drop(&order));
	cr_assert_eq(order.given, 2);
	cr_assert_eq(sq_order_out_top(&order), 2);
	sq_order_out_failed(&order, &r[2], false);
	cr_assert_null(sq_order_out_drop(&order), "what was published waits there for it");
	fly(2);
	sq_order_out_end(&order, &r[1]);
	sq_order_out_end(&order, &r[2]);
	cr_assert(sq_order_out_idle(&order));
}
