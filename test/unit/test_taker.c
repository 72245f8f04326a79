/* Who takes the declared messages: the rules, replayed without waiting. */
#include "sidecar/declared/taker.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/mem.h"

enum { SETTLE = 1000 };

static struct sq_taker *t;
static struct sq_taker_client a, b, c, d;

static void
setup(void)
{
	static struct sq_taker_client none;

	a = b = c = d = none;
	t = sq_taker_new(SETTLE);
	sq_taker_wanted(t, true);
}

static void
teardown(void)
{
	sq_taker_free(&t);
}

TestSuite(taker, .init = setup, .fini = teardown);

static const char *
name_of(const struct sq_taker_client *x)
{
	return x == NULL ? "nobody" : x->id;
}

static void
come(struct sq_taker_client *x, uint64_t now)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	struct sq_taker_client *const all[] = {&a, &b, &c, &d};
	size_t i = 0;

	while (all[i] != x)
		i++;
	sq_taker_opened(t, x, names[i], x, now);
}

static void
go(struct sq_taker_client *x, uint64_t now)
{
	sq_taker_left(t, x, now);
	memset(x, 0, sizeof *x);
}

/* Who the taker is, and when to look again. */
static void
expect_at(int line, uint64_t now, const char *who, uint64_t due)
{
	const char *is = name_of(sq_taker_turn(t, now));

	cr_assert_str_eq(is, who, "line %d: %s is the taker, not %s", line, is, who);
	cr_assert_eq(sq_taker_due_ms(t), due, "line %d: due at %llu", line,
	    (unsigned long long)sq_taker_due_ms(t));
}
#define expect(now, who, due) expect_at(__LINE__, now, who, due)

Test(taker, a_client_settles_first)
{
	expect(0, "nobody", 0);
	come(&a, 5000);
	expect(5000, "nobody", 6000);
	expect(5999, "nobody", 6000);
	expect(6000, "a", 0);
}

Test(taker, the_oldest_where_all_are_alike)
{
	come(&a, 0);
	come(&b, 10);
	expect(900, "nobody", 1000);
	expect(1000, "nobody", 1010);
	expect(1010, "a", 0);
	go(&a, 2000);
	expect(2000, "b", 0);
	go(&b, 2000);
	expect(2000, "nobody", 0);
}

Test(taker, one_that_has_subscribed_comes_first)
{
	come(&a, 0);
	come(&b, 10);
	sq_taker_did(t, &b, SQ_TAKER_SUBSCRIBED);
	sq_taker_did(t, &b, SQ_TAKER_PUBLISHED); /* whatever else it does */
	expect(1010, "b", 0);
}

Test(taker, those_that_come_meanwhile_are_waited_for)
{
	come(&a, 0);
	come(&b, 999);
	come(&c, 1000); /* too late for 'a' */
	sq_taker_did(t, &c, SQ_TAKER_SUBSCRIBED);
	expect(1000, "nobody", 1999);
	expect(1998, "nobody", 1999);
	expect(1999, "a", 2000);
	go(&a, 1999);
	expect(1999, "nobody", 2000); /* 'b' has another time of its own */
	expect(2000, "c", 0);
}

Test(taker, one_that_leaves_meanwhile_is_not)
{
	come(&a, 0);
	come(&b, 500);
	expect(1000, "nobody", 1500);
	go(&b, 1200);
	expect(1200, "a", 0);
}

Test(taker, then_one_that_has_not_published)
{
	come(&a, 0);
	come(&b, 10);
	sq_taker_did(t, &a, SQ_TAKER_PUBLISHED);
	expect(1000, "nobody", 1010);
	expect(1010, "b", 0);
}

Test(taker, then_the_oldest_that_published_after_it_received)
{
	come(&a, 0);
	come(&b, 1);
	come(&c, 2);
	sq_taker_did(t, &a, SQ_TAKER_PUBLISHED);
	for (struct sq_taker_client *x = &c;; x = &b) { /* the younger one first */
		sq_taker_did(t, x, SQ_TAKER_RECEIVED);
		sq_taker_did(t, x, SQ_TAKER_PUBLISHED);
		if (x == &b)
			break;
	}
	expect(1002, "b", 0);
}

Test(taker, it_stays_until_it_leaves)
{
	come(&a, 0);
	expect(1000, "a", 0);
	come(&b, 1500);
	sq_taker_did(t, &b, SQ_TAKER_SUBSCRIBED);
	expect(3000, "a", 0);
	sq_taker_did(t, &a, SQ_TAKER_RECEIVED);
	sq_taker_did(t, &a, SQ_TAKER_PUBLISHED);
	expect(3001, "a", 0);
	go(&a, 4000);
	expect(4000, "b", 0);
}

Test(taker, a_publisher_is_none_beside_others)
{
	come(&a, 0);
	come(&b, 10);
	sq_taker_did(t, &a, SQ_TAKER_PUBLISHED);
	sq_taker_did(t, &b, SQ_TAKER_PUBLISHED);
	expect(1010, "nobody", 0);
	expect(9000, "nobody", 0);
	sq_taker_did(t, &b, SQ_TAKER_SUBSCRIBED);
	expect(9001, "b", 0);
}

Test(taker, a_publisher_is_one_once_it_has_been_alone)
{
	come(&a, 0);
	come(&b, 10);
	sq_taker_did(t, &a, SQ_TAKER_PUBLISHED);
	sq_taker_did(t, &b, SQ_TAKER_PUBLISHED);
	expect(5000, "nobody", 0);
	go(&b, 5000);
	expect(5000, "nobody", 6000);
	expect(5999, "nobody", 6000);
	come(&c, 5999); /* not alone any more */
	expect(6000, "nobody", 6999);
	go(&c, 6500);
	expect(6500, "nobody", 7500);
	expect(7500, "a", 0);
}

Test(taker, a_publisher_yields_until_it_has_received_something)
{
	come(&a, 0);
	sq_taker_did(t, &a, SQ_TAKER_PUBLISHED);
	expect(1000, "a", 0);
	come(&b, 2000);
	expect(2999, "a", 3000);
	expect(3000, "b", 0);
	go(&b, 4000);
	expect(4000, "nobody", 5000);
	expect(5000, "a", 0);
	sq_taker_did(t, &a, SQ_TAKER_RECEIVED);
	come(&c, 6000);
	expect(9000, "a", 0);
}

Test(taker, one_that_turns_out_to_publish_yields_too)
{
	come(&a, 0);
	come(&b, 0);
	expect(1000, "a", 0);
	sq_taker_did(t, &a, SQ_TAKER_PUBLISHED);
	expect(3000, "b", 0);
	sq_taker_did(t, &b, SQ_TAKER_PUBLISHED); /* nobody is better now */
	expect(3001, "b", 0);
}

Test(taker, a_subscriber_does_not_yield)
{
	come(&a, 0);
	sq_taker_did(t, &a, SQ_TAKER_SUBSCRIBED);
	expect(1000, "a", 0);
	come(&b, 1000);
	sq_taker_did(t, &a, SQ_TAKER_PUBLISHED);
	expect(5000, "a", 0);
}

Test(taker, nobody_where_nothing_is_wanted)
{
	sq_taker_wanted(t, false);
	come(&a, 0);
	expect(5000, "nobody", 0);
	sq_taker_wanted(t, true);
	expect(5000, "a", 0);
	sq_taker_wanted(t, false);
	expect(5001, "nobody", 0);
}

Test(taker, a_named_one_takes_at_once_and_the_next_one_follows)
{
	char *names[] = {(char[]){"b"}, (char[]){"[cd]"}, (char[]){"d*"}};

	sq_taker_name(t, names, SQ_ARRAY_LEN(names));
	come(&a, 0);
	come(&b, 0);
	sq_taker_did(t, &b, SQ_TAKER_PUBLISHED);
	expect(0, "b", 0);
	come(&d, 1);
	sq_taker_did(t, &d, SQ_TAKER_SUBSCRIBED);
	expect(5000, "b", 0);
	go(&b, 5000);
	expect(5000, "d", 0);
	come(&b, 5001);
	expect(5001, "d", 0);
	go(&d, 5002);
	expect(5002, "b", 0);
	go(&b, 5003);
	expect(5003, "nobody", 0);
	expect(99999, "nobody", 0);
}

Test(taker, names_may_change)
{
	char *names[] = {(char[]){"b"}};

	come(&a, 0);
	come(&b, 0);
	expect(1000, "a", 0);
	sq_taker_name(t, names, 1);
	expect(1000, "b", 0);
	sq_taker_name(t, NULL, 0);
	expect(1001, "b", 0);
	go(&b, 1002);
	expect(1002, "a", 0);
}

Test(taker, nobody_is_told_of_while_one_is_about_to_be_chosen)
{
	come(&a, 0);
	come(&b, 10);
	come(&c, 500);
	expect(1010, "nobody", 1500);
	cr_assert_eq(sq_taker_others(t, NULL, 0), 0);
	expect(1500, "a", 0);
	cr_assert_eq(sq_taker_others(t, NULL, 0), 2);
}

Test(taker, names_that_match_nobody_are_told)
{
	static char glob[] = "b*";
	static char *const globs[] = {glob};

	sq_taker_name(t, globs, 1);
	cr_assert_eq(sq_taker_unmatched(t), 0, "nobody is there");
	come(&a, 0);
	cr_assert_eq(sq_taker_unmatched(t), 1);
	come(&b, 0);
	cr_assert_eq(sq_taker_unmatched(t), 0);
	go(&b, 0);
	cr_assert_eq(sq_taker_unmatched(t), 1);
	sq_taker_name(t, NULL, 0);
	cr_assert_eq(sq_taker_unmatched(t), 0);
}

Test(taker, the_others_are_told)
{
	const struct sq_taker_client *others[2];
	char *names[] = {(char[]){"b"}};

	come(&a, 0);
	(void)sq_taker_turn(t, 1000);
	cr_assert_eq(sq_taker_others(t, others, 2), 0, "it is alone");
	come(&b, 1000);
	(void)sq_taker_turn(t, 1999);
	cr_assert_eq(sq_taker_others(t, others, 2), 0, "the other one may be gone soon");
	(void)sq_taker_turn(t, 2000);
	cr_assert_eq(sq_taker_others(t, others, 2), 1);
	cr_assert_eq(others[0], &b);
	come(&c, 2000);
	come(&d, 2000);
	(void)sq_taker_turn(t, 3000);
	cr_assert_eq(sq_taker_others(t, others, 2), 3);
	cr_assert(others[0] == &b && others[1] == &c);
	go(&c, 3000);
	cr_assert_eq(sq_taker_others(t, NULL, 0), 2);
	sq_taker_name(t, names, 1);
	(void)sq_taker_turn(t, 3000);
	cr_assert_eq(sq_taker_others(t, others, 2), 0, "a name says who");
	sq_taker_name(t, NULL, 0);
	sq_taker_wanted(t, false);
	(void)sq_taker_turn(t, 5000);
	cr_assert_eq(sq_taker_others(t, others, 2), 0, "nothing is declared");
}

Test(taker, without_a_settling_time_the_first_one_is_it)
{
	sq_taker_free(&t);
	t = sq_taker_new(0);
	sq_taker_wanted(t, true);
	come(&a, 7);
	expect(7, "a", 0);
	come(&b, 7);
	sq_taker_did(t, &b, SQ_TAKER_SUBSCRIBED);
	expect(8, "a", 0);
}

Test(taker, what_was_taken_is_told_by_a_flag)
{
	come(&a, 0);
	come(&b, 0);
	(void)sq_taker_turn(t, 1000);
	cr_assert_eq(a.flags & SQ_TAKER_TOOK, SQ_TAKER_TOOK);
	cr_assert_eq(b.flags & SQ_TAKER_TOOK, 0);
}
