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
