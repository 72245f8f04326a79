/* A batch that matches a great many subscriptions is taken in bit by bit: others come between,
 * and whatever is ordered or stored is so as if it had been taken in at once. */
#include <stdio.h>
#include <string.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"

enum { SUBS = 50, MSGS = 90 }; /* three slices */

static struct world w;
static struct peer pub, other, subs[SUBS];
static char keys[SUBS][24], payloads[MSGS][8];
static struct entry entries[MSGS];

static void
begin(void)
{
	world_start(&w, 1);
	pub.world = other.world = &w;
	for (unsigned i = 0; i < SUBS; i++)
		subs[i].world = &w;
}

/* The publisher and all that subscribe to "t"; durable ones. */
static void
setup(void)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = &stored_engine;
	pub = peer_new(&w, "s~w~pub");
	other = peer_new(&w, "s~w~other~pod");
	other.link = 1;
	begin();
	peer_connect(&pub);
	peer_connect(&other);
	for (unsigned i = 0; i < SUBS; i++) {
		snprintf(keys[i], sizeof keys[i], "s~w~sub-%u", i);
		subs[i] = peer_new(&w, keys[i]);
		peer_connect(&subs[i]);
		cr_assert_eq(peer_subscribe(&subs[i], "t", 1), 1);
	}
	for (unsigned i = 0; i < MSGS; i++) {
		snprintf(payloads[i], sizeof payloads[i], "%u", i);
		entries[i] = (struct entry){.topic = "t", .payload = payloads[i], .qos = 1};
	}
}

static void
teardown(void)
{
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(session_slices, .init = setup, .fini = teardown);

/* Posts them under numbers from 'first'; the first slice is taken in. */
static struct fake_call *
post_all(uint64_t first)
{
	struct fake_call *c = peer_batch(&pub, 1, pub.run[1], first, 0, entries, MSGS);

	fake_self(0);
	cr_assert_eq(c->answers, 0, "it is taken in at once");
	return c;
}

static void
expect_taken(struct fake_call **c)
{
	world_run();
	cr_assert_eq((*c)->answers, 1);
	for (unsigned i = 0; i < MSGS; i++)
		cr_assert_eq(call_outcome(*c, i), 0);
	fake_call_free(c);
}

/* Each has them all, in order, once, and behind them 'last', if that is said. */
static void
expect_all(const char *last)
{
	for (unsigned i = 0; i < SUBS; i++) {
		for (unsigned k = 0; k < MSGS; k++) {
			struct fake_delivery *d = peer_expect(&subs[i], payloads[k]);

			cr_assert_eq(peer_settle(&subs[i], SQ_SETTLE_ACK, d->delivery, 1), 204);
		}
		if (last != NULL)
			peer_expect(&subs[i], last);
		peer_expect_nothing(&subs[i]);
	}
}

Test(session_slices, others_are_served_between_them)
{
	struct fake_call *c = post_all(1), *others;
	struct entry e = {.topic = "o", .payload = "mine", .qos = 0};

	others = peer_post(&other, 0, &e, 1);
	fake_run_turn();
	fake_self(0);
	cr_assert_eq(others->answers, 1);
	cr_assert_eq(c->answers, 0);
	fake_call_free(&others);
	expect_taken(&c);
	expect_all(NULL);
}

/* Nobody gets any of these, but each takes its time: what is refused, what releases nothing, what
 * is known already, and what is kept for later. */
Test(session_slices, what_matches_nothing_has_slices_too)
{
	static const char *const known[] = {"sqmqos-qos", "3", "sqmqos-key", "k", NULL};
	static const char *const later[] = {"sqmqos-delay", "100", NULL};
	static const struct entry kinds[] = {
	    {.topic = "#", .payload = "", .qos = 1},
	    {.id = 7},
	    {.topic = "t", .payload = "", .qos = 1, .props = known},
	    {.topic = "o", .payload = "", .qos = 1, .props = later},
	};
	static struct entry many[2000];

	for (unsigned k = 0; k < SQ_ARRAY_LEN(kinds); k++) {
		struct fake_call *c;

		for (unsigned i = 0; i < SQ_ARRAY_LEN(many); i++)
			many[i] = kinds[k];
		c = peer_batch(
		    &pub, 1, pub.run[1], pub.next[1], pub.next[1] - 1, many, SQ_ARRAY_LEN(many));
		pub.next[1] += SQ_ARRAY_LEN(many);
		fake_run_turn();
		fake_self(0);
		cr_assert_eq(c->answers, 0, "%u is taken in at once", k);
		world_run();
		call_expect(&c, 200);
	}
}

/* Each slice is committed by itself: what it put is on its way before the next. */
Test(session_slices, what_a_slice_put_is_delivered)
{
	struct fake_call *c = post_all(1);

	fake_run_turn();
	fake_self(0);
	cr_assert_eq(c->answers, 0);
	cr_assert_eq(strcmp(peer_next(&subs[0])->payload, payloads[0]), 0);
	expect_taken(&c);
}

Test(session_slices, what_comes_behind_waits_for_them_all)
{
	struct sq_sub sub = {.op = SQ_SUB_SUBSCRIBE, .options = 1, .filter = text("t")};
	struct entry e = {.topic = "t", .payload = "last", .qos = 1};
	struct fake_call *c = post_all(1), *asked, *next;

	asked = peer_ask(&pub, 1, 0, MSGS, &sub);
	pub.mark = 1;
	next = peer_batch(&pub, 1, pub.run[1], MSGS + 1, 0, &e, 1);
	pub.next[1] = MSGS + 2;
	fake_run_turn();
	fake_self(0);
	cr_assert_eq(asked->answers + next->answers, 0);
	expect_taken(&c);
	call_expect(&next, 200);
	call_expect(&asked, 204);
	peer_expect_answer(&pub, 1, 1);
	peer_expect(&pub, "last");
	peer_expect_nothing(&pub);
	expect_all("last");
}

Test(session_slices, a_copy_of_it_has_the_same_answer)
{
	struct fake_call *c = post_all(1), *copy;

	copy = peer_batch(&pub, 1, pub.run[1], 1, 0, entries, MSGS);
	fake_run_turn();
	fake_self(0);
	cr_assert_eq(copy->answers, 0);
	expect_taken(&c);
	expect_taken(&copy);
	expect_all(NULL);
}

Test(session_slices, a_detach_waits_for_them)
{
	struct fake_call *c = post_all(1), *bye;

	pub.next[1] = MSGS + 1;
	bye = peer_detach_post(&pub, 3600, false);
	fake_run_turn();
	fake_self(0);
	cr_assert_eq(bye->answers, 0);
	expect_taken(&c);
	call_expect(&bye, 204);
	expect_all(NULL);
}

Test(session_slices, an_attach_waits_for_them)
{
	struct fake_call *c = post_all(1), *put;

	pub.ordinal++;
	pub.attempt = 0;
	put = peer_put(&pub);
	fake_run_turn();
	fake_self(0);
	cr_assert_eq(put->answers, 0);
	cr_assert_eq(peer_attached(&pub, &put), 200);
	cr_assert_eq(pub.last[1], MSGS);
	expect_taken(&c);
	expect_all(NULL);
}

/* By a transient connection of the client: what was not taken in never is, nor acknowledged. */
Test(session_slices, the_end_of_the_session_ends_them)
{
	struct peer transient = peer_new(&w, "s~w~pub~pod");
	struct fake_call *c = post_all(1);
	unsigned n = 0;

	peer_connect(&transient);
	call_expect(&c, 500);
	while (peer_next(&subs[0]) != NULL)
		n++;
	cr_assert(n > 0 && n < MSGS, "%u", n);
}

/* The sidecar sends it again, under the same numbers, and each message is there once. */
Test(session_slices, a_crash_between_two_of_them)
{
	for (unsigned parts = 0; parts < 3; parts++) {
		struct fake_call *c;
		uint64_t first;

		teardown();
		setup();
		first = pub.next[1];
		stored_engine_hold(true);
		c = peer_batch(&pub, 1, pub.run[1], first, 0, entries, MSGS);
		world_run();
		cr_assert_geq(stored_engine_waiting(), 3);
		for (unsigned i = 0; i < parts; i++)
			stored_engine_release();
		stored_engine_crash();
		world_run();
		fake_call_free(&c);
		stored_engine_hold(false);
		world_stop(&w);
		begin();
		cr_assert_eq(peer_attach(&pub), 200);
		cr_assert(pub.last[1] >= first - 1 && pub.last[1] < first + MSGS - 1);
		cr_assert_eq(pub.last[1] == first - 1, parts == 0);
		c = peer_batch(&pub, 1, pub.run[1], first, 0, entries, MSGS);
		expect_taken(&c);
		for (unsigned i = 0; i < SUBS; i++) {
			cr_assert_eq(peer_attach(&subs[i]), 200);
			cr_assert_eq(peer_credit(&subs[i], 1000, 1 << 20), 204);
		}
		expect_all(NULL);
	}
}
