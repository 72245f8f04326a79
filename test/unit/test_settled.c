/* What was settled of late. */
#include <criterion/criterion.h>

#include "broker/subscriber/settled.h"

static struct sq_settled s;

static void
set_up(void)
{
	sq_settled_init(&s, 3, 10);
}

static void
tear_down(void)
{
	sq_settled_fini(&s);
}

TestSuite(settled, .init = set_up, .fini = tear_down);

static struct sq_settled_entry *
add(uint64_t name, uint64_t expires_ms, size_t len)
{
	struct sq_settled_name n = {name, 1};
	struct sq_buf value = {0};

	sq_buf_append(&value, "0123456789", len);
	return sq_settled_add(&s, &n, expires_ms, &value);
}

static struct sq_settled_entry *
find(uint64_t hi, uint64_t lo)
{
	return sq_settled_find(&s, &(struct sq_settled_name){hi, lo});
}

Test(settled, is_found_by_its_whole_name)
{
	struct sq_settled_entry *e = add(7, 100, 2);

	cr_assert_eq(find(7, 1), e);
	cr_assert_null(find(7, 2));
	cr_assert_null(find(1, 7));
	cr_assert_eq(sq_buf_len(&e->value), 2);
}

Test(settled, goes_when_its_time_is_over)
{
	struct sq_settled_entry *late = add(1, 200, 0), *early = add(2, 100, 0);

	cr_assert_null(sq_settled_over(&s, 99));
	cr_assert_eq(sq_settled_over(&s, 100), early);
	sq_settled_remove(&s, early);
	cr_assert_null(find(2, 1));
	cr_assert_null(sq_settled_over(&s, 199));
	cr_assert_eq(sq_settled_over(&s, 200), late);
}

Test(settled, the_oldest_go_where_there_are_too_many)
{
	struct sq_settled_entry *first = add(1, 100, 0);

	add(2, 100, 0);
	add(3, 100, 0);
	cr_assert_null(sq_settled_over(&s, 0));
	add(4, 100, 0);
	cr_assert_eq(sq_settled_over(&s, 0), first);
	sq_settled_remove(&s, first);
	cr_assert_null(sq_settled_over(&s, 0));
}

Test(settled, the_oldest_go_where_values_are_too_large)
{
	struct sq_settled_entry *first = add(1, 100, 5);

	add(2, 100, 5);
	cr_assert_null(sq_settled_over(&s, 0));
	add(3, 100, 1);
	cr_assert_eq(sq_settled_over(&s, 0), first);
	sq_settled_remove(&s, first);
	cr_assert_null(sq_settled_over(&s, 0));
}
