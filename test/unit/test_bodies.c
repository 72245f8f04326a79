/* broker/front/door/bodies.h: what a connection may have while memory is short. */
#include <criterion/criterion.h>

#include <stdint.h>

#include "broker/front/door/bodies.h"

enum { MIB = 1 << 20, LIMIT = 64 * MIB, LARGEST = 2 * MIB, PART = LIMIT / 8 };

static size_t
most(enum sq_memory_level level, size_t together)
{
	return sq_bodies_most(level, together, LIMIT, LARGEST);
}

Test(bodies, any_number_while_memory_is_free)
{
	cr_assert_eq(most(SQ_MEMORY_FREE, 0), SIZE_MAX);
	cr_assert_eq(most(SQ_MEMORY_FREE, LIMIT), SIZE_MAX);
}

Test(bodies, one_where_all_have_much_of_a_memory_that_is_short)
{
	cr_assert_eq(most(SQ_MEMORY_FILLED, PART), SIZE_MAX);
	cr_assert_eq(most(SQ_MEMORY_FILLED, PART + 1), LARGEST);
	cr_assert_eq(most(SQ_MEMORY_PACED, PART), SIZE_MAX);
	cr_assert_eq(most(SQ_MEMORY_PACED, PART + 1), LARGEST);
}

/* One of the largest comes to its end, and what makes memory free always does. */
Test(bodies, one_or_what_is_small_without_memory)
{
	cr_assert_eq(most(SQ_MEMORY_REFUSED, PART), LARGEST);
	cr_assert_eq(most(SQ_MEMORY_REFUSED, PART + 1), 64 * 1024);
}

Test(bodies, who_has_much_goes_first)
{
	cr_assert_eq(sq_bodies_wait_ms(4 * MIB, 4 * MIB), 5000, "it is the only one");
	cr_assert_eq(sq_bodies_wait_ms(MIB, 4 * MIB), 5000);
	cr_assert_eq(sq_bodies_wait_ms(MIB - 1, 4 * MIB), 30000);
}
