/* Batches: numbers, runs, gaps, outcomes, and QoS 2 from the publisher. */
#include "../support/broker_world.h"
#include "../support/held_engine.h"

static struct world w;
static struct peer p, sub;

static void
setup(void)
{
	world_init(&w);
	w.cfg.engine = &held_engine;
	world_start(&w, 1);
	p = peer_new(&w, "s~w~publisher");
	sub = peer_new(&w, "s~w~subscriber");
	peer_connect(&p);
	peer_connect(&sub);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
}

static void
teardown(void)
{
	world_stop(&w);
}

TestSuite(session_batch, .init = setup, .fini = teardown);

/* One QoS 1 message with a payload, under a number of the first run. */
static struct fake_call *
post(uint64_t number, const char *payload)
{
	struct entry e = {.topic = "t", .payload = payload, .qos = 1};

	return peer_batch(&p, 1, 5, number, 0, &e, 1);
}

static void
done(struct fake_call **c, uint8_t code)
{
	world_run();
	cr_assert_eq((*c)->answers, 1);
	cr_assert_eq(call_outcome(*c, 0), code);
	fake_call_free(c);
}

Test(session_batch, early_batches_wait_for_the_gap_to_close)
{
	struct fake_call *c[6];

	c[4] = post(5, "5");
	c[3] = post(4, "4");
	c[2] = post(3, "3");
	c[1] = post(2, "2");
	c[5] = post(6, "6"); /* a fifth one is too many */
	world_run();
	cr_assert_eq(c[5]->call.verdict, SQ_VERDICT_GAP);
	cr_assert_eq(c[5]->call.last, 0);
	call_expect_verdict(&c[5], SQ_VERDICT_GAP);
	cr_assert_eq(c[1]->answers + c[2]->answers + c[3]->answers + c[4]->answers, 0);
	c[0] = post(1, "1");
	for (unsigned i = 0; i < 5; i++)
		done(&c[i], 0);
	for (const char *n = "12345"; *n != '\0'; n++)
		peer_expect(&sub, (const char[]){*n, '\0'});
	peer_expect_nothing(&sub);
}

Test(session_batch, lanes_do_not_wait_for_each_other)
{
	struct entry e = {.topic = "t", .payload = "zero"};
	struct fake_call *early[3], *other;

	for (unsigned i = 0; i < 3; i++)
		early[i] = post(i + 2, "x");
	other = peer_batch(&p, 0, 5, 1, 0, &e, 1);
	done(&other, 0);
	peer_expect(&sub, "zero");
	other = post(1, "1");
	done(&other, 0);
	for (unsigned i = 0; i < 3; i++)
		done(&early[i], 0);
}

Test(session_batch, a_duplicate_is_answered_with_the_kept_outcome_after_its_commit)
{
	struct entry bad = {.topic = "t/+", .payload = "x", .qos = 1};
	struct fake_call *first, *again, *third;

	held_engine_hold(true);
	first = peer_batch(&p, 1, 5, 1, 0, &bad, 1);
	again = peer_batch(&p, 1, 5, 1, 0, &bad, 1);
	world_run();
	cr_assert_eq(again->answers, 0, "not before the commit");
	held_engine_hold(false);
	held_engine_release(SQ_OK);
	done(&first, 0x90);
	done(&again, 0x90);
	third = peer_batch(&p, 1, 5, 1, 0, &bad, 1);
	done(&third, 0x90);
}

Test(session_batch, duplicates_that_wait_do_not_count_as_early)
{
	struct fake_call *c[6];

	held_engine_hold(true);
	c[0] = post(1, "1");
	c[1] = post(1, "1");
	c[2] = post(1, "1");
	c[3] = post(1, "1");
	c[4] = post(3, "3");
	c[5] = post(2, "2");
	held_engine_hold(false);
	while (held_engine_waiting() > 0) {
		held_engine_release(SQ_OK);
		world_run();
	}
	for (unsigned i = 0; i < 6; i++)
		done(&c[i], 0);
	peer_expect(&sub, "1");
	peer_expect(&sub, "2");
	peer_expect(&sub, "3");
	peer_expect_nothing(&sub);
}

Test(session_batch, a_batch_sent_again_in_other_pieces_is_admitted_from_its_first_new_number)
{
	struct entry e[3] = {{.topic = "t", .payload = "1", .qos = 1},
	    {.topic = "t", .payload = "2", .qos = 1}, {.topic = "t", .payload = "3", .qos = 1}};
	struct fake_call *c = peer_batch(&p, 1, 5, 1, 0, e, 2);

	call_expect(&c, 200);
	c = peer_batch(&p, 1, 5, 1, 0, e, 3);
	world_run();
	cr_assert_eq(call_outcome(c, 2), 0);
	call_expect(&c, 200);
	peer_expect(&sub, "1");
	peer_expect(&sub, "2");
	cr_assert_eq(peer_expect(&sub, "3")->origin.number, 3);
	peer_expect_nothing(&sub);
}

Test(session_batch, a_number_of_another_run_is_never_skipped)
{
	struct entry e = {.topic = "t", .payload = "x", .qos = 1};
	struct fake_call *c = post(1, "1");

	done(&c, 0);
	c = peer_batch(&p, 1, 6, 1, 0, &e, 1);
	call_expect_verdict(&c, SQ_VERDICT_RUN);
	c = peer_batch(&p, 1, 6, 2, 0, &e, 1);
	done(&c, 0);
	c = post(1, "1"); /* the old run is over */
	call_expect_verdict(&c, SQ_VERDICT_RUN);
}

Test(session_batch, outcomes_that_have_arrived_are_forgotten)
{
	struct entry e = {.topic = "t", .payload = "x", .qos = 1};
	struct fake_call *c = post(1, "1");

	done(&c, 0);
	c = peer_batch(&p, 1, 5, 2, 1, &e, 1);
	done(&c, 0);
	c = post(1, "1");
	call_expect_verdict(&c, SQ_VERDICT_RUN);
	c = post(2, "x");
	done(&c, 0);
}

Test(session_batch, numbers_and_outcomes_survive_an_attach)
{
	struct fake_call *c = post(1, "1");

	done(&c, 0);
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert_eq(p.last[1], 1);
	c = post(1, "1");
	done(&c, 0);
	c = post(2, "2");
	done(&c, 0);
	peer_expect(&sub, "1");
	peer_expect(&sub, "2");
	peer_expect_nothing(&sub);
}

Test(session_batch, what_waits_is_refused_when_the_attachment_ends)
{
	struct fake_call *early = post(2, "2");

	cr_assert_eq(peer_attach(&p), 200);
	call_expect_verdict(&early, SQ_VERDICT_EPOCH);
	early = post(2, "2");
	world_close_link(&w, 0);
	call_expect_verdict(&early, SQ_VERDICT_EPOCH);
}

Test(session_batch, a_held_packet_id_stores_its_message_once)
{
	struct entry e = {.topic = "t", .payload = "once", .qos = 2, .id = 9};
	struct entry again = {.topic = "t", .payload = "twice", .qos = 2, .id = 9};

	cr_assert_eq(peer_send(&p, &e), 0);
	cr_assert_eq(peer_send(&p, &again), 0, "it consumes its number and succeeds");
	cr_assert_eq(peer_expect(&sub, "once")->qos, 2);
	peer_expect_nothing(&sub);
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert_eq(p.n_held, 1);
	cr_assert_eq(peer_send(&p, &(struct entry){.id = 9}), 0);
	cr_assert_eq(peer_send(&p, &(struct entry){.id = 9}), 0x92, "it is held no longer");
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert_eq(p.n_held, 0);
	cr_assert_eq(peer_send(&p, &again), 0);
	peer_expect(&sub, "twice");
}

Test(session_batch, a_refused_message_holds_no_id)
{
	struct entry e = {.topic = "t/#", .payload = "x", .qos = 2, .id = 9};

	cr_assert_eq(peer_send(&p, &e), 0x90);
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert_eq(p.n_held, 0);
}

Test(session_batch, held_ids_are_listed_in_order_once)
{
	static const uint16_t ids[] = {500, 3, 65535, 77, 3};

	for (unsigned i = 0; i < 5; i++)
		cr_assert_lt(
		    peer_send(&p,
			&(struct entry){.topic = "none", .payload = "x", .qos = 2, .id = ids[i]}),
		    0x80);
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert_eq(p.n_held, 4);
	cr_assert(p.held[0] == 3 && p.held[1] == 77 && p.held[2] == 500 && p.held[3] == 65535);
}

Test(session_batch, sizes_and_matches_have_their_outcomes)
{
	cr_assert_eq(peer_publish(&p, "nobody", "x", 1), 0x10);
	cr_assert_eq(peer_publish(&p, "nobody", "x", 0), 0);
	cr_assert_eq(
	    peer_send(&p, &(struct entry){.topic = "t", .qos = 1, .payload_len = 200000}), 0x83);
	cr_assert_eq(world_metric(SQ_M_REFUSED), 1);
	peer_expect_nothing(&sub);
}

Test(session_batch, few_matches_of_a_batch_are_copied_out_of_it)
{
	struct entry e[50] = {0};
	struct fake_call *c;

	for (unsigned i = 0; i < 50; i++)
		e[i] = (struct entry){.topic = i == 17 ? "t" : "nobody",
		    .payload = "x",
		    .qos = 1,
		    .payload_len = i == 17 ? 0 : 500};
	for (unsigned turn = 0; turn < 3; turn++) { /* the first batch teaches the second */
		c = peer_post(&p, 1, e, 50);
		world_run();
		cr_assert_eq(call_outcome(c, 16), 0x10);
		cr_assert_eq(call_outcome(c, 17), 0);
		call_expect(&c, 200);
		peer_expect(&sub, "x");
		peer_expect_nothing(&sub);
	}
}

Test(session_batch, a_batch_whose_answer_is_held_back_is_refused_once)
{
	struct entry many[100], e = {.topic = "busy", .payload = "x", .qos = 1};
	struct peer slow = peer_new(&w, "s~w~slow~pod");
	struct fake_call *c, *old, *other;

	slow.ordinal = 1;
	cr_assert_eq(peer_attach(&slow), 200); /* it has no credit */
	cr_assert_eq(peer_subscribe(&slow, "busy", 1), 1);
	for (unsigned i = 0; i < 100; i++)
		many[i] = e;
	for (uint64_t i = 0; i < 6; i++) {
		c = peer_batch(&p, 1, 5, 1 + 100 * i, 100 * i, many, 100);
		world_pass(&w, 200);
		call_expect(&c, 200);
	}
	world_pass(&w, 2000);
	held_engine_hold(true);
	old = peer_batch(&p, 1, 5, 601, 600, &e, 1);
	other = peer_batch(&p, 1, 6, 602, 601, &e, 1);
	held_engine_hold(false);
	while (held_engine_waiting() > 0)
		held_engine_release(SQ_OK);
	world_run();
	world_pass(&w, 200);
	call_expect_verdict(&old, SQ_VERDICT_RUN);
	call_expect(&other, 200);
	world_pass(&w, 200);
}
