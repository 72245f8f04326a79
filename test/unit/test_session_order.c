/* SUBSCRIBE and UNSUBSCRIBE in their places among the messages of a connection, and their
 * answers before what they bring: docs/link.md, "Order of a connection". */
#include "../support/broker_world.h"
#include "../support/held_engine.h"
#include "../support/stored_engine.h"
#include "proto/mqtt/reason.h"

static struct world w;
static struct peer p; /* the connection in question: transient */
static struct peer d; /* the same, durable */
static struct peer other;

static void
begin(const struct sq_engine_ops *engine, unsigned workers)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = engine;
	w.cfg.queue_max_msgs = 20;
	world_start(&w, workers);
	p = peer_new(&w, "s~w~c~pod");
	d = peer_new(&w, "s~w~d");
	other = peer_new(&w, "s~w~other~pod");
	other.link = 1;
	peer_connect(&p);
	peer_connect(&d);
	peer_connect(&other);
}

static void
held_setup(void)
{
	begin(&held_engine, 1);
}

static void
stored_setup(void)
{
	begin(&stored_engine, 1);
}

static void
stored_setup_2(void)
{
	begin(&stored_engine, 2);
}

static void
teardown(void)
{
	held_engine_hold(false);
	while (held_engine_waiting() > 0)
		held_engine_release(SQ_OK);
	stored_engine_hold(false);
	while (stored_engine_waiting() > 0)
		stored_engine_release();
	world_stop(&w);
	stored_engine_reset();
}

/* What is not stored: all that is of the memory engine, or of a transient session. */
TestSuite(session_order, .init = held_setup, .fini = teardown);
/* A durable session where commits take their time. */
TestSuite(session_order_stored, .init = stored_setup, .fini = teardown);
TestSuite(session_order_workers, .init = stored_setup_2, .fini = teardown);

static struct sq_sub
subscribe(const char *filter)
{
	return (struct sq_sub){.op = SQ_SUB_SUBSCRIBE, .options = 2, .filter = text(filter)};
}

static struct fake_call *
ask(struct peer *q, uint32_t mark, uint64_t after_0, uint64_t after_1, const char *filter)
{
	struct sq_sub sub = subscribe(filter);

	return peer_ask(q, mark, after_0, after_1, &sub);
}

static struct fake_call *
ask_end(struct peer *q, uint32_t mark, uint64_t after_0, uint64_t after_1, const char *filter)
{
	struct sq_sub sub = {.op = SQ_SUB_UNSUBSCRIBE, .filter = text(filter)};

	return peer_ask(q, mark, after_0, after_1, &sub);
}

/* Posts one message behind 'mark', under the next number of the lane of its QoS. */
static struct fake_call *
post(struct peer *q, uint32_t mark, const char *topic, const char *payload, uint8_t qos)
{
	struct entry e = {.topic = topic, .payload = payload, .qos = qos};

	q->mark = mark;
	return peer_post(q, qos > 0, &e, 1);
}

/* The same under a number of the caller's. */
static struct fake_call *
post_as(struct peer *q, uint32_t mark, unsigned lane, uint64_t number, const char *payload)
{
	struct entry e = {.topic = "x", .payload = payload, .qos = (uint8_t)lane};

	q->mark = mark;
	return peer_batch(q, lane, q->run[lane], number, 0, &e, 1);
}

static void
expect_waiting(const struct fake_call *c)
{
	world_run();
	cr_assert_eq(c->answers, 0, "it was answered %u", fake_call_status(c));
}

/* --- admission --- */

Test(session_order, a_message_before_the_subscribe_does_not_come)
{
	for (uint8_t qos = 0; qos < 2; qos++) {
		struct fake_call *sub = ask(&p, qos + 1u, qos == 0, qos == 1, "x"), *msg;

		expect_waiting(sub);
		peer_expect_nothing(&p);
		msg = post(&p, qos, "x", "older", qos);
		call_expect(&msg, 200);
		call_expect(&sub, 204);
		peer_expect_answer(&p, qos + 1u, 2);
		peer_expect_nothing(&p);
		cr_assert_eq(peer_unsubscribe(&p, "x"), 0);
	}
}

Test(session_order, subscribe_publish_unsubscribe_come_in_any_order_and_are_in_theirs)
{
	struct fake_call *end = ask_end(&p, 2, 1, 1, "x");
	struct fake_call *q1 = post(&p, 1, "x", "one", 1);
	struct fake_call *q0 = post(&p, 1, "x", "zero", 0);
	struct fake_call *sub = NULL;

	held_engine_hold(true); /* nothing of it waits for a commit */
	expect_waiting(end);
	expect_waiting(q1);
	expect_waiting(q0);
	sub = ask(&p, 1, 0, 0, "x");
	world_run();
	call_expect(&sub, 204);
	call_expect(&end, 204);
	peer_expect_answer(&p, 1, 2);
	peer_expect(&p, "one");
	peer_expect(&p, "zero");
	peer_expect_answer(&p, 2, 0);
	peer_expect_nothing(&p);
	held_engine_hold(false);
	while (held_engine_waiting() > 0)
		held_engine_release(SQ_OK);
	call_expect(&q1, 200);
	call_expect(&q0, 200);
}

Test(session_order, a_number_that_was_refused_lets_pass)
{
	struct fake_call *msg, *sub;

	cr_assert_eq(peer_subscribe(&d, "full", 1), 1);
	cr_assert_eq(peer_attach(&d), 200); /* without credit */
	for (unsigned i = 0; i < w.cfg.queue_max_msgs; i++)
		cr_assert_eq(peer_publish(&other, "full", "m", 1), 0);
	sub = ask(&p, 1, 0, 1, "x");
	expect_waiting(sub);
	msg = post(&p, 0, "full", "refused", 1);
	world_run();
	cr_assert_eq(call_outcome(msg, 0), SQ_MQTT_RC_QUOTA_EXCEEDED);
	call_expect(&msg, 200);
	call_expect(&sub, 204);
	peer_expect_answer(&p, 1, 2);
}

Test(session_order, a_number_that_waits_for_its_commit_lets_pass)
{
	struct fake_call *msg, *sub;

	held_engine_hold(true);
	msg = post(&p, 0, "x", "older", 1);
	sub = ask(&p, 1, 0, 1, "x");
	call_expect(&sub, 204);
	peer_expect_answer(&p, 1, 2);
	expect_waiting(msg);
	held_engine_hold(false);
	while (held_engine_waiting() > 0)
		held_engine_release(SQ_OK);
	call_expect(&msg, 200);
	peer_expect_nothing(&p);
}

Test(session_order, more_requests_than_may_fly_are_a_gap)
{
	struct fake_call *c[SQ_SUBS_FLYING_MAX], *more;

	for (uint32_t i = 0; i < SQ_SUBS_FLYING_MAX; i++)
		c[i] = ask(&p, i + 2, 0, 0, "x");
	more = ask(&p, 9, 0, 0, "x");
	call_expect_verdict(&more, SQ_VERDICT_GAP);
	more = ask(&p, 1, 0, 0, "y");
	call_expect(&more, 204);
	peer_expect_answer(&p, 1, 2);
	for (uint32_t i = 0; i < SQ_SUBS_FLYING_MAX; i++) {
		call_expect(&c[i], 204);
		peer_expect_answer(&p, i + 2, 2);
	}
}

Test(session_order, as_many_batches_wait_for_a_mark_as_may_fly)
{
	struct fake_call *c[SQ_BATCH_FLYING_MAX], *more, *sub;

	for (unsigned i = 0; i < SQ_BATCH_FLYING_MAX; i++)
		c[i] = post_as(&p, 1, 1, i + 1, "m");
	more = post_as(&p, 1, 1, 9, "m");
	call_expect_verdict(&more, SQ_VERDICT_GAP);
	sub = ask(&p, 1, 0, 0, "x");
	call_expect(&sub, 204);
	peer_expect_answer(&p, 1, 2);
	for (unsigned i = 0; i < SQ_BATCH_FLYING_MAX; i++) {
		call_expect(&c[i], 200);
		peer_expect(&p, "m");
	}
}

Test(session_order, a_batch_that_is_known_is_answered_whatever_its_mark)
{
	struct fake_call *c = post_as(&p, 0, 1, 1, "m");

	call_expect(&c, 200);
	c = post_as(&p, 7, 1, 1, "m");
	call_expect(&c, 200);
}

Test(session_order, a_request_sent_again_is_answered_and_not_carried_out_again)
{
	struct fake_call *c = ask(&p, 1, 0, 0, "x");

	call_expect(&c, 204);
	peer_expect_answer(&p, 1, 2);
	cr_assert_eq(peer_unsubscribe(&p, "x"), 0);
	c = ask(&p, 1, 0, 0, "x");
	call_expect(&c, 204);
	peer_expect_nothing(&p);
	cr_assert_eq(peer_publish(&other, "x", "m", 1), 0x10, "it was carried out again");
}

Test(session_order, without_a_mark_nothing_is_waited_for)
{
	struct fake_call *early = ask(&p, 2, 0, 0, "y"), *one;

	cr_assert_eq(peer_subscribe(&p, "x", 1), 1); /* answered by its codes */
	cr_assert_eq(peer_publish(&other, "x", "m", 1), 0);
	peer_expect(&p, "m");
	one = ask(&p, 1, 0, 0, "z");
	call_expect(&one, 204);
	call_expect(&early, 204);
}

Test(session_order, marks_start_anew_with_each_attachment)
{
	struct fake_call *one = ask(&p, 1, 0, 0, "x"), *early, *msg;

	call_expect(&one, 204);
	early = ask(&p, 3, 0, 0, "y");
	msg = post(&p, 3, "x", "m", 1);
	expect_waiting(early);
	cr_assert_eq(peer_attach(&p), 200);
	call_expect_verdict(&early, SQ_VERDICT_EPOCH);
	call_expect_verdict(&msg, SQ_VERDICT_EPOCH);
	early = ask(&p, 2, 0, 0, "y");
	expect_waiting(early);
	one = ask(&p, 1, 0, 0, "x");
	call_expect(&one, 204);
	call_expect(&early, 204);
	peer_expect_answer(&p, 1, 2);
	peer_expect_answer(&p, 2, 2);
}

Test(session_order, a_detach_ends_what_waits)
{
	struct fake_call *early = ask(&p, 2, 0, 0, "x");

	expect_waiting(early);
	cr_assert_eq(peer_detach(&p, 0, false), 204);
	call_expect_verdict(&early, SQ_VERDICT_EPOCH);
}

Test(session_order, a_detach_waits_for_the_request_before_it)
{
	struct fake_call *sub = ask(&d, 1, 1, 0, "x"), *off, *msg;

	d.next[0] = 2;
	off = peer_detach_post(&d, 3600, false);
	expect_waiting(sub);
	expect_waiting(off);
	msg = post_as(&d, 0, 0, 1, "older");
	call_expect(&msg, 200);
	call_expect(&sub, 204);
	call_expect(&off, 204);
	cr_assert_eq(peer_publish(&other, "x", "m", 1), 0, "it is subscribed");
}

Test(session_order, a_refused_entry_is_answered_by_its_code_and_words)
{
	struct fake_call *c = ask(&p, 1, 0, 0, "$dead/a");
	struct fake_delivery *f;

	call_expect(&c, 204);
	f = fake_link_at(w.links[0], fake_link_count(w.links[0]) - 1);
	cr_assert(strstr(f->note, "dead letters") != NULL, "\"%s\"", f->note);
	peer_expect_answer(&p, 1, 0x8f);
}

Test(session_order, what_is_malformed_counts_as_nothing)
{
	struct fake_call *c = ask(&p, 0, 1, 0, "x"); /* no mark, and a number */

	call_expect(&c, 400);
	c = ask(&p, 1, 0, 0, "x");
	call_expect(&c, 204);
}

/* --- the answer comes first --- */

Test(session_order, the_answer_stands_before_retained_and_live_messages)
{
	struct fake_call *sub, *msg;

	cr_assert_eq(peer_retain(&other, "x", "retained 0", 0), 0);
	cr_assert_eq(peer_retain(&other, "x/1", "retained 1", 1), 0);
	sub = ask(&p, 1, 0, 0, "x/#");
	msg = post(&other, 0, "x", "live", 0);
	call_expect(&sub, 204);
	call_expect(&msg, 200);
	peer_expect_answer(&p, 1, 2);
	cr_assert_not_null(peer_next(&p));
	cr_assert_not_null(peer_next(&p));
	cr_assert_not_null(peer_next(&p));
	peer_expect_nothing(&p);
}

Test(session_order, a_retained_message_that_was_cleared_before_does_not_come)
{
	struct entry clear = {.topic = "x", .payload = "", .qos = 0, .retain = true};
	struct fake_call *sub, *msg;

	cr_assert_eq(peer_retain(&other, "x", "old", 1), 0);
	held_engine_hold(true);
	sub = ask(&p, 1, 0, 1, "x");
	expect_waiting(sub);
	msg = peer_post(&p, 1, &clear, 1);
	call_expect(&sub, 204); /* before the commit of what clears it */
	peer_expect_answer(&p, 1, 2);
	peer_expect_nothing(&p);
	held_engine_hold(false);
	while (held_engine_waiting() > 0)
		held_engine_release(SQ_OK);
	call_expect(&msg, 200);
	peer_expect_nothing(&p);
}

Test(session_order, a_full_link_holds_the_answer_and_what_is_behind_it)
{
	struct fake_call *sub, *msg, *again;

	sq_outlet_set_full(w.links[0], true);
	sub = ask(&p, 1, 0, 0, "x");
	msg = post(&other, 0, "x", "m", 0);
	call_expect(&msg, 200);
	expect_waiting(sub);
	again = ask(&p, 1, 0, 0, "x");
	expect_waiting(again);
	cr_assert_eq(fake_link_count(w.links[0]), 0);
	sq_outlet_set_full(w.links[0], false);
	/* Something passes by before the session hears that there is room. */
	msg = post(&other, 0, "x", "n", 0);
	call_expect(&msg, 200);
	sq_broker_outlet_writable(w.broker, w.links[0]);
	call_expect(&sub, 204);
	call_expect(&again, 204);
	peer_expect_answer(&p, 1, 2);
	peer_expect(&p, "m");
	peer_expect(&p, "n");
	peer_expect_nothing(&p);
}

Test(session_order, a_link_that_is_lost_full_takes_the_answer_with_it)
{
	struct fake_call *sub;

	sq_outlet_set_full(w.links[0], true);
	sub = ask(&p, 1, 0, 0, "x");
	expect_waiting(sub);
	world_close_link(&w, 0);
	call_expect_verdict(&sub, SQ_VERDICT_EPOCH);
}

Test(session_order, a_new_part_in_a_share_takes_nothing_before_the_answer)
{
	struct fake_call *sub;

	cr_assert_eq(peer_subscribe(&other, "$share/g/x", 1), 1);
	cr_assert_eq(peer_attach(&other), 200); /* without credit */
	cr_assert_eq(peer_publish(&d, "x", "waits", 1), 0);
	sq_outlet_set_full(w.links[0], true);
	sub = ask(&p, 1, 0, 0, "$share/g/x");
	expect_waiting(sub);
	sq_outlet_set_full(w.links[0], false);
	sq_broker_outlet_writable(w.broker, w.links[0]);
	call_expect(&sub, 204);
	peer_expect_answer(&p, 1, 2);
	peer_expect(&p, "waits");
}

/* The commit of a group fails after the answer has left. */
Test(session_order, a_commit_that_fails_behind_the_answer_ends_the_attachment)
{
	struct fake_call *sub;

	held_engine_hold(true);
	sub = ask(&p, 1, 0, 0, "$share/g/x");
	call_expect(&sub, 204);
	peer_expect_answer(&p, 1, 2);
	held_engine_hold(false);
	held_engine_release(SQ_EIO);
	world_run();
	sub = ask(&p, 2, 0, 0, "y");
	call_expect_verdict(&sub, SQ_VERDICT_EPOCH);
}

Test(session_order, a_link_of_version_1_knows_no_marks)
{
	fake_link_set_version(w.links[0], 1);
	cr_assert_eq(peer_attach(&p), 200);
	cr_assert_eq(peer_credit(&p, 100, 1 << 20), 204);
	cr_assert_eq(peer_subscribe(&p, "x", 1), 1);
	cr_assert_eq(peer_publish(&p, "x", "m", 1), 0);
	peer_expect(&p, "m");
}

/* --- durable --- */

static void
let_one_go(void)
{
	stored_engine_release();
	world_run();
}

Test(session_order_stored, the_answer_comes_after_the_commit_and_holds_what_is_behind_it)
{
	struct fake_call *sub, *msg[2];

	cr_assert_eq(peer_subscribe(&d, "old", 0), 0);
	cr_assert_eq(peer_retain(&other, "x", "retained", 0), 0);
	stored_engine_hold(true);
	cr_assert_eq(peer_publish(&other, "old", "before", 0), 0);
	sub = ask(&d, 1, 0, 0, "x");
	msg[0] = post(&other, 0, "x", "behind", 0);
	msg[1] = post(&other, 0, "old", "behind, too", 0);
	call_expect(&msg[0], 200);
	call_expect(&msg[1], 200);
	expect_waiting(sub);
	peer_expect(&d, "before");
	peer_expect_nothing(&d);
	let_one_go();
	call_expect(&sub, 204);
	peer_expect_answer(&d, 1, 2);
	peer_expect(&d, "retained");
	peer_expect(&d, "behind");
	peer_expect(&d, "behind, too");
	peer_expect_nothing(&d);
}

/* What waited in the queue, without credit, when the request came. */
Test(session_order_stored, what_was_queued_before_goes_on_flowing)
{
	struct fake_call *sub, *msg;

	cr_assert_eq(peer_subscribe(&d, "old", 1), 1);
	cr_assert_eq(peer_attach(&d), 200); /* without credit */
	cr_assert_eq(peer_publish(&other, "old", "zero", 0), 0);
	cr_assert_eq(peer_publish(&other, "old", "one", 1), 0);
	stored_engine_hold(true);
	sub = ask(&d, 1, 0, 0, "x");
	msg = post(&other, 0, "x", "behind", 0);
	call_expect(&msg, 200);
	peer_expect_nothing(&d);
	cr_assert_eq(peer_credit(&d, 100, 1 << 20), 204);
	peer_expect(&d, "zero");
	peer_expect(&d, "one");
	peer_expect_nothing(&d);
	expect_waiting(sub);
	let_one_go();
	call_expect(&sub, 204);
	peer_expect_answer(&d, 1, 2);
	peer_expect(&d, "behind");
}

/* Its groups bring what they have, though something of the own queue is held. */
Test(session_order_stored, a_group_goes_on_flowing_beside_what_is_held)
{
	struct fake_call *sub, *msg;

	cr_assert_eq(peer_subscribe(&d, "$share/g/old", 0), 0);
	stored_engine_hold(true);
	sub = ask(&d, 1, 0, 0, "x");
	for (unsigned i = 0; i < 3; i++) {
		msg = post(&other, 0, "x", "behind", 0);
		call_expect(&msg, 200);
		msg = post(&other, 0, "old", "shared", 0);
		call_expect(&msg, 200);
		peer_expect(&d, "shared");
	}
	peer_expect_nothing(&d);
	let_one_go();
	call_expect(&sub, 204);
	peer_expect_answer(&d, 1, 2);
	for (unsigned i = 0; i < 3; i++)
		peer_expect(&d, "behind");
	peer_expect_nothing(&d);
}

/* What would have to be held stays in the queue, where its limits count. */
Test(session_order_stored, nothing_more_is_asked_for_while_something_is_held)
{
	int64_t queued = world_metric(SQ_M_QUEUED);
	struct fake_call *sub, *msg;

	cr_assert_eq(peer_subscribe(&d, "old", 0), 0);
	stored_engine_hold(true);
	sub = ask(&d, 1, 0, 0, "x");
	world_run();
	for (unsigned i = 0; i < 10; i++) {
		msg = post(&other, 0, i % 2 == 0 ? "x" : "old", i % 2 == 0 ? "even" : "odd", 0);
		call_expect(&msg, 200);
	}
	peer_expect_nothing(&d);
	cr_assert_eq(world_metric(SQ_M_QUEUED) - queued, 9, "%d wait in the queue",
	    (int)(world_metric(SQ_M_QUEUED) - queued));
	cr_assert_eq(peer_credit(&d, 2000, 2 << 20), 204); /* which asks again */
	peer_expect_nothing(&d);
	cr_assert_eq(world_metric(SQ_M_QUEUED) - queued, 9);
	expect_waiting(sub);
	let_one_go();
	call_expect(&sub, 204);
	peer_expect_answer(&d, 1, 2);
	for (unsigned i = 0; i < 10; i++)
		peer_expect(&d, i % 2 == 0 ? "even" : "odd");
	cr_assert_eq(world_metric(SQ_M_QUEUED), queued);
	msg = post(&other, 0, "old", "later", 0);
	call_expect(&msg, 200);
	peer_expect(&d, "later");
	peer_expect_nothing(&d);
}

Test(session_order_stored, an_unsubscribe_holds_nothing)
{
	struct fake_call *end, *msg;

	cr_assert_eq(peer_subscribe(&d, "old", 0), 0);
	cr_assert_eq(peer_subscribe(&d, "x", 0), 0);
	stored_engine_hold(true);
	end = ask_end(&d, 1, 0, 0, "x");
	msg = post(&other, 0, "old", "m", 0);
	call_expect(&msg, 200);
	peer_expect(&d, "m");
	expect_waiting(end);
	let_one_go();
	call_expect(&end, 204);
	peer_expect_answer(&d, 1, 0);
}

Test(session_order_stored, answers_leave_in_the_order_of_their_marks)
{
	struct fake_call *a, *b, *m[2];

	stored_engine_hold(true);
	a = ask(&d, 1, 0, 0, "x");
	m[0] = post(&other, 0, "x", "of the first", 0);
	b = ask(&d, 2, 0, 0, "y");
	m[1] = post(&other, 0, "y", "of the second", 0);
	call_expect(&m[0], 200);
	call_expect(&m[1], 200);
	expect_waiting(a);
	let_one_go();
	call_expect(&a, 204);
	peer_expect_answer(&d, 1, 2);
	peer_expect(&d, "of the first");
	peer_expect_nothing(&d);
	expect_waiting(b);
	let_one_go();
	call_expect(&b, 204);
	peer_expect_answer(&d, 2, 2);
	peer_expect(&d, "of the second");
}

/* One that holds nothing is committed at once, and waits for those before it. */
Test(session_order_stored, an_answer_overtakes_none)
{
	struct fake_call *a, *b;

	stored_engine_hold(true);
	a = ask(&d, 1, 0, 0, "x");
	b = ask_end(&d, 2, 0, 0, "nothing");
	expect_waiting(a);
	expect_waiting(b);
	peer_expect_nothing(&d);
	let_one_go();
	call_expect(&a, 204);
	call_expect(&b, 204);
	peer_expect_answer(&d, 1, 2);
	peer_expect_answer(&d, 2, 0x11);
}

Test(session_order_stored, no_more_are_carried_out_than_may_be_unanswered)
{
	struct fake_call *a, *b, *c;

	stored_engine_hold(true);
	a = ask(&d, 1, 0, 0, "x");
	b = ask(&d, 2, 0, 0, "y");
	c = ask(&d, 3, 0, 0, "z");
	expect_waiting(c);
	cr_assert_eq(stored_engine_waiting(), 2);
	let_one_go();
	call_expect(&a, 204);
	cr_assert_eq(stored_engine_waiting(), 2, "the third one is on its way");
	let_one_go();
	let_one_go();
	call_expect(&b, 204);
	call_expect(&c, 204);
	for (uint32_t mark = 1; mark <= 3; mark++)
		peer_expect_answer(&d, mark, 2);
}

Test(session_order_stored, one_sent_again_is_answered_with_its_frame)
{
	struct fake_call *a, *again;

	stored_engine_hold(true);
	a = ask(&d, 1, 0, 0, "x");
	again = ask(&d, 1, 0, 0, "x");
	expect_waiting(a);
	expect_waiting(again);
	let_one_go();
	call_expect(&a, 204);
	call_expect(&again, 204);
	peer_expect_answer(&d, 1, 2);
	peer_expect_nothing(&d);
}

Test(session_order_stored, messages_pass_a_request_that_waits_for_its_commit)
{
	struct fake_call *sub, *msg, *end;

	stored_engine_hold(true);
	sub = ask(&d, 1, 0, 0, "x");
	msg = post(&d, 1, "x", "between", 0);
	end = ask_end(&d, 2, 1, 0, "x");
	call_expect(&msg, 200);
	msg = post(&other, 0, "x", "after", 0);
	call_expect(&msg, 200);
	expect_waiting(sub);
	let_one_go();
	let_one_go();
	call_expect(&sub, 204);
	call_expect(&end, 204);
	peer_expect_answer(&d, 1, 2);
	cr_assert_str_eq(peer_next(&d)->payload, "between");
	cr_assert_null(peer_next(&d), "what came after the UNSUBSCRIBE");
}

Test(session_order_stored, a_durable_share_takes_nothing_before_the_answer)
{
	struct fake_call *sub, *more;

	cr_assert_eq(peer_subscribe(&other, "$share/g/x", 1), 1);
	cr_assert_eq(peer_attach(&other), 200); /* without credit */
	cr_assert_eq(peer_publish(&p, "x", "waits", 1), 0);
	stored_engine_hold(true);
	sub = ask(&d, 1, 0, 0, "$share/g/x");
	more = ask(&d, 2, 0, 0, "$share/h/x");
	expect_waiting(sub);
	peer_expect_nothing(&d);
	let_one_go();
	call_expect(&sub, 204);
	peer_expect_answer(&d, 1, 2);
	peer_expect(&d, "waits");
	let_one_go();
	call_expect(&more, 204);
	stored_engine_hold(false);
	while (stored_engine_waiting() > 0)
		let_one_go();
}

/* A transient session is answered at once, but does not fill the memory while the store
 * stalls. */
Test(session_order_stored, what_need_not_wait_for_the_store_is_bounded)
{
	struct fake_call *sub;
	uint32_t mark = 0;

	stored_engine_hold(true);
	for (;;) {
		mark++;
		sub = mark % 2 == 1 ? ask(&p, mark, 0, 0, "$share/g/x")
				    : ask_end(&p, mark, 0, 0, "$share/g/x");
		world_run();
		if (sub->answers == 0)
			break;
		call_expect(&sub, 204);
		peer_expect_answer(&p, mark, mark % 2 == 1 ? 2 : 0);
		cr_assert_lt(mark, 1000);
	}
	peer_expect_nothing(&p);
	stored_engine_hold(false);
	while (stored_engine_waiting() > 0)
		let_one_go();
	call_expect(&sub, 204);
	peer_expect_answer(&p, mark, mark % 2 == 1 ? 2 : 0);
}

Test(session_order_stored, a_share_that_is_left_before_its_answer)
{
	int64_t groups = world_metric(SQ_M_GROUPS);
	struct fake_call *sub, *end;

	stored_engine_hold(true);
	sub = ask(&d, 1, 0, 0, "$share/g/x");
	end = ask_end(&d, 2, 0, 0, "$share/g/x");
	expect_waiting(sub);
	let_one_go();
	let_one_go();
	call_expect(&sub, 204);
	call_expect(&end, 204);
	stored_engine_hold(false);
	while (stored_engine_waiting() > 0)
		let_one_go();
	cr_assert_eq(world_metric(SQ_M_GROUPS), groups);
}

Test(session_order_stored, a_lost_link_brings_back_what_was_held)
{
	struct fake_call *sub, *msg;

	cr_assert_eq(peer_subscribe(&d, "old", 0), 0);
	stored_engine_hold(true);
	sub = ask(&d, 1, 0, 0, "$share/g/x");
	msg = post(&other, 0, "x", "m", 0);
	call_expect(&msg, 200);
	world_close_link(&w, 0);
	stored_engine_hold(false);
	while (stored_engine_waiting() > 0)
		let_one_go();
	call_expect_verdict(&sub, SQ_VERDICT_EPOCH);
	d.link = 1;
	cr_assert_eq(peer_attach(&d), 200);
	cr_assert_eq(peer_credit(&d, 100, 1 << 20), 204);
	peer_expect(&d, "m");
	sub = ask(&d, 1, 0, 0, "y");
	call_expect(&sub, 204);
	peer_expect_answer(&d, 1, 2);
}

Test(session_order_stored, a_session_that_ends_answers_nobody)
{
	struct fake_call *sub, *msg, *put;
	struct peer takes_over = peer_new(&w, "s~w~d~pod");

	stored_engine_hold(true);
	sub = ask(&d, 1, 0, 0, "x");
	msg = post(&other, 0, "x", "m", 0);
	call_expect(&msg, 200);
	takes_over.ordinal = 1;
	put = peer_put(&takes_over); /* a transient CONNECT ends the durable session */
	expect_waiting(sub);
	stored_engine_hold(false);
	while (stored_engine_waiting() > 0)
		let_one_go();
	call_expect_verdict(&sub, SQ_VERDICT_EPOCH);
	cr_assert_eq(peer_attached(&takes_over, &put), 200);
}

/* Rounds are counted in a byte. */
Test(session_order_stored, hundreds_of_requests)
{
	for (uint32_t mark = 1; mark <= 600; mark++) {
		struct fake_call *sub, *msg;

		stored_engine_hold(true);
		sub = ask(&d, mark, 0, 0, "x");
		msg = post(&other, 0, "x", "m", 0);
		call_expect(&msg, 200);
		expect_waiting(sub);
		let_one_go();
		call_expect(&sub, 204);
		peer_expect_answer(&d, mark, 2);
		peer_expect(&d, "m");
	}
}

/* Rounds are counted in a byte: a message that has waited through 255 of them looks like one
 * behind the request, and no younger one may overtake it for that. */
Test(session_order_stored, what_has_waited_through_all_rounds_keeps_its_place)
{
	struct fake_call *sub;

	sub = ask(&d, 1, 0, 0, "old");
	call_expect(&sub, 204);
	peer_expect_answer(&d, 1, 2);
	cr_assert_eq(peer_attach(&d), 200); /* without credit */
	cr_assert_eq(peer_publish(&other, "old", "first", 1), 0);
	for (uint32_t mark = 1; mark <= 254; mark++) {
		if (mark == 100)
			cr_assert_eq(peer_publish(&other, "old", "second", 1), 0);
		sub = ask(&d, mark, 0, 0, "x");
		call_expect(&sub, 204);
		peer_expect_answer(&d, mark, 2);
	}
	stored_engine_hold(true);
	sub = ask(&d, 255, 0, 0, "x");
	cr_assert_eq(peer_credit(&d, 100, 1 << 20), 204);
	peer_expect_nothing(&d);
	expect_waiting(sub);
	let_one_go();
	call_expect(&sub, 204);
	peer_expect_answer(&d, 255, 2);
	peer_expect(&d, "first");
	peer_expect(&d, "second");
}

/* The session, its groups and the publisher on workers of their own. */
Test(session_order_workers, what_another_worker_publishes_comes_behind_the_answer)
{
	static const char *const keys[] = {"s~w~p1~pod", "s~w~p2~pod", "s~w~p3~pod", "s~w~p4~pod"};
	struct peer pub[SQ_ARRAY_LEN(keys)];
	struct fake_call *sub, *msg;

	cr_assert_eq(peer_subscribe(&d, "old", 0), 0);
	stored_engine_hold(true);
	sub = ask(&d, 1, 0, 0, "x");
	world_run();
	for (size_t i = 0; i < SQ_ARRAY_LEN(keys); i++) {
		pub[i] = peer_new(&w, keys[i]);
		pub[i].link = 1;
		peer_connect(&pub[i]);
		msg = post(&pub[i], 0, "x", "behind", 0);
		call_expect(&msg, 200);
	}
	expect_waiting(sub);
	peer_expect_nothing(&d);
	let_one_go();
	call_expect(&sub, 204);
	peer_expect_answer(&d, 1, 2);
	for (size_t i = 0; i < SQ_ARRAY_LEN(keys); i++)
		peer_expect(&d, "behind");
	peer_expect_nothing(&d);
}
