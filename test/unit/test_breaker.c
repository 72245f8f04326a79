/* The breaker and the rate of push, by a clock that is told. */
#include <criterion/criterion.h>

#include "broker/push/breaker.h"
#include "broker/push/rate.h"
#include "core/mem.h"

static const struct sq_breaker_cfg cfg = {.failures = 5, .probe_ms = 100, .max_ms = 350};

struct world {
	struct sq_breakers *all;
	struct sq_breaker *b;
};

static struct world
world_new(void)
{
	struct world w = {.all = sq_breakers_new()};

	w.b = sq_breaker_get(w.all, "https://a:443");
	return w;
}

static void
world_end(struct world *w)
{
	sq_breaker_put(w->all, &w->b);
	sq_breakers_free(&w->all);
}

static int
tell(struct world *w, bool healthy, uint64_t now_ms)
{
	return sq_breaker_tell(w->b, &cfg, healthy, false, now_ms);
}

static void
open_it(struct world *w, uint64_t now_ms)
{
	for (int i = 0; i < 4; i++)
		cr_assert_eq(tell(w, false, now_ms), -1);
	cr_assert_eq(tell(w, false, now_ms), SQ_BREAKER_OPEN);
}

Test(breaker, opens_after_failures_in_a_row)
{
	struct world w = world_new();
	uint64_t until = 0;
	bool probe;

	for (int i = 0; i < 4; i++)
		cr_assert_eq(tell(&w, false, 1000), -1);
	cr_assert_eq(tell(&w, true, 1000), -1);
	open_it(&w, 1000);
	cr_assert_eq(sq_breaker_state(w.b), SQ_BREAKER_OPEN);
	cr_assert_not(sq_breaker_pass(w.b, &cfg, 1099, &probe, &until));
	cr_assert_eq(until, 1100);
	cr_assert_not(sq_breaker_may(w.b, 1099, &until));
	cr_assert(sq_breaker_may(w.b, 1100, &until));
	cr_assert_eq(sq_breaker_state(w.b), SQ_BREAKER_OPEN); /* may() takes nothing */
	world_end(&w);
}

Test(breaker, opens_when_half_of_the_last_twenty_failed)
{
	struct world w = world_new();
	int opened = -1;

	for (int i = 0; i < 19; i++)
		cr_assert_eq(tell(&w, i % 2 != 0, 1000), -1);
	opened = tell(&w, false, 1000); /* the 20th: 11 have failed */
	cr_assert_eq(opened, SQ_BREAKER_OPEN);
	world_end(&w);
}

Test(breaker, stays_closed_below_half)
{
	struct world w = world_new();

	for (int i = 0; i < 200; i++)
		cr_assert_eq(tell(&w, i % 3 != 0, 1000), -1);
	cr_assert_eq(sq_breaker_state(w.b), SQ_BREAKER_CLOSED);
	world_end(&w);
}

Test(breaker, one_probe_at_a_time_closes_it)
{
	struct world w = world_new();
	uint64_t until = 0;
	bool probe;

	open_it(&w, 1000);
	cr_assert(sq_breaker_pass(w.b, &cfg, 1100, &probe, &until));
	cr_assert(probe);
	cr_assert_eq(sq_breaker_state(w.b), SQ_BREAKER_HALF);
	cr_assert_not(sq_breaker_pass(w.b, &cfg, 1100, &probe, &until));
	cr_assert_not(probe);
	cr_assert_gt(until, 1100);
	cr_assert_eq(tell(&w, true, 1100), -1); /* one from before it opened */
	cr_assert_eq(sq_breaker_tell(w.b, &cfg, true, true, 1150), SQ_BREAKER_CLOSED);
	cr_assert(sq_breaker_pass(w.b, &cfg, 1150, &probe, &until));
	cr_assert_not(probe);
	world_end(&w);
}

Test(breaker, a_failed_probe_doubles_the_pause_up_to_the_longest)
{
	static const uint64_t pauses[] = {100, 200, 350, 350};
	struct world w = world_new();
	uint64_t now = 1000, until = 0;
	bool probe;

	open_it(&w, now);
	for (size_t i = 0; i < SQ_ARRAY_LEN(pauses); i++) {
		cr_assert_not(sq_breaker_pass(w.b, &cfg, now + pauses[i] - 1, &probe, &until));
		cr_assert_eq(until, now + pauses[i]);
		now += pauses[i];
		cr_assert(sq_breaker_pass(w.b, &cfg, now, &probe, &until));
		cr_assert(probe);
		cr_assert_eq(sq_breaker_tell(w.b, &cfg, false, true, now), SQ_BREAKER_OPEN);
	}
	now += 350;
	cr_assert(sq_breaker_pass(w.b, &cfg, now, &probe, &until));
	cr_assert_eq(sq_breaker_tell(w.b, &cfg, true, true, now), SQ_BREAKER_CLOSED);
	open_it(&w, now); /* and begins anew */
	cr_assert_not(sq_breaker_may(w.b, now, &until));
	cr_assert_eq(until, now + 100);
	world_end(&w);
}

Test(breaker, a_probe_that_was_not_sent_is_another_ones)
{
	struct world w = world_new();
	uint64_t until = 0;
	bool probe;

	open_it(&w, 1000);
	cr_assert(sq_breaker_pass(w.b, &cfg, 1100, &probe, &until));
	sq_breaker_unprobed(w.b);
	cr_assert(sq_breaker_pass(w.b, &cfg, 1100, &probe, &until));
	cr_assert(probe);
	world_end(&w);
}

Test(breaker, queues_share_that_of_an_origin)
{
	struct world w = world_new();
	struct sq_breaker *same = sq_breaker_get(w.all, "https://a:443");
	struct sq_breaker *other = sq_breaker_get(w.all, "https://b:443");

	cr_assert_eq(same, w.b);
	cr_assert_neq(other, w.b);
	open_it(&w, 1000);
	cr_assert_eq(sq_breaker_state(same), SQ_BREAKER_OPEN);
	cr_assert_eq(sq_breaker_state(other), SQ_BREAKER_CLOSED);
	sq_breaker_put(w.all, &same);
	sq_breaker_put(w.all, &other);
	cr_assert_eq(sq_breaker_state(w.b), SQ_BREAKER_OPEN);
	world_end(&w);
}

/* How many go in 'ms', asked each 'step'. */
static unsigned
went(struct sq_rate *r, uint64_t from_ms, uint64_t ms, uint64_t step)
{
	unsigned n = 0;

	for (uint64_t t = from_ms; t < from_ms + ms; t += step) {
		while (sq_rate_may(r, t) > 0) {
			sq_rate_take(r);
			n++;
		}
	}
	return n;
}

Test(rate, lets_so_many_go_in_a_time)
{
	struct sq_rate r = {0};

	sq_rate_set(&r, 100, 1000, 1000);
	cr_assert_eq(sq_rate_may(&r, 1000), 20); /* a fifth of a second's */
	cr_assert_eq(went(&r, 1000, 10000, 100), 20 + 990);
}

Test(rate, one_in_a_long_time)
{
	struct sq_rate r = {0};

	sq_rate_set(&r, 2, 60000, 1000);
	cr_assert_eq(sq_rate_may(&r, 1000), 1);
	sq_rate_take(&r);
	cr_assert_eq(sq_rate_may(&r, 1000), 0);
	cr_assert_eq(sq_rate_next_ms(&r), 31000);
	cr_assert_eq(sq_rate_may(&r, 30999), 0);
	cr_assert_eq(sq_rate_may(&r, 31000), 1);
	cr_assert_eq(sq_rate_may(&r, UINT64_MAX / 2), 1); /* it saves nothing up */
}

Test(rate, none_is_any_number)
{
	struct sq_rate r = {0};

	sq_rate_set(&r, 0, 1000, 1000);
	cr_assert_eq(sq_rate_may(&r, 1000), UINT32_MAX);
	sq_rate_take(&r);
	cr_assert_eq(sq_rate_may(&r, 1000), UINT32_MAX);
}

Test(rate, the_same_again_stays_as_it_is)
{
	struct sq_rate r = {0};

	sq_rate_set(&r, 1, 1000, 1000);
	sq_rate_take(&r);
	sq_rate_set(&r, 1, 1000, 1100);
	cr_assert_eq(sq_rate_may(&r, 1100), 0);
	sq_rate_set(&r, 5, 1000, 1100);
	cr_assert_eq(sq_rate_may(&r, 1100), 1);
}
