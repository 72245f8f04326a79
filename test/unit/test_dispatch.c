/* The dispatcher's rules one by one; test_dispatch_sim.c has them all together. */
#include <criterion/criterion.h>

#include "core/mem.h"
#include "proto/dispatch/dispatch.h"

static struct sq_dispatch *d;
static struct sq_dispatch_item items[8];
static struct sq_dispatch_cfg cfg;

static void
set_up(void)
{
	cfg = (struct sq_dispatch_cfg){.order = SQ_DISPATCH_LANES,
	    .retry = {.first_ms = 100, .max_ms = 350, .factor = 2},
	    .max_attempts = 3,
	    .held_max = 6,
	    .held_bytes_max = 1000,
	    .out_max = 4};
}

static void
tear_down(void)
{
	sq_dispatch_free(&d);
}

TestSuite(dispatch, .init = set_up, .fini = tear_down);

/* Takes items with the keys of the text, one letter each. */
static void
take(const char *keys)
{
	d = sq_dispatch_new(&cfg);
	for (unsigned i = 0; keys[i] != '\0'; i++) {
		items[i] = (struct sq_dispatch_item){
		    .seq = i + 1, .key = (uint64_t)keys[i], .bytes = 100};
		sq_dispatch_take(d, &items[i]);
	}
}

static void
expect(enum sq_dispatch_do what, const struct sq_dispatch_item *item)
{
	struct sq_dispatch_action a;

	cr_assert(sq_dispatch_next(d, 1000, &a), "no action");
	cr_assert_eq(a.what, what);
	cr_assert_eq(a.item, item);
}

static void
expect_end(const struct sq_dispatch_item *item, enum sq_dispatch_end end)
{
	struct sq_dispatch_action a;

	cr_assert(sq_dispatch_next(d, 1000, &a), "no action");
	cr_assert_eq(a.what, SQ_DISPATCH_SETTLE);
	cr_assert_eq(a.item, item);
	cr_assert_eq(a.end, end);
}

static void
expect_nothing(void)
{
	struct sq_dispatch_action a;

	cr_assert_not(sq_dispatch_next(d, 1000, &a), "action %d", (int)a.what);
}

static bool
say(unsigned i, enum sq_dispatch_outcome outcome)
{
	return sq_dispatch_outcome(d, &items[i], outcome, 0, 1000);
}

Test(dispatch, a_lane_goes_to_one_grant_at_a_time)
{
	struct sq_dispatch_grant one = {.n = 2, .bytes = 1000}, two = {.n = 9, .bytes = 1000};

	take("aaab");
	sq_dispatch_grant(d, &one);
	sq_dispatch_grant(d, &two);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_HAND, &items[1]);
	expect(SQ_DISPATCH_SERVED, NULL);
	expect(SQ_DISPATCH_HAND, &items[3]);
	expect(SQ_DISPATCH_SERVED, NULL);
	expect_nothing();
	cr_assert(say(0, SQ_DISPATCH_OK));
	expect_end(&items[0], SQ_DISPATCH_DONE);
	sq_dispatch_grant(d, &one);
	expect_nothing();
	cr_assert(say(1, SQ_DISPATCH_OK));
	expect_end(&items[1], SQ_DISPATCH_DONE);
	expect(SQ_DISPATCH_HAND, &items[2]);
	expect(SQ_DISPATCH_SERVED, NULL);
}

Test(dispatch, what_a_consumer_has_from_before_holds_up_its_lane)
{
	struct sq_dispatch_grant g = {.n = 9, .bytes = 1000};

	d = sq_dispatch_new(&cfg);
	items[1] = (struct sq_dispatch_item){.seq = 2, .key = 'a', .bytes = 100, .attempts = 1};
	sq_dispatch_adopt(d, &items[1], 2000);
	cr_assert_eq(sq_dispatch_sums(d).out, 1);
	cr_assert_eq(sq_dispatch_due_ms(d), 2000);
	for (unsigned i = 0; i < 4; i++) {
		if (i == 1)
			continue;
		items[i] = (struct sq_dispatch_item){
		    .seq = i + 1, .key = i == 3 ? 'b' : 'a', .bytes = 100};
		sq_dispatch_take(d, &items[i]);
	}
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[3]);
	expect(SQ_DISPATCH_SERVED, NULL);
	sq_dispatch_grant(d, &g);
	expect_nothing();
	cr_assert(say(1, SQ_DISPATCH_OK));
	expect_end(&items[1], SQ_DISPATCH_DONE);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_HAND, &items[2]);
}

Test(dispatch, what_a_consumer_has_from_before_comes_to_its_time)
{
	d = sq_dispatch_new(&cfg);
	items[0] = (struct sq_dispatch_item){.seq = 1, .key = 'a', .bytes = 100, .attempts = 1};
	sq_dispatch_adopt(d, &items[0], 1000);
	sq_dispatch_tick(d, 999);
	expect_nothing();
	sq_dispatch_tick(d, 1000);
	expect(SQ_DISPATCH_TRY, &items[0]);
	cr_assert_eq(items[0].attempts, 2);
	cr_assert(items[0].overdue);
}

Test(dispatch, what_nobody_has_may_be_taken_back)
{
	struct sq_dispatch_grant g = {.n = 1, .bytes = 1000};

	take("aabb");
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_SERVED, NULL);
	cr_assert(say(0, SQ_DISPATCH_LATER));
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_SERVED, NULL);
	cr_assert_not(sq_dispatch_release(d, &items[0]), "it is out");
	cr_assert(sq_dispatch_release(d, &items[1]));
	cr_assert(sq_dispatch_release(d, &items[2]));
	expect_end(&items[1], SQ_DISPATCH_BACK);
	expect_end(&items[2], SQ_DISPATCH_BACK);
	cr_assert(say(0, SQ_DISPATCH_FAILED));
	expect(SQ_DISPATCH_TRY, &items[0]);
	cr_assert_not(sq_dispatch_release(d, &items[0]), "its attempt is not durable");
	sq_dispatch_tried(d, &items[0], 1000);
	cr_assert_eq(items[0].state, SQ_DISPATCH_WAITING);
	cr_assert(sq_dispatch_release(d, &items[0]));
	expect_end(&items[0], SQ_DISPATCH_BACK);
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[3]);
	cr_assert_eq(sq_dispatch_sums(d).held, 0);
}

Test(dispatch, other_settings_count_from_then_on)
{
	struct sq_dispatch_grant g = {.n = 1, .bytes = 1000};

	take("a");
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_SERVED, NULL);
	cfg.max_attempts = 1;
	sq_dispatch_configure(d, &cfg);
	cr_assert(say(0, SQ_DISPATCH_FAILED));
	expect_end(&items[0], SQ_DISPATCH_ATTEMPTS);
}

Test(dispatch, one_at_a_time_is_one_of_all_lanes)
{
	struct sq_dispatch_grant one = {.n = 9, .bytes = 1000};

	cfg.order = SQ_DISPATCH_STRICT;
	take("ab");
	sq_dispatch_grant(d, &one);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_SERVED, NULL);
	sq_dispatch_grant(d, &one);
	expect_nothing();
	cr_assert(say(0, SQ_DISPATCH_OK));
	expect_end(&items[0], SQ_DISPATCH_DONE);
	expect(SQ_DISPATCH_HAND, &items[1]);
}

Test(dispatch, a_failure_is_durable_and_then_waits_longer_each_time)
{
	static const uint64_t waits[] = {100, 200};
	struct sq_dispatch_grant g = {.n = 1, .bytes = 1000};

	take("aa");
	for (unsigned i = 0; i < 2; i++) {
		sq_dispatch_grant(d, &g);
		expect(SQ_DISPATCH_HAND, &items[0]);
		expect(SQ_DISPATCH_SERVED, NULL);
		cr_assert(say(0, SQ_DISPATCH_FAILED));
		expect(SQ_DISPATCH_TRY, &items[0]);
		cr_assert_eq(items[0].attempts, i + 1);
		cr_assert_not(say(0, SQ_DISPATCH_OK), "it is not its consumer's any more");
		sq_dispatch_tried(d, &items[0], 1000);
		cr_assert_eq(sq_dispatch_count(d).stuck, 1u, "the second of its lane stands");
		cr_assert_eq(sq_dispatch_due_ms(d), 1000 + waits[i]);
		sq_dispatch_tick(d, 1000 + waits[i] - 1);
		cr_assert_eq(items[0].state, SQ_DISPATCH_WAITING);
		sq_dispatch_tick(d, 1000 + waits[i]);
		expect_nothing();
	}
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_SERVED, NULL);
	cr_assert(say(0, SQ_DISPATCH_FAILED));
	expect_end(&items[0], SQ_DISPATCH_ATTEMPTS);
	cr_assert_eq(items[0].attempts, 3u);
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[1]);
}

Test(dispatch, what_blocks_stays_until_it_is_let_go)
{
	struct sq_dispatch_grant g = {.n = 1, .bytes = 1000};

	cfg.blocks = true;
	cfg.max_attempts = 1;
	take("aa");
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_SERVED, NULL);
	cr_assert(say(0, SQ_DISPATCH_FAILED));
	expect(SQ_DISPATCH_TRY, &items[0]);
	sq_dispatch_tried(d, &items[0], 1000);
	sq_dispatch_grant(d, &g);
	sq_dispatch_tick(d, UINT64_MAX);
	expect_nothing();
	sq_dispatch_unblock(d, &items[0]);
	expect(SQ_DISPATCH_HAND, &items[0]);
}

Test(dispatch, a_consumer_knows_better_how_many_attempts_there_are)
{
	struct sq_dispatch_grant g = {.n = 2, .bytes = 1000};

	cfg.max_attempts = 1;
	take("ab");
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_HAND, &items[1]);
	expect(SQ_DISPATCH_SERVED, NULL);
	cr_assert(say(0, SQ_DISPATCH_AGAIN));
	expect(SQ_DISPATCH_TRY, &items[0]);
	sq_dispatch_tried(d, &items[0], 1000);
	sq_dispatch_tick(d, 1100);
	cfg.max_attempts = 0;
	sq_dispatch_configure(d, &cfg);
	cr_assert(say(1, SQ_DISPATCH_LAST));
	expect_end(&items[1], SQ_DISPATCH_ATTEMPTS);
	cr_assert_eq(items[1].attempts, 1u);
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
}

Test(dispatch, the_last_attempt_blocks_where_that_is_asked_for)
{
	struct sq_dispatch_grant g = {.n = 1, .bytes = 1000};

	cfg.blocks = true;
	take("aa");
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_SERVED, NULL);
	cr_assert(say(0, SQ_DISPATCH_LAST));
	expect(SQ_DISPATCH_TRY, &items[0]);
	sq_dispatch_tried(d, &items[0], 1000);
	cr_assert_eq(items[0].state, SQ_DISPATCH_BLOCKED);
	sq_dispatch_unblock(d, &items[0]);
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
}

/* A new item, as of later. */
static void
take_more(unsigned i, char key)
{
	items[i] = (struct sq_dispatch_item){.seq = i + 1, .key = (uint64_t)key, .bytes = 100};
	sq_dispatch_take(d, &items[i]);
}

static void
expect_served(uint64_t now_ms, const struct sq_dispatch_grant *g)
{
	struct sq_dispatch_action a;

	cr_assert(sq_dispatch_next(d, now_ms, &a) && a.what == SQ_DISPATCH_SERVED);
	cr_assert_eq(a.grant, g);
}

Test(dispatch, a_grant_lingers_for_more_of_its_lanes_and_others)
{
	struct sq_dispatch_grant g = {.n = 4, .bytes = 1000, .linger_ms = 50};
	struct sq_dispatch_grant next = {.n = 4, .bytes = 1000};

	take("");
	sq_dispatch_grant(d, &g);
	sq_dispatch_grant(d, &next);
	cr_assert_eq(sq_dispatch_due_ms(d), UINT64_MAX, "it has nothing");
	take_more(0, 'a');
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect_nothing();
	cr_assert_eq(sq_dispatch_due_ms(d), 1050u);
	cr_assert_eq(sq_dispatch_demand(d), 3u, "as many as may be out");
	take_more(1, 'b');
	take_more(2, 'a');
	expect(SQ_DISPATCH_HAND, &items[1]);
	expect(SQ_DISPATCH_HAND, &items[2]);
	expect_nothing();
	expect_served(1050, &g);
	take_more(3, 'a');
	take_more(4, 'c');
	expect(SQ_DISPATCH_HAND, &items[4]);
	expect_served(1050, &next);
}

Test(dispatch, a_grant_that_is_full_does_not_linger)
{
	struct sq_dispatch_grant n = {.n = 1, .bytes = 1000, .linger_ms = 50};
	struct sq_dispatch_grant bytes = {.n = 9, .bytes = 150, .linger_ms = 50};

	take("abc");
	sq_dispatch_grant(d, &n);
	sq_dispatch_grant(d, &bytes);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect_served(1000, &n);
	expect(SQ_DISPATCH_HAND, &items[1]);
	expect_served(1000, &bytes);
}

Test(dispatch, what_expires_while_its_grant_lingers_is_not_handed_out)
{
	struct sq_dispatch_grant g = {.n = 4, .bytes = 1000, .linger_ms = 50};
	struct sq_dispatch_action a;

	take("aab");
	items[1].expires_ms = 1050;
	sq_dispatch_grant(d, &g);
	for (unsigned i = 0; i < 3; i++)
		expect(SQ_DISPATCH_HAND, &items[i]);
	expect_nothing();
	cr_assert(sq_dispatch_next(d, 1050, &a) && a.what == SQ_DISPATCH_SETTLE);
	cr_assert(a.item == &items[1] && a.end == SQ_DISPATCH_EXPIRED);
	expect_served(1050, &g);
	cr_assert_eq(sq_dispatch_count(d).out, 2u);
	cr_assert_eq(sq_dispatch_demand(d), 0u);
}

Test(dispatch, a_grant_of_which_all_has_expired_waits_on)
{
	struct sq_dispatch_grant g = {.n = 2, .bytes = 1000, .linger_ms = 50};
	struct sq_dispatch_action a;

	take("a");
	items[0].expires_ms = 1010;
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
	cr_assert(sq_dispatch_next(d, 1050, &a) && a.what == SQ_DISPATCH_SETTLE);
	cr_assert_not(sq_dispatch_next(d, 1050, &a));
	cr_assert_eq(sq_dispatch_demand(d), 2u);
	take_more(1, 'a');
	expect(SQ_DISPATCH_HAND, &items[1]);
	expect_served(1051, &g);
}

Test(dispatch, a_lane_goes_on_behind_what_has_expired_in_a_grant)
{
	struct sq_dispatch_grant g = {.n = 2, .bytes = 1000, .linger_ms = 50};
	struct sq_dispatch_action a;

	take("a");
	items[0].expires_ms = 1010;
	items[1] = (struct sq_dispatch_item){.seq = 2, .key = 'a', .bytes = 100, .attempts = 1};
	sq_dispatch_take_later(d, &items[1], 1100);
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
	cr_assert(sq_dispatch_next(d, 1050, &a) && a.what == SQ_DISPATCH_SETTLE);
	expect_nothing();
	sq_dispatch_tick(d, 1100);
	expect(SQ_DISPATCH_HAND, &items[1]);
}

Test(dispatch, what_a_revoked_grant_has_taken_is_free)
{
	struct sq_dispatch_grant g = {.n = 4, .bytes = 1000, .linger_ms = 50};
	struct sq_dispatch_grant next = {.n = 3, .bytes = 1000};

	take("aab");
	sq_dispatch_grant(d, &g);
	for (unsigned i = 0; i < 3; i++)
		expect(SQ_DISPATCH_HAND, &items[i]);
	expect_nothing();
	sq_dispatch_revoke(d, &g);
	cr_assert_eq(sq_dispatch_count(d).out, 0u);
	cr_assert_eq(sq_dispatch_due_ms(d), UINT64_MAX);
	sq_dispatch_grant(d, &next);
	for (unsigned i = 0; i < 3; i++)
		expect(SQ_DISPATCH_HAND, &items[i]);
	expect_served(1000, &next);
}

/* One that was away comes back to its place in front of what a grant has taken. */
Test(dispatch, a_grant_that_lingers_leaves_a_lane_that_has_a_hole)
{
	struct sq_dispatch_grant g = {.n = 4, .bytes = 1000, .linger_ms = 50};

	take("");
	sq_dispatch_grant(d, &g);
	take_more(1, 'a');
	expect(SQ_DISPATCH_HAND, &items[1]);
	take_more(0, 'a');
	take_more(2, 'a');
	take_more(3, 'b');
	expect(SQ_DISPATCH_HAND, &items[3]);
	expect_nothing();
	expect_served(1050, &g);
	cr_assert(say(1, SQ_DISPATCH_OK));
	expect_end(&items[1], SQ_DISPATCH_DONE);
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_HAND, &items[2]);
}

Test(dispatch, an_item_may_begin_with_a_wait)
{
	struct sq_dispatch_grant g = {.n = 2, .bytes = 1000};

	take("");
	items[0] = (struct sq_dispatch_item){.seq = 1, .key = 'a', .bytes = 100, .attempts = 1};
	sq_dispatch_take_later(d, &items[0], 1020);
	take_more(1, 'a');
	sq_dispatch_grant(d, &g);
	expect_nothing();
	cr_assert_eq(sq_dispatch_due_ms(d), 1020u);
	cr_assert_eq(sq_dispatch_count(d).stuck, 1u);
	sq_dispatch_tick(d, 1020);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_HAND, &items[1]);
}

Test(dispatch, a_lease_ends_and_its_consumer_may_still_be_in_time)
{
	struct sq_dispatch_grant g = {.n = 2, .bytes = 1000, .lease_ms = 50};

	take("ab");
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_HAND, &items[1]);
	expect(SQ_DISPATCH_SERVED, NULL);
	cr_assert(sq_dispatch_extend(d, &items[1], 1100));
	sq_dispatch_tick(d, 1050);
	expect(SQ_DISPATCH_TRY, &items[0]);
	cr_assert_not(sq_dispatch_extend(d, &items[0], 2000));
	cr_assert_not(say(0, SQ_DISPATCH_FAILED), "that counts already");
	cr_assert(say(0, SQ_DISPATCH_OK), "its attempt is not durable yet");
	expect_end(&items[0], SQ_DISPATCH_DONE);
	sq_dispatch_tick(d, 1100);
	expect(SQ_DISPATCH_TRY, &items[1]);
	sq_dispatch_tried(d, &items[1], 1100);
	cr_assert_not(say(1, SQ_DISPATCH_OK));
	cr_assert_eq(items[1].state, SQ_DISPATCH_FREE, "at once");
}

Test(dispatch, later_is_no_attempt_and_never_is_the_end)
{
	struct sq_dispatch_grant g = {.n = 2, .bytes = 1000};

	take("ab");
	sq_dispatch_grant(d, &g);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_HAND, &items[1]);
	expect(SQ_DISPATCH_SERVED, NULL);
	cr_assert(sq_dispatch_outcome(d, &items[0], SQ_DISPATCH_LATER, 7, 1000));
	cr_assert_eq(items[0].attempts, 0u);
	cr_assert_eq(sq_dispatch_due_ms(d), 1007u);
	cr_assert(say(1, SQ_DISPATCH_NEVER));
	expect_end(&items[1], SQ_DISPATCH_REFUSED);
	expect_nothing();
}

Test(dispatch, what_has_expired_is_not_handed_out)
{
	struct sq_dispatch_grant g = {.n = 2, .bytes = 1000};

	take("ab");
	items[0].expires_ms = 1000;
	items[1].expires_ms = 1001;
	expect_nothing();
	sq_dispatch_grant(d, &g);
	expect_end(&items[0], SQ_DISPATCH_EXPIRED);
	expect(SQ_DISPATCH_HAND, &items[1]);
}

Test(dispatch, a_grant_has_its_bytes_and_one_of_any_size)
{
	struct sq_dispatch_grant small = {.n = 9, .bytes = 10}, two = {.n = 9, .bytes = 250};

	take("abcd");
	sq_dispatch_grant(d, &small);
	expect(SQ_DISPATCH_HAND, &items[0]);
	expect(SQ_DISPATCH_SERVED, NULL);
	sq_dispatch_grant(d, &two);
	expect(SQ_DISPATCH_HAND, &items[1]);
	expect(SQ_DISPATCH_HAND, &items[2]);
	expect(SQ_DISPATCH_SERVED, NULL);
}

Test(dispatch, it_asks_for_what_it_can_hand_out)
{
	struct sq_dispatch_grant g = {.n = 5, .bytes = 1000}, more = {.n = 99, .bytes = 9999};

	take("a");
	cr_assert_eq(sq_dispatch_demand(d), 0u, "nobody waits");
	sq_dispatch_grant(d, &g);
	cr_assert_eq(sq_dispatch_demand(d), 4u, "one is here");
	sq_dispatch_grant(d, &more);
	cr_assert_eq(sq_dispatch_demand(d), 4u, "no more than may be out");
	sq_dispatch_revoke(d, &g);
	sq_dispatch_revoke(d, &more);
	cr_assert_eq(sq_dispatch_demand(d), 0u);
	expect_nothing();
	sq_dispatch_free(&d);

	cfg.held_max = 2;
	take("aa");
	sq_dispatch_grant(d, &more);
	cr_assert_eq(sq_dispatch_demand(d), 0u, "no more than may wait here");
	sq_dispatch_free(&d);

	cfg.order = SQ_DISPATCH_NONE;
	take("ab");
	expect_end(&items[0], SQ_DISPATCH_BACK);
	expect_end(&items[1], SQ_DISPATCH_BACK);
	expect_nothing();
	cr_assert_eq(sq_dispatch_count(d).held, 0u);
}

Test(dispatch, jitter_stays_between_half_and_all)
{
	struct sq_dispatch_grant g = {.n = 1, .bytes = 1000};
	uint64_t least = UINT64_MAX, most = 0;

	cfg.retry.jitter = true;
	cfg.max_attempts = 0;
	cfg.retry.factor = 1;
	take("a");
	for (unsigned i = 0; i < 300; i++) {
		uint64_t due;

		sq_dispatch_grant(d, &g);
		expect(SQ_DISPATCH_HAND, &items[0]);
		expect(SQ_DISPATCH_SERVED, NULL);
		cr_assert(say(0, SQ_DISPATCH_FAILED));
		expect(SQ_DISPATCH_TRY, &items[0]);
		sq_dispatch_tried(d, &items[0], 0);
		due = sq_dispatch_due_ms(d);
		least = due < least ? due : least;
		most = due > most ? due : most;
		sq_dispatch_tick(d, due);
	}
	cr_assert(least >= 50 && most <= 100, "%u %u", (unsigned)least, (unsigned)most);
	cr_assert(least < 60 && most > 90, "%u %u", (unsigned)least, (unsigned)most);
}
