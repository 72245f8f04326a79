/* Pacing: who publishes faster than his subscriber takes waits for his answer. */
#include "../support/broker_world.h"

enum { LIMIT = 16000, CREDIT = 1000, BATCH = 500 };

static struct world w;
static struct peer p, sub;

static void
setup(void)
{
	world_init(&w);
	w.cfg.queue_max_msgs = LIMIT;
	world_start(&w, 1);
	p = peer_new(&w, "s~w~publisher~pod");
	sub = peer_new(&w, "s~w~subscriber~pod");
	peer_connect(&p);
	peer_connect(&sub);
	cr_assert_eq(peer_subscribe(&sub, "t", 0), 0);
}

static void
teardown(void)
{
	world_stop(&w);
}

TestSuite(shard_pace, .init = setup, .fini = teardown);

static struct fake_call *
post(unsigned n)
{
	struct entry entries[BATCH];
	struct fake_call *c;

	for (unsigned i = 0; i < n; i++)
		entries[i] = (struct entry){.topic = "t", .payload = "x"};
	c = peer_post(&p, 0, entries, (uint16_t)n);
	world_run();
	return c;
}

/* Posts until an answer waits; returns that call. */
static struct fake_call *
post_until_paced(void)
{
	for (unsigned i = 0; i < LIMIT / BATCH; i++) {
		struct fake_call *c = post(BATCH);

		if (c->answers == 0)
			return c;
		call_expect(&c, 200);
	}
	cr_assert_fail("no answer ever waited");
	return NULL;
}

Test(shard_pace, who_is_kept_up_with_never_waits)
{
	for (unsigned i = 1; i <= 8; i++) {
		struct fake_call *c;

		cr_assert_eq(peer_credit(&sub, CREDIT * i, UINT32_MAX), 204);
		c = post(BATCH);
		cr_assert_eq(c->answers, 1);
		call_expect(&c, 200);
	}
}

Test(shard_pace, the_answer_comes_when_the_queue_has_run_down)
{
	struct fake_call *c = post_until_paced();

	cr_assert_eq(peer_credit(&sub, LIMIT, UINT32_MAX), 204);
	world_run();
	call_expect(&c, 200);
	cr_assert_eq(world_metric(SQ_M_DROPPED_FULL), 0);
}

Test(shard_pace, the_answer_comes_after_a_moment_at_the_latest)
{
	struct fake_call *c = post_until_paced();

	world_pass(&w, 50);
	cr_assert_eq(c->answers, 0);
	world_pass(&w, 200);
	call_expect(&c, 200);
}

Test(shard_pace, nobody_waits_for_a_subscriber_that_takes_nothing)
{
	struct fake_call *c = post_until_paced();

	world_pass(&w, 2000);
	call_expect(&c, 200);
	for (unsigned i = 0; i < LIMIT / BATCH; i++) {
		c = post(BATCH);
		cr_assert_eq(c->answers, 1);
		call_expect(&c, 200);
	}
	cr_assert_gt(world_metric(SQ_M_DROPPED_FULL), 0, "its queue is at its limit");
}

Test(shard_pace, a_subscriber_that_ends_lets_go)
{
	struct fake_call *c = post_until_paced();

	cr_assert_eq(peer_detach(&sub, 0, false), 204);
	world_run();
	call_expect(&c, 200);
}
