/* The PUT: who holds a session, and from what state both sides go on. */
#include <stdio.h>

#include "../support/broker_world.h"
#include "../support/held_engine.h"
#include "core/memory.h"

static struct world w;

static void
setup(void)
{
	world_init(&w);
	w.cfg.engine = &held_engine;
	world_start(&w, 1);
}

static void
teardown(void)
{
	world_stop(&w);
}

TestSuite(session_attach, .init = setup, .fini = teardown);

Test(session_attach, a_new_session_is_not_present_and_an_old_one_is)
{
	struct peer p = peer_new(&w, "s~w~c");
	uint64_t incarnation, epoch;

	peer_connect(&p);
	cr_assert_not(p.present);
	incarnation = p.incarnation;
	epoch = p.epoch;
	cr_assert_neq(incarnation, 0);
	cr_assert_eq(peer_detach(&p, 100, false), 204);
	cr_assert_eq(world_metric(SQ_M_ATTACHED), 0);
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 1);
	peer_connect(&p);
	cr_assert(p.present);
	cr_assert_eq(p.incarnation, incarnation);
	cr_assert_neq(p.epoch, epoch, "an epoch names one attachment for ever");
	cr_assert_eq(world_metric(SQ_M_ATTACHED), 1);
}

/* A client that is told of a session that it has never used would keep the QoS 2
 * ids of the one before. */
Test(session_attach, a_session_is_present_once_it_was_used)
{
	struct peer p = peer_new(&w, "s~w~c"), other;
	uint64_t incarnation;

	p.ordinal = 1;
	cr_assert_eq(peer_attach(&p), 200); /* this answer is lost */
	cr_assert_not(p.present);
	incarnation = p.incarnation;
	cr_assert_eq(peer_attach(&p), 200); /* so the PUT is sent again */
	cr_assert_not(p.present);
	other = peer_other(&p); /* or the client connects elsewhere */
	other.ordinal = 1;
	cr_assert_eq(peer_attach(&other), 200);
	cr_assert_not(other.present);
	cr_assert_eq(other.incarnation, incarnation);
	cr_assert_eq(peer_credit(&other, 1, 1), 204);
	cr_assert_eq(peer_attach(&other), 200);
	cr_assert(other.present);
}

Test(session_attach, a_post_that_is_refused_does_not_make_a_session_present)
{
	struct peer p = peer_new(&w, "s~w~c"), wrong;
	struct fake_call *c;

	p.ordinal = 1;
	cr_assert_eq(peer_attach(&p), 200);
	wrong = p;
	wrong.epoch++;
	c = peer_settle_post(&wrong, SQ_SETTLE_ACK, 1, 1);
	call_expect_verdict(&c, SQ_VERDICT_EPOCH);
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert_not(p.present);
}

Test(session_attach, a_detach_alone_makes_a_session_present)
{
	struct peer p = peer_new(&w, "s~w~c");

	p.ordinal = 1;
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert_eq(peer_detach(&p, 100, false), 204);
	p.ordinal++;
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert(p.present);
}

/* What the lost attach brought along, here an orphan, ends all the same. */
Test(session_attach, a_clean_start_renews_a_session_that_was_never_used)
{
	struct sq_open_id open = {.packet_id = 3,
	    .state = SQ_OPEN_QOS2,
	    .origin = {.incarnation = 9, .run = 9, .number = 1}};
	struct peer p = peer_new(&w, "s~w~c");
	uint64_t incarnation;

	p.ordinal = 1;
	p.incarnation = 9; /* of a broker that is gone */
	p.open = &open;
	p.n_open = 1;
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert_eq(p.n_listed, 1);
	cr_assert_eq(p.listed[0].state, SQ_OPEN_ORPHAN);
	incarnation = p.incarnation;
	p.ordinal++;
	p.flags |= SQ_ATTACH_CLEAN_START;
	p.incarnation = 0;
	p.n_open = 0;
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert_not(p.present);
	cr_assert_neq(p.incarnation, incarnation);
	cr_assert_eq(p.n_listed, 0);
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 1);
}

Test(session_attach, a_late_or_doubled_put_changes_nothing)
{
	struct peer p = peer_new(&w, "s~w~c");
	struct fake_call *c;

	p.ordinal = 5;
	p.attempt = 2;
	cr_assert_eq(peer_attach(&p), 200); /* attempt 3 */
	for (uint32_t attempt = 1; attempt <= 3; attempt++) {
		p.attempt = attempt - 1;
		c = peer_put(&p);
		call_expect_verdict(&c, SQ_VERDICT_EPOCH);
	}
	p.ordinal = 4;
	p.attempt = 99;
	p.flags |= SQ_ATTACH_CLEAN_START;
	c = peer_put(&p);
	call_expect_verdict(&c, SQ_VERDICT_EPOCH);
	cr_assert_eq(peer_credit(&p, 1, 1), 204, "the attachment is the same as before");
	cr_assert_eq(peer_detached_reason(&p, p.epoch), 0);
}

Test(session_attach, a_put_over_a_closed_link_changes_nothing)
{
	struct peer p = peer_new(&w, "s~w~c"), other;
	struct fake_call *c;

	peer_connect(&p);
	other = peer_other(&p);
	other.ordinal = 1;
	sq_outlet_close(w.links[other.link]);
	c = peer_put(&other);
	call_expect(&c, 410);
	cr_assert_eq(peer_credit(&p, 1, 1), 204);
}

Test(session_attach, a_malformed_body_is_400)
{
	struct peer p = peer_new(&w, "s~w~c");
	struct sq_buf body = {0};
	struct fake_call *c;

	peer_connect(&p);
	for (int kind = SQ_CALL_ATTACH; kind <= SQ_CALL_DETACH; kind++) {
		sq_buf_u8(&body, 9);
		c = fake_call_new((enum sq_call_kind)kind, p.key, p.epoch, w.links[0], &body);
		sq_broker_call(w.broker, &c->call);
		call_expect(&c, 400);
	}
}

Test(session_attach, another_instance_takes_over)
{
	struct peer a = peer_new(&w, "s~w~c"), b;
	struct fake_call *c;
	uint64_t epoch;

	peer_connect(&a);
	epoch = a.epoch;
	b = peer_other(&a);
	peer_connect(&b);
	cr_assert(b.present);
	cr_assert_eq(peer_detached_reason(&a, epoch), 0x8e);
	cr_assert_eq(world_metric(SQ_M_TAKEOVERS), 1);
	cr_assert_eq(world_metric(SQ_M_ATTACHED), 1);
	c = peer_settle_post(&a, SQ_SETTLE_ACK, 1, 1);
	call_expect_verdict(&c, SQ_VERDICT_SUPERSEDED);
	c = peer_put(&a); /* the superseded ordinal, a later attempt */
	call_expect_verdict(&c, SQ_VERDICT_SUPERSEDED);
	cr_assert_eq(peer_credit(&b, 1, 1), 204, "the holder is not disturbed");
	peer_connect(&a); /* a newer connection of the first instance */
	cr_assert_eq(peer_detached_reason(&b, b.epoch), 0x8e);
	c = peer_put(&b);
	call_expect_verdict(&c, SQ_VERDICT_SUPERSEDED);
}

Test(session_attach, posts_of_another_epoch_or_link_are_refused)
{
	struct peer p = peer_new(&w, "s~w~c"), wrong;
	struct fake_call *c;

	peer_connect(&p);
	wrong = p;
	wrong.epoch++;
	c = peer_settle_post(&wrong, SQ_SETTLE_ACK, 1, 1);
	call_expect_verdict(&c, SQ_VERDICT_EPOCH);
	wrong = p;
	wrong.link = 1;
	c = peer_settle_post(&wrong, SQ_SETTLE_ACK, 1, 1);
	call_expect_verdict(&c, SQ_VERDICT_EPOCH);
	wrong = peer_new(&w, "s~w~nobody");
	c = peer_settle_post(&wrong, SQ_SETTLE_ACK, 1, 1);
	call_expect_verdict(&c, SQ_VERDICT_EPOCH);
}

Test(session_attach, clean_start_applies_once_per_ordinal)
{
	struct peer p = peer_new(&w, "s~w~c");
	uint64_t incarnation;

	peer_connect(&p);
	cr_assert_eq(peer_subscribe(&p, "a", 1), 1);
	incarnation = p.incarnation;
	p.flags |= SQ_ATTACH_CLEAN_START;
	peer_connect(&p);
	cr_assert_not(p.present);
	cr_assert_neq(p.incarnation, incarnation);
	cr_assert_eq(world_metric(SQ_M_SUBSCRIPTIONS), 0);
	cr_assert_eq(peer_subscribe(&p, "b", 1), 1);
	incarnation = p.incarnation;
	cr_assert_eq(peer_attach(&p), 200); /* the same connection again */
	cr_assert(p.present);
	cr_assert_eq(p.incarnation, incarnation);
	cr_assert_eq(world_metric(SQ_M_SUBSCRIPTIONS), 1);
	peer_connect(&p);
	cr_assert_neq(p.incarnation, incarnation);
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 1);
}

Test(session_attach, the_answer_waits_for_what_was_admitted)
{
	struct entry e = {.topic = "t", .payload = "x", .qos = 2, .id = 7};
	struct peer p = peer_new(&w, "s~w~c");
	struct fake_call *batch, *put, *late;

	peer_connect(&p);
	held_engine_hold(true);
	batch = peer_post(&p, 1, &e, 1);
	put = peer_put(&p);
	world_run();
	cr_assert_eq(put->answers, 0);
	late = peer_post(&p, 1, &e, 1); /* the old epoch is fenced */
	call_expect_verdict(&late, SQ_VERDICT_EPOCH);
	held_engine_hold(false);
	held_engine_release(SQ_OK);
	call_expect(&batch, 200);
	cr_assert_eq(peer_attached(&p, &put), 200);
	cr_assert_eq(p.last[1], 1);
	cr_assert_eq(p.n_held, 1);
	cr_assert_eq(p.held[0], 7);
}

Test(session_attach, a_newer_put_replaces_the_one_that_waits)
{
	struct entry e = {.topic = "t", .payload = "x", .qos = 1};
	struct peer p = peer_new(&w, "s~w~c"), other;
	struct fake_call *batch, *first, *second, *third;

	peer_connect(&p);
	held_engine_hold(true);
	batch = peer_post(&p, 1, &e, 1);
	first = peer_put(&p);
	second = peer_put(&p);
	call_expect_verdict(&first, SQ_VERDICT_EPOCH);
	other = peer_other(&p);
	other.ordinal = 1;
	third = peer_put(&other);
	call_expect_verdict(&second, SQ_VERDICT_SUPERSEDED);
	held_engine_hold(false);
	held_engine_release(SQ_OK);
	call_expect(&batch, 200);
	cr_assert_eq(peer_attached(&other, &third), 200);
}

Test(session_attach, a_link_lost_while_the_put_waits_leaves_the_session_in_grace)
{
	struct entry e = {.topic = "t", .payload = "x", .qos = 1};
	struct peer p = peer_new(&w, "s~w~c");
	struct fake_call *batch, *put;

	peer_connect(&p);
	held_engine_hold(true);
	batch = peer_post(&p, 1, &e, 1);
	p.link = 1;
	put = peer_put(&p);
	world_close_link(&w, 1);
	call_expect_verdict(&put, SQ_VERDICT_EPOCH);
	held_engine_hold(false);
	held_engine_release(SQ_OK);
	call_expect(&batch, 200);
	p.link = 0;
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert(p.present);
}

Test(session_attach, a_failed_commit_is_500_and_so_is_all_behind_it)
{
	struct entry one = {.topic = "t", .payload = "1", .qos = 2, .id = 1};
	struct entry two = {.topic = "t", .payload = "2", .qos = 2, .id = 2};
	struct entry three = {.topic = "t", .payload = "3", .qos = 2, .id = 3};
	struct peer p = peer_new(&w, "s~w~c");
	struct fake_call *c[3], *again;

	peer_connect(&p);
	held_engine_hold(true);
	c[0] = peer_post(&p, 1, &one, 1);
	c[1] = peer_post(&p, 1, &two, 1);
	c[2] = peer_post(&p, 1, &three, 1);
	held_engine_release(SQ_OK);
	held_engine_release(SQ_EIO);
	held_engine_release(SQ_OK);
	held_engine_hold(false);
	call_expect(&c[0], 200);
	call_expect(&c[1], 500);
	call_expect(&c[2], 500);
	again = peer_post(&p, 1, &two, 1);
	call_expect_verdict(&again, SQ_VERDICT_EPOCH);
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert(p.present);
	cr_assert_eq(p.last[1], 1, "what failed was never accepted");
	cr_assert_eq(p.n_held, 1);
	cr_assert_eq(p.held[0], 1);
	p.next[1] = 2;
	again = peer_post(&p, 1, &two, 1);
	call_expect(&again, 200);
}

Test(session_attach, a_commit_that_fails_behind_the_fence_counts)
{
	struct entry e = {.topic = "t", .payload = "1", .qos = 2, .id = 1};
	struct peer p = peer_new(&w, "s~w~c");
	struct fake_call *batch, *put;

	peer_connect(&p);
	held_engine_hold(true);
	batch = peer_post(&p, 1, &e, 1);
	put = peer_put(&p);
	held_engine_release(SQ_EIO);
	held_engine_hold(false);
	call_expect(&batch, 500);
	cr_assert_eq(peer_attached(&p, &put), 200);
	cr_assert_eq(p.last[1], 0);
	cr_assert_eq(p.n_held, 0);
}

Test(session_attach, a_failed_settlement_does_not_take_numbers_back)
{
	struct entry e = {.topic = "t", .payload = "1", .qos = 1};
	struct peer p = peer_new(&w, "s~w~c");
	struct fake_call *batch, *settle;

	peer_connect(&p);
	held_engine_hold(true);
	settle = peer_settle_post(&p, SQ_SETTLE_ACK, 1, 1);
	batch = peer_post(&p, 1, &e, 1);
	held_engine_release(SQ_EIO);
	held_engine_release(SQ_OK);
	held_engine_hold(false);
	call_expect(&settle, 500);
	call_expect(&batch, 200);
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert_eq(p.last[1], 1);
}

Test(session_attach, a_transient_connect_ends_the_durable_session)
{
	struct entry e = {.topic = "t", .payload = "1", .qos = 1};
	struct peer durable = peer_new(&w, "s~w~c"), other = peer_new(&w, "s~w~d");
	struct peer transient = peer_new(&w, "s~w~c~pod");
	struct fake_call *batch;

	peer_connect(&durable);
	peer_connect(&other);
	cr_assert_eq(peer_subscribe(&durable, "a", 1), 1);
	held_engine_hold(true);
	batch = peer_post(&durable, 1, &e, 1); /* even when it is busy */
	transient.ordinal = 1;
	cr_assert_eq(peer_attach(&transient), 200);
	cr_assert_eq(peer_detached_reason(&durable, durable.epoch), 0x8e);
	held_engine_hold(false);
	held_engine_release(SQ_OK);
	call_expect(&batch, 200);
	cr_assert_eq(world_metric(SQ_M_SUBSCRIPTIONS), 0);
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 2);
	cr_assert_eq(peer_credit(&other, 1, 1), 204);
	peer_connect(&durable);
	cr_assert_not(durable.present);
	cr_assert_eq(peer_attach(&transient), 200); /* the same connection: it ends nothing */
	cr_assert_eq(peer_credit(&durable, 1, 1), 204);
}

Test(session_attach, a_keeper_ends_no_durable_session)
{
	struct peer durable = peer_new(&w, "s~w~c"), keeper = peer_new(&w, "s~w~c~pod");

	peer_connect(&durable);
	keeper.flags |= SQ_ATTACH_KEEPER;
	peer_connect(&keeper);
	cr_assert_eq(peer_credit(&durable, 1, 1), 204);
}

Test(session_attach, a_session_without_expiry_ends_when_it_is_taken_over)
{
	struct peer p = peer_new(&w, "s~w~c~pod"), other;

	peer_connect(&p);
	cr_assert_eq(peer_subscribe(&p, "a", 1), 1);
	world_close_link(&w, 0);
	other = peer_other(&p);
	peer_connect(&other);
	cr_assert_not(other.present);
	cr_assert_eq(world_metric(SQ_M_SUBSCRIPTIONS), 0);
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 1);
}

/* A sidecar whose client has left. */
static struct peer
gone(const struct peer *p)
{
	struct peer g = *p;

	g.flags |= SQ_ATTACH_GONE;
	return g;
}

Test(session_attach, without_its_client_a_sidecar_goes_on_with_what_it_holds)
{
	struct peer p = peer_new(&w, "s~w~c"), g;

	peer_connect(&p);
	world_close_link(&w, 0);
	g = gone(&p);
	g.link = 1;
	cr_assert_eq(peer_attach(&g), 200);
	cr_assert_eq(g.incarnation, p.incarnation);
	cr_assert_eq(peer_publish(&g, "t", "last", 1), 0x10);
	cr_assert_eq(peer_detach(&g, 0, false), 204);
}

/* The broker that forgot everything must not take up again what the client has
 * finished over another sidecar since. */
Test(session_attach, without_its_client_a_sidecar_makes_no_session)
{
	struct peer p = peer_new(&w, "s~w~c"), g;
	struct fake_call *c;

	p.ordinal = 1;
	p.incarnation = 9; /* of a broker that is gone */
	g = gone(&p);
	c = peer_put(&g);
	call_expect_verdict(&c, SQ_VERDICT_SUPERSEDED);
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 0);
}

Test(session_attach, without_its_client_a_sidecar_takes_no_session)
{
	struct peer a = peer_new(&w, "s~w~c"), b, g;
	struct fake_call *c;

	peer_connect(&a);
	b = peer_other(&a);
	b.ordinal = 1;
	cr_assert_eq(peer_attach(&b), 200);
	g = gone(&a); /* an ordinal that nobody has seen superseded */
	g.ordinal = 7;
	c = peer_put(&g);
	call_expect_verdict(&c, SQ_VERDICT_SUPERSEDED);
	g = gone(&b);
	g.incarnation++; /* it has been made anew since */
	c = peer_put(&g);
	call_expect_verdict(&c, SQ_VERDICT_SUPERSEDED);
	cr_assert_eq(peer_detached_reason(&b, b.epoch), 0);
	cr_assert_eq(peer_credit(&b, 1, 1), 204, "the holder is not disturbed");
}

/* No other pod can have a transient session: its last publishes still go to a
 * broker that has just come up. */
Test(session_attach, without_its_client_a_transient_session_is_made_but_ends_no_durable_one)
{
	struct peer durable = peer_new(&w, "s~w~c"), t = peer_new(&w, "s~w~c~pod"), g, other;
	struct fake_call *c;

	peer_connect(&durable);
	t.ordinal = 1;
	t.incarnation = 9;
	g = gone(&t);
	cr_assert_eq(peer_attach(&g), 200);
	cr_assert_eq(peer_publish(&g, "t", "last", 1), 0x10);
	cr_assert_eq(peer_credit(&durable, 1, 1), 204);
	other = peer_other(&t); /* but its pod's next sidecar can */
	peer_connect(&other);
	c = peer_put(&g);
	call_expect_verdict(&c, SQ_VERDICT_SUPERSEDED);
	cr_assert_eq(peer_credit(&other, 1, 1), 204);
}

Test(session_attach, sessions_have_a_limit)
{
	struct peer p = peer_new(&w, "s~w~c");
	struct fake_call *c = NULL;
	char keys[101][16];

	for (unsigned i = 0; i <= 100; i++) {
		struct peer one;

		snprintf(keys[i], sizeof keys[i], "s~w~%u", i);
		one = peer_new(&w, keys[i]);
		one.ordinal = 1;
		c = peer_put(&one);
		if (i == 100)
			cr_assert_eq(c->call.full, SQ_FULL_BROKER, "it says why");
		call_expect(&c, i < 100 ? 200 : 429);
	}
	p.ordinal = 1;
	c = peer_put(&p);
	call_expect(&c, 429);
	fake_link_set_version(w.links[p.link], 1); /* as before that was said */
	c = peer_put(&p);
	call_expect(&c, 503);
}

Test(session_attach, what_takes_the_place_of_a_session_needs_no_room)
{
	struct peer durable, transient;
	struct fake_call *c = NULL;
	char keys[100][16];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(keys[i], sizeof keys[i], "s~w~%u", i);
		durable = peer_new(&w, keys[i]);
		durable.ordinal = 1;
		durable.expiry_s = 60;
		c = peer_put(&durable);
		call_expect(&c, 200);
	}
	transient = peer_new(&w, "s~w~7~pod"); /* ends the durable one of its client id */
	transient.ordinal = 2;
	c = peer_put(&transient);
	call_expect(&c, 200);
	transient = peer_new(&w, "s~w~100~pod");
	transient.ordinal = 3;
	c = peer_put(&transient);
	call_expect(&c, 429);
	durable = peer_new(&w, "s~w~8"); /* it is there */
	durable.ordinal = 4;
	c = peer_put(&durable);
	call_expect(&c, 200);
}

static unsigned
put_new(const char *key)
{
	struct peer p = peer_new(&w, key);
	struct fake_call *c;

	p.ordinal = 1;
	p.expiry_s = 60;
	c = peer_put(&p);
	return peer_attached(&p, &c);
}

/* Fills memory in earnest: a level that is only set is judged anew with the next bytes counted.
 * Returns the ballast. */
static void *
memory_fill(void)
{
	enum { BALLAST = 16 << 20 };
	void *ballast;

	sq_memory_start();
	ballast = sq_xcalloc(1, BALLAST);
	sq_memory_limit_set(sq_memory_used() / 72 * 100); /* between 65 and 80 % are used */
	cr_assert_eq(sq_memory_level(), SQ_MEMORY_FILLED);
	return ballast;
}

Test(session_attach, without_memory_no_session_is_made_but_for_one_that_goes)
{
	void *ballast;

	cr_assert_eq(put_new("s~w~here"), 200);
	ballast = memory_fill();
	cr_assert_eq(put_new("s~w~durable"), 429);
	cr_assert_eq(put_new("s~w~transient~pod"), 429);
	cr_assert_eq(put_new("s~w~here~pod"), 200, "it takes the place of the durable one");
	free(ballast);
	sq_memory_limit_set(0);
	cr_assert_eq(put_new("s~w~transient~pod"), 200);
}
