/* proto/reconnect: each way of a link's life, and a day of many in a moment. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "proto/reconnect/reconnect.h"

#define T0 UINT64_C(1000000)

static const struct sq_reconnect_cfg cfg = {
    .backoff_min_ms = 100,
    .backoff_max_ms = 6000,
    .stable_ms = 1000,
    .dial_timeout_ms = 3000,
    .probe_after_ms = 5000,
    .drop_after_ms = 10000,
    .max_age_ms = 400000,
    .drain_ms = 30000,
    .retry_after_max_ms = 60000,
};

static struct sq_reconnect *
machine(uint64_t seed)
{
	return sq_reconnect_new(&cfg, seed, T0);
}

/* Ticks at the deadline, which becomes '*now', and asserts what comes. */
static void
expect(struct sq_reconnect *r, uint64_t *now, enum sq_reconnect_action want)
{
	uint64_t at = sq_reconnect_deadline(r);

	if (at > *now) {
		cr_assert_eq(sq_reconnect_step(r, SQ_RECONNECT_TICK, at - 1), SQ_RECONNECT_WAIT);
		*now = at;
	}
	cr_assert_eq(sq_reconnect_step(r, SQ_RECONNECT_TICK, *now), want, "in state %s",
	    sq_reconnect_state(r));
}

static struct sq_reconnect *
up(uint64_t *now)
{
	struct sq_reconnect *r = machine(1);

	*now = T0;
	expect(r, now, SQ_RECONNECT_DIAL);
	cr_assert(!sq_reconnect_usable(r));
	cr_assert_eq(sq_reconnect_step(r, SQ_RECONNECT_UP, *now), SQ_RECONNECT_WAIT);
	cr_assert(sq_reconnect_usable(r));
	return r;
}

Test(reconnect, first_dial_is_at_once_and_times_out)
{
	struct sq_reconnect *r = machine(1);
	uint64_t now = T0;

	cr_assert_eq(sq_reconnect_deadline(r), T0);
	expect(r, &now, SQ_RECONNECT_DIAL);
	expect(r, &now, SQ_RECONNECT_DROP);
	cr_assert_eq(now, T0 + cfg.dial_timeout_ms);
	cr_assert_eq(sq_reconnect_step(r, SQ_RECONNECT_DOWN, now), SQ_RECONNECT_WAIT);
	cr_assert_eq(sq_reconnect_failures(r), 1, "the DOWN of our own drop does not count");
	expect(r, &now, SQ_RECONNECT_DIAL);
	sq_reconnect_free(&r);
	cr_assert_null(r);
}

/* The wait after 'failures' failures in a row, for a machine with 'seed'. */
static uint64_t
wait_after(uint64_t seed, unsigned failures)
{
	struct sq_reconnect *r = machine(seed);
	uint64_t now = T0, wait;

	for (unsigned i = 0; i < failures; i++) {
		expect(r, &now, SQ_RECONNECT_DIAL);
		sq_reconnect_step(r, SQ_RECONNECT_DOWN, now);
	}
	wait = sq_reconnect_deadline(r) - now;
	sq_reconnect_free(&r);
	return wait;
}

Test(reconnect, backoff_has_full_jitter_below_a_doubling_bound)
{
	static const uint64_t bounds[] = {100, 200, 400, 800, 1600, 3200, 6000, 6000, 6000};

	for (unsigned f = 1; f <= 9; f++) {
		uint64_t sum = 0, low = UINT64_MAX, high = 0;

		for (uint64_t seed = 0; seed < 2000; seed++) {
			uint64_t wait = wait_after(seed, f);

			cr_assert_leq(wait, bounds[f - 1]);
			sum += wait;
			low = wait < low ? wait : low;
			high = wait > high ? wait : high;
		}
		/* Spread over the whole range, with its middle in the middle. */
		cr_assert_leq(low, bounds[f - 1] / 50);
		cr_assert_geq(high, bounds[f - 1] - bounds[f - 1] / 50);
		cr_assert_leq(llabs((long long)(sum / 2000) - (long long)bounds[f - 1] / 2),
		    (long long)bounds[f - 1] / 20);
	}
}

Test(reconnect, a_stable_link_resets_the_backoff_and_a_flapping_one_does_not)
{
	struct sq_reconnect *r = machine(3);
	uint64_t now = T0;

	for (unsigned i = 1; i <= 5; i++) {
		expect(r, &now, SQ_RECONNECT_DIAL);
		sq_reconnect_step(r, SQ_RECONNECT_UP, now);
		now += cfg.stable_ms - 1;
		sq_reconnect_step(r, SQ_RECONNECT_DOWN, now);
		cr_assert_eq(sq_reconnect_failures(r), i);
	}
	expect(r, &now, SQ_RECONNECT_DIAL);
	sq_reconnect_step(r, SQ_RECONNECT_UP, now);
	now += cfg.stable_ms;
	sq_reconnect_step(r, SQ_RECONNECT_DOWN, now);
	cr_assert_eq(sq_reconnect_failures(r), 1);
	cr_assert_leq(sq_reconnect_deadline(r) - now, cfg.backoff_min_ms);
	sq_reconnect_free(&r);
}

Test(reconnect, silence_is_probed_then_dropped)
{
	uint64_t now, start;
	struct sq_reconnect *r = up(&now);

	start = now;
	expect(r, &now, SQ_RECONNECT_PROBE);
	cr_assert_eq(now, start + cfg.probe_after_ms);
	cr_assert(sq_reconnect_usable(r));
	expect(r, &now, SQ_RECONNECT_DROP);
	cr_assert_eq(now, start + cfg.drop_after_ms);
	cr_assert(!sq_reconnect_usable(r));
	cr_assert_eq(sq_reconnect_step(r, SQ_RECONNECT_HEARD, now), SQ_RECONNECT_WAIT);
	cr_assert(!sq_reconnect_usable(r), "a late byte does not revive it");
	expect(r, &now, SQ_RECONNECT_DIAL);
	sq_reconnect_free(&r);
}

Test(reconnect, an_answer_ends_the_probe)
{
	uint64_t now;
	struct sq_reconnect *r = up(&now);

	for (int i = 0; i < 3; i++) {
		expect(r, &now, SQ_RECONNECT_PROBE);
		now += 100;
		sq_reconnect_step(r, SQ_RECONNECT_HEARD, now);
		cr_assert_eq(sq_reconnect_deadline(r), now + cfg.probe_after_ms);
	}
	sq_reconnect_free(&r);
}

Test(reconnect, a_stopped_process_asks_before_it_judges)
{
	uint64_t now;
	struct sq_reconnect *r = up(&now);

	now += 60000; /* SIGSTOP, a suspended machine */
	expect(r, &now, SQ_RECONNECT_PROBE);
	cr_assert_eq(sq_reconnect_deadline(r), now + cfg.drop_after_ms - cfg.probe_after_ms);
	sq_reconnect_step(r, SQ_RECONNECT_HEARD, now + 1);
	cr_assert(sq_reconnect_usable(r));
	sq_reconnect_free(&r);
}

Test(reconnect, an_old_link_drains_and_ends)
{
	uint64_t now, start, age;
	struct sq_reconnect *r = up(&now);

	start = now;
	for (;;) { /* a busy link: something is heard each second */
		enum sq_reconnect_action a = sq_reconnect_step(r, SQ_RECONNECT_TICK, now);

		sq_reconnect_step(r, SQ_RECONNECT_HEARD, now);
		if (a == SQ_RECONNECT_DRAIN)
			break;
		cr_assert_eq(a, SQ_RECONNECT_WAIT);
		now += 1000;
	}
	age = now - start;
	cr_assert(age >= cfg.max_age_ms * 3 / 4 && age <= cfg.max_age_ms + 1000);
	cr_assert(!sq_reconnect_usable(r));
	expect(r, &now, SQ_RECONNECT_PROBE);
	sq_reconnect_step(r, SQ_RECONNECT_HEARD, now);
	cr_assert_eq(sq_reconnect_step(r, SQ_RECONNECT_GOAWAY, now), SQ_RECONNECT_WAIT);
	cr_assert_eq(sq_reconnect_step(r, SQ_RECONNECT_DOWN, now), SQ_RECONNECT_WAIT);
	cr_assert_eq(sq_reconnect_deadline(r), UINT64_MAX);
	cr_assert_str_eq(sq_reconnect_state(r), "ended");
	cr_assert_eq(sq_reconnect_step(r, SQ_RECONNECT_TICK, now + 86400000), SQ_RECONNECT_WAIT);
	sq_reconnect_free(&r);
}

Test(reconnect, ages_of_links_that_came_together_differ)
{
	uint64_t first = 0;
	unsigned same = 0;

	for (uint64_t seed = 0; seed < 100; seed++) {
		struct sq_reconnect_cfg quiet = cfg;
		struct sq_reconnect *r;
		uint64_t now = T0;

		quiet.probe_after_ms = 1000000;
		quiet.drop_after_ms = 2000000;
		r = sq_reconnect_new(&quiet, seed, T0);
		expect(r, &now, SQ_RECONNECT_DIAL);
		sq_reconnect_step(r, SQ_RECONNECT_UP, now);
		if (seed == 0)
			first = sq_reconnect_deadline(r);
		same += sq_reconnect_deadline(r) == first;
		expect(r, &now, SQ_RECONNECT_DRAIN);
		sq_reconnect_free(&r);
	}
	cr_assert_leq(same, 2);
}

Test(reconnect, goaway_replaces_and_a_drain_without_end_is_dropped)
{
	uint64_t now, start;
	struct sq_reconnect *r = up(&now);

	cr_assert_eq(sq_reconnect_step(r, SQ_RECONNECT_GOAWAY, now), SQ_RECONNECT_DRAIN);
	start = now;
	for (;;) {
		enum sq_reconnect_action a = sq_reconnect_step(r, SQ_RECONNECT_TICK, now);

		if (a == SQ_RECONNECT_DROP)
			break;
		sq_reconnect_step(r, SQ_RECONNECT_HEARD, now);
		now += 500;
	}
	cr_assert_eq(now, start + cfg.drain_ms);
	cr_assert_str_eq(sq_reconnect_state(r), "ended");
	sq_reconnect_free(&r);
}

Test(reconnect, a_dead_peer_ends_a_drain_early)
{
	uint64_t now, start;
	struct sq_reconnect *r = up(&now);

	start = now;
	sq_reconnect_step(r, SQ_RECONNECT_GOAWAY, now);
	expect(r, &now, SQ_RECONNECT_PROBE);
	expect(r, &now, SQ_RECONNECT_DROP);
	cr_assert_eq(now, start + cfg.drop_after_ms);
	sq_reconnect_free(&r);
}

Test(reconnect, goaway_before_up_is_a_failed_dial)
{
	struct sq_reconnect *r = machine(1);
	uint64_t now = T0;

	cr_assert_eq(sq_reconnect_step(r, SQ_RECONNECT_GOAWAY, now), SQ_RECONNECT_WAIT);
	expect(r, &now, SQ_RECONNECT_DIAL);
	cr_assert_eq(sq_reconnect_step(r, SQ_RECONNECT_GOAWAY, now), SQ_RECONNECT_DROP);
	cr_assert_eq(sq_reconnect_failures(r), 1);
	expect(r, &now, SQ_RECONNECT_DIAL);
	sq_reconnect_free(&r);
}

Test(reconnect, retry_after_is_a_floor_with_a_ceiling)
{
	struct sq_reconnect *r = machine(1);
	uint64_t now = T0;

	/* Before the end of the dial that was refused. */
	expect(r, &now, SQ_RECONNECT_DIAL);
	sq_reconnect_retry_after(r, 20000);
	sq_reconnect_step(r, SQ_RECONNECT_DOWN, now);
	cr_assert_geq(sq_reconnect_deadline(r), now + 20000);
	cr_assert_leq(sq_reconnect_deadline(r), now + 20000 + cfg.backoff_min_ms);
	/* After it; a shorter one changes nothing. */
	expect(r, &now, SQ_RECONNECT_DIAL);
	sq_reconnect_step(r, SQ_RECONNECT_DOWN, now);
	cr_assert_leq(sq_reconnect_deadline(r), now + 200, "only for one backoff");
	sq_reconnect_retry_after(r, UINT64_MAX);
	cr_assert_geq(sq_reconnect_deadline(r), now + cfg.retry_after_max_ms);
	cr_assert_leq(sq_reconnect_deadline(r), now + cfg.retry_after_max_ms + 200);
	sq_reconnect_retry_after(r, 1);
	cr_assert_geq(sq_reconnect_deadline(r), now + cfg.retry_after_max_ms);
	sq_reconnect_free(&r);
}

/* A thousand links whose broker dies at noon: they come back spread. */
Test(reconnect, a_storm_is_spread_over_the_backoff)
{
	enum { LINKS = 1000, SLOTS = 10 };
	unsigned slots[SLOTS] = {0};

	for (uint64_t seed = 0; seed < LINKS; seed++) {
		uint64_t wait = wait_after(seed * 77, 7);

		slots[wait * SLOTS / (cfg.backoff_max_ms + 1)]++;
	}
	for (int i = 0; i < SLOTS; i++)
		cr_assert(slots[i] > LINKS / SLOTS / 2 && slots[i] < LINKS / SLOTS * 2,
		    "slot %d: %u", i, slots[i]);
}

/* What the world does to a link in the replay. */
struct world {
	struct sq_reconnect *r;
	uint64_t now, dials, drops, drains, probes, up_time;
	bool open; /* the socket */
};

static void
world_act(struct world *w, enum sq_reconnect_action a)
{
	switch (a) {
	case SQ_RECONNECT_WAIT:
		return;
	case SQ_RECONNECT_DIAL:
		cr_assert(!w->open, "never two sockets");
		w->open = true;
		w->dials++;
		return;
	case SQ_RECONNECT_PROBE:
		cr_assert(w->open);
		w->probes++;
		return;
	case SQ_RECONNECT_DRAIN:
		cr_assert(w->open);
		w->drains++;
		return;
	case SQ_RECONNECT_DROP:
		cr_assert(w->open);
		w->open = false;
		w->drops++;
		return;
	}
}

static void
world_event(struct world *w)
{
	bool dialing = w->open && sq_reconnect_state(w->r)[0] == 'd' &&
	    sq_reconnect_state(w->r)[1] == 'i';
	int dice = rand() % 100;

	if (dialing && dice < 60) {
		world_act(w, sq_reconnect_step(w->r, SQ_RECONNECT_UP, w->now));
	} else if (w->open && dice < 3) {
		w->open = false;
		world_act(w, sq_reconnect_step(w->r, SQ_RECONNECT_DOWN, w->now));
	} else if (w->open && dice < 4) {
		world_act(w, sq_reconnect_step(w->r, SQ_RECONNECT_GOAWAY, w->now));
	} else if (w->open && dice < 50) {
		world_act(w, sq_reconnect_step(w->r, SQ_RECONNECT_HEARD, w->now));
	}
}

Test(reconnect, a_day_of_faults_never_gets_stuck)
{
	struct world w = {.now = T0};
	uint64_t machines = 1;

	srand(42);
	w.r = machine(machines);
	while (w.now < T0 + 86400000) {
		uint64_t due = sq_reconnect_deadline(w.r), step = (uint64_t)rand() % 4000;

		if (due == UINT64_MAX) { /* drained: its owner goes on with a new one */
			cr_assert(!w.open);
			sq_reconnect_free(&w.r);
			w.r = sq_reconnect_new(&cfg, ++machines, w.now);
			continue;
		}
		cr_assert_leq(due, w.now + cfg.max_age_ms, "always something ahead");
		if (due <= w.now + step) {
			w.now = due > w.now ? due : w.now;
			world_act(&w, sq_reconnect_step(w.r, SQ_RECONNECT_TICK, w.now));
		} else {
			w.now += step;
			world_event(&w);
		}
		w.up_time += sq_reconnect_usable(w.r) ? step : 0;
	}
	cr_assert_gt(w.dials, 100);
	cr_assert_gt(w.drops, 100);
	cr_assert_gt(w.drains, 100);
	cr_assert_gt(w.probes, 100);
	cr_assert_gt(w.up_time, 86400000 / 2, "and is up for most of it");
	sq_reconnect_free(&w.r);
}
