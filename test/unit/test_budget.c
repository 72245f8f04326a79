/* sidecar/hold/budget: who may hold how much, who waits, and who tries again. */
#include <criterion/criterion.h>

#include "sidecar/hold/budget.h"

enum { MAX = 1000, LANE = 400, WINDOW = 1 << 20, HOLDS = 4 };

static struct sq_budget b;
static struct sq_budget_share share[HOLDS];
static unsigned pauses, resumed;
static struct sq_budget_share *last_resumed[HOLDS];

static void
on_paused(struct sq_budget_share *s)
{
	(void)s;
	pauses++;
}

static void
on_writable(struct sq_budget_share *s)
{
	last_resumed[resumed++ % HOLDS] = s;
}

static void
setup(void)
{
	static const struct sq_budget_user user = {on_paused, on_writable};

	sq_budget_init(&b, &user, MAX, LANE, WINDOW);
	for (int i = 0; i < HOLDS; i++)
		sq_budget_open(&b, &share[i], 0);
	pauses = resumed = 0;
}

TestSuite(budget, .init = setup);

/* Admits and holds 'size' more; false: not now. */
static bool
hold(int i, size_t size, bool flows)
{
	if (sq_budget_admit(&b, &share[i], size, flows) != 0)
		return false;
	sq_budget_held(&b, &share[i], share[i].held + size);
	return true;
}

Test(budget, all_together_hold_no_more_than_the_bound)
{
	cr_assert(hold(0, 300, true));
	cr_assert(hold(1, 300, true));
	cr_assert(hold(2, 400, true));
	cr_assert_not(hold(3, 1, true));
	cr_assert_eq(b.held, MAX);
	cr_assert_eq(pauses, 1);
}

Test(budget, one_holds_its_lane_while_a_broker_takes_it_and_a_share_else)
{
	cr_assert(hold(0, LANE, true));
	cr_assert_not(hold(0, 1, true));
	cr_assert(hold(0, 1, false), "its share is eight times what is free");
	cr_assert(hold(0, 487, false), "888 of 8 * 599");
	cr_assert_not(hold(0, 100, false), "988 is above 8 * 112");
}

Test(budget, at_least_one_message_is_within_a_share)
{
	cr_assert(hold(0, 990, false));
	cr_assert(hold(1, 10, false), "nothing of its own is on its way");
}

Test(budget, a_large_one_comes_where_half_is_free_and_is_not_overtaken)
{
	cr_assert(hold(0, 600, false));
	cr_assert_not(hold(1, 5000, false));
	cr_assert_not(hold(2, 10, false), "the large one waits for the bound");
	cr_assert_eq(pauses, 2);
	sq_budget_held(&b, &share[0], 500);
	cr_assert_eq(resumed, 2);
	cr_assert_eq(last_resumed[0], &share[1], "in the order in which they came");
	cr_assert(hold(1, 5000, false));
	cr_assert_not(hold(2, 10, false));
}

Test(budget, who_waits_tries_again_once_a_quarter_is_free)
{
	cr_assert(hold(0, 300, true));
	cr_assert(hold(1, 350, true));
	cr_assert(hold(2, 350, true));
	cr_assert_not(hold(3, 100, true));
	cr_assert_not(hold(3, 100, true));
	cr_assert_eq(pauses, 1, "it waits already");
	sq_budget_held(&b, &share[0], 51);
	cr_assert_eq(resumed, 0);
	sq_budget_held(&b, &share[0], 50);
	cr_assert_eq(resumed, 1);
	cr_assert(hold(3, 100, true));
}

Test(budget, another_bound_resumes)
{
	cr_assert(hold(0, 900, false));
	cr_assert_not(hold(1, 200, false));
	sq_budget_resize(&b, 2 * MAX);
	cr_assert_eq(resumed, 1);
	cr_assert(hold(1, 200, false));
}

Test(budget, one_that_ends_is_not_waited_for)
{
	cr_assert(hold(0, 600, false));
	cr_assert_not(hold(1, 5000, false));
	sq_budget_unwait(&b, &share[1]);
	cr_assert(hold(2, 10, false));
	sq_budget_resume(&b);
	cr_assert_eq(resumed, 0);
}

Test(budget, qos_0_is_dropped_only_without_a_broker_and_without_room)
{
	cr_assert(hold(0, 990, false));
	cr_assert_not(sq_budget_drops(&b, &share[1], 20, false), "in memory it waits");
	sq_budget_drop_qos0(&b);
	cr_assert(sq_budget_drops(&b, &share[1], 20, false));
	cr_assert_not(sq_budget_drops(&b, &share[1], 20, true));
	cr_assert_not(sq_budget_drops(&b, &share[1], 10, false));
	cr_assert(sq_budget_drops(&b, &share[0], 10, false), "above its share");
}

Test(budget, windows_are_a_part_of_the_limit)
{
	struct sq_budget_share s[3];
	uint64_t limit = UINT64_C(1) << 22; /* all windows: a quarter, 1 MiB */

	b.windows = 0;
	sq_budget_open(&b, &s[0], limit);
	cr_assert_eq(s[0].window, 262144);
	sq_budget_open(&b, &s[1], limit);
	cr_assert_eq(s[1].window, 196608);
	b.windows = limit;
	sq_budget_open(&b, &s[2], limit);
	cr_assert_eq(s[2].window, 32768, "the least");
	b.windows = s[0].window;
	sq_budget_close(&b, &s[0]);
	cr_assert_eq(b.windows, 0);
	sq_budget_open(&b, &s[0], 0);
	cr_assert_eq(s[0].window, WINDOW, "no limit");
}
