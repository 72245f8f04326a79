/* A session's end and what comes before it: detach, grace, will, expiry, drain. */
#include <stdio.h>

#include "../support/broker_world.h"
#include "../support/held_engine.h"
#include "core/clock.h"

static struct world w;
static struct peer p, watcher;

static void
setup(void)
{
	world_init(&w);
	w.cfg.engine = &held_engine;
	w.cfg.session_expiry_max_s = 1000;
	w.cfg.max_sessions = 10000;
	world_start(&w, 1);
	p = peer_new(&w, "s~w~c");
	watcher = peer_new(&w, "s~w~watcher~pod");
	watcher.link = 1;
	peer_connect(&watcher);
	cr_assert_eq(peer_subscribe(&watcher, "will", 1), 1);
	p.will = "gone";
	p.will_qos = 1;
}

static void
teardown(void)
{
	world_stop(&w);
}

TestSuite(session_life, .init = setup, .fini = teardown);

static uint64_t
sessions(void)
{
	return (uint64_t)world_metric(SQ_M_SESSIONS) - 1; /* but for the watcher's */
}

Test(session_life, a_detach_without_will_drops_it)
{
	peer_connect(&p);
	cr_assert_eq(peer_detach(&p, 100, false), 204);
	world_pass(&w, 200000);
	peer_expect_nothing(&watcher);
	cr_assert_eq(world_metric(SQ_M_WILLS), 0);
	cr_assert_eq(sessions(), 0);
}

Test(session_life, a_detach_with_will_publishes_it_now)
{
	peer_connect(&p);
	cr_assert_eq(peer_detach(&p, 100, true), 204);
	cr_assert_eq(peer_expect(&watcher, "gone")->qos, 1);
	cr_assert_eq(world_metric(SQ_M_WILLS), 1);
	world_pass(&w, 200000);
	peer_expect_nothing(&watcher);
}

Test(session_life, a_will_to_a_reserved_topic_reaches_nobody)
{
	cr_assert_eq(peer_subscribe(&watcher, "$SYS/will", 1), 1);
	p.will_topic = "$SYS/will";
	peer_connect(&p);
	cr_assert_eq(peer_detach(&p, 100, true), 204);
	world_pass(&w, 1000);
	peer_expect_nothing(&watcher);
	cr_expect_eq(world_metric(SQ_M_REFUSED_BY_TOPIC), 1);
}

Test(session_life, a_will_waits_for_its_delay)
{
	p.will_delay_s = 20;
	peer_connect(&p);
	cr_assert_eq(peer_detach(&p, 100, true), 204);
	world_pass(&w, 19900);
	peer_expect_nothing(&watcher);
	world_pass(&w, 200);
	peer_expect(&watcher, "gone");
}

Test(session_life, a_will_comes_no_later_than_the_session_ends)
{
	p.will_delay_s = 500;
	peer_connect(&p);
	cr_assert_eq(peer_detach(&p, 50, true), 204);
	world_pass(&w, 49900);
	peer_expect_nothing(&watcher);
	world_pass(&w, 200);
	peer_expect(&watcher, "gone");
	cr_assert_eq(sessions(), 0);
}

Test(session_life, a_client_back_in_time_has_no_will_published)
{
	p.will_delay_s = 20;
	peer_connect(&p);
	cr_assert_eq(peer_detach(&p, 100, true), 204);
	world_pass(&w, 10000);
	p.will = NULL;
	peer_connect(&p);
	world_pass(&w, 100000);
	peer_expect_nothing(&watcher);
}

Test(session_life, a_clean_start_publishes_a_will_that_waits)
{
	p.will_delay_s = 20;
	peer_connect(&p);
	cr_assert_eq(peer_detach(&p, 100, true), 204);
	p.flags |= SQ_ATTACH_CLEAN_START;
	p.will = NULL;
	peer_connect(&p);
	peer_expect(&watcher, "gone");
}

Test(session_life, a_taken_over_connection_publishes_its_will)
{
	struct peer other;

	peer_connect(&p);
	other = peer_other(&p);
	peer_connect(&other);
	peer_expect(&watcher, "gone");
	p.will_delay_s = 10;
	peer_connect(&p);
	peer_expect_nothing(&watcher);
	other.ordinal = p.ordinal;
	peer_connect(&other); /* the reconnect is within the delay */
	world_pass(&w, 20000);
	peer_expect_nothing(&watcher);
}

Test(session_life, a_take_over_while_a_put_waits_publishes_the_will)
{
	struct entry e = {.topic = "t", .payload = "x", .qos = 1};
	struct fake_call *batch, *put, *theirs;
	struct peer other;

	peer_connect(&p);
	held_engine_hold(true);
	batch = peer_post(&p, 1, &e, 1);
	put = peer_put(&p); /* the same connection over another link */
	other = peer_other(&p);
	other.ordinal = 1;
	theirs = peer_put(&other);
	held_engine_hold(false);
	held_engine_release(SQ_OK);
	call_expect(&batch, 200);
	call_expect_verdict(&put, SQ_VERDICT_SUPERSEDED);
	cr_assert_eq(peer_attached(&other, &theirs), 200);
	peer_expect(&watcher, "gone");
}

Test(session_life, an_attach_of_the_same_connection_publishes_no_will)
{
	peer_connect(&p);
	cr_assert_eq(peer_attach(&p), 200);
	world_close_link(&w, 0);
	p.link = 1;
	cr_assert_eq(peer_attach(&p), 200);
	world_pass(&w, 100000);
	peer_expect_nothing(&watcher);
	cr_assert_eq(peer_detach(&p, 0, true), 204);
	peer_expect(&watcher, "gone");
}

Test(session_life, a_lost_link_has_its_grace)
{
	peer_connect(&p);
	cr_assert_eq(peer_subscribe(&p, "t", 1), 1);
	world_close_link(&w, 0);
	cr_assert_eq(world_metric(SQ_M_ATTACHED), 1);
	world_pass(&w, 29900);
	peer_expect_nothing(&watcher);
	cr_assert_eq(peer_publish(&watcher, "t", "zero", 0), 0);
	world_pass(&w, 200);
	peer_expect(&watcher, "gone");
	cr_assert_eq(sessions(), 1, "it waits for its expiry");
	cr_assert_eq(peer_publish(&watcher, "t", "offline", 0), 0);
	p.link = 1;
	p.will = NULL;
	peer_connect(&p);
	cr_assert(p.present);
	peer_expect(&p, "zero"); /* QoS 0 is for those who are there, or nearly */
	peer_expect_nothing(&p);
}

/* For the end of links that no session has, in us. */
static uint64_t
links_end(unsigned n)
{
	uint64_t begin_us = sq_clock_us();

	for (unsigned i = 0; i < n; i++) {
		struct sq_outlet *link = fake_link_new(0);

		sq_outlet_close(link);
		sq_broker_outlet_closed(w.broker, link);
		world_run();
		sq_outlet_unref(&link);
	}
	return sq_clock_us() - begin_us;
}

Test(session_life, the_end_of_a_link_costs_nothing_for_sessions_of_others)
{
	enum { OTHERS = 4000, LINKS = 2000 };
	static char keys[OTHERS][32];
	uint64_t alone_us = links_end(LINKS), among_us;

	for (unsigned i = 0; i < OTHERS; i++) {
		struct peer o;

		snprintf(keys[i], sizeof keys[i], "s~w~o%u~pod", i);
		o = peer_new(&w, keys[i]);
		o.link = 1;
		peer_connect(&o);
	}
	among_us = links_end(LINKS);
	cr_assert_lt(among_us, 20 * (alone_us + 1000), "%llu us among %d others, %llu us alone",
	    (unsigned long long)among_us, OTHERS, (unsigned long long)alone_us);
	cr_assert_eq(world_metric(SQ_M_ATTACHED), 1 + OTHERS);
}

Test(session_life, a_session_without_expiry_ends_with_its_grace)
{
	struct peer t = peer_new(&w, "s~w~t~pod");

	t.will = "gone";
	t.will_qos = 1;
	t.will_delay_s = 1000;
	peer_connect(&t);
	world_close_link(&w, 0);
	world_pass(&w, 30100);
	peer_expect(&watcher, "gone");
	cr_assert_eq(sessions(), 0);
	cr_assert_eq(world_metric(SQ_M_WILLS), 1);
}

Test(session_life, a_detach_without_expiry_ends_the_session_at_once)
{
	peer_connect(&p);
	cr_assert_eq(peer_detach(&p, 0, true), 204);
	cr_assert_eq(sessions(), 0);
	peer_expect(&watcher, "gone");
	p.will = NULL;
	peer_connect(&p);
	cr_assert_not(p.present);
}

Test(session_life, an_expiry_counts_from_the_lost_connection)
{
	p.will = NULL;
	p.expiry_s = 100;
	peer_connect(&p);
	world_close_link(&w, 0);
	world_pass(&w, 99900);
	cr_assert_eq(sessions(), 1);
	world_pass(&w, 300);
	cr_assert_eq(sessions(), 0);
}

Test(session_life, no_expiry_is_longer_than_the_brokers)
{
	p.will = NULL;
	p.expiry_s = UINT32_MAX;
	peer_connect(&p);
	cr_assert_eq(peer_detach(&p, UINT32_MAX, false), 204);
	world_pass(&w, 999900);
	cr_assert_eq(sessions(), 1);
	world_pass(&w, 300);
	cr_assert_eq(sessions(), 0);
}

Test(session_life, a_detach_comes_after_its_numbers)
{
	struct entry one = {.topic = "will", .payload = "1", .qos = 1};
	struct entry two = {.topic = "will", .payload = "2", .qos = 1};
	struct fake_call *first, *second, *detach, *late;

	p.will = NULL;
	peer_connect(&p);
	p.next[1] = 3;
	detach = peer_detach_post(&p, 100, false);
	second = peer_batch(&p, 1, 7, 2, 0, &two, 1);
	late = peer_batch(&p, 1, 7, 4, 0, &two, 1);
	world_run();
	cr_assert_eq(detach->answers, 0);
	held_engine_hold(true);
	first = peer_batch(&p, 1, 7, 1, 0, &one, 1);
	world_run();
	cr_assert_eq(detach->answers, 0, "not before the commit");
	held_engine_hold(false);
	while (held_engine_waiting() > 0)
		held_engine_release(SQ_OK);
	call_expect(&first, 200);
	call_expect(&second, 200);
	call_expect(&detach, 204);
	call_expect_verdict(&late, SQ_VERDICT_EPOCH);
	peer_expect(&watcher, "1");
	peer_expect(&watcher, "2");
	cr_assert_eq(world_metric(SQ_M_ATTACHED), 1);
}

Test(session_life, a_detach_that_ends_the_session_refuses_what_waits_behind_it)
{
	struct entry one = {.topic = "x", .payload = "1", .qos = 1};
	struct fake_call *first, *detach, *late[2];

	p.will = NULL;
	peer_connect(&p);
	p.next[1] = 2;
	detach = peer_detach_post(&p, 0, false);
	late[0] = peer_batch(&p, 1, 7, 5, 0, &one, 1);
	late[1] = peer_detach_post(&p, 0, false);
	first = peer_batch(&p, 1, 7, 1, 0, &one, 1);
	call_expect(&first, 200);
	call_expect(&detach, 204);
	call_expect_verdict(&late[0], SQ_VERDICT_EPOCH);
	call_expect_verdict(&late[1], SQ_VERDICT_EPOCH);
	cr_assert_eq(sessions(), 0);
}

Test(session_life, messages_wait_for_a_detached_session)
{
	p.will = NULL;
	peer_connect(&p);
	cr_assert_eq(peer_subscribe(&p, "t", 2), 2);
	cr_assert_eq(peer_publish(&watcher, "t", "sent", 1), 0);
	peer_expect(&p, "sent");
	cr_assert_eq(peer_detach(&p, 100, false), 204);
	cr_assert_eq(peer_publish(&watcher, "t", "1", 1), 0);
	cr_assert_eq(peer_publish(&watcher, "t", "0", 0), 0);
	cr_assert_eq(peer_publish(&watcher, "t", "2", 2), 0);
	peer_connect(&p);
	cr_assert(peer_expect(&p, "sent")->redelivered);
	cr_assert_not(peer_expect(&p, "1")->redelivered);
	cr_assert_eq(peer_expect(&p, "2")->qos, 2);
	peer_expect_nothing(&p);
}

Test(session_life, a_session_ends_when_it_expires_whatever_is_running)
{
	struct entry e = {.topic = "x", .payload = "1", .qos = 1};
	struct fake_call *batch;

	p.will = NULL;
	p.expiry_s = 40;
	peer_connect(&p);
	held_engine_hold(true);
	batch = peer_post(&p, 1, &e, 1);
	world_close_link(&w, 0);
	world_pass(&w, 41000);
	cr_assert_eq(sessions(), 0);
	cr_assert_eq(batch->answers, 0);
	held_engine_hold(false);
	held_engine_release(SQ_OK);
	call_expect(&batch, 200);
}

Test(session_life, a_draining_broker_takes_nothing_new_and_says_when_it_is_empty)
{
	struct entry e = {.topic = "will", .payload = "x", .qos = 1};
	struct fake_delivery *d;
	struct fake_call *c;
	struct peer late = peer_new(&w, "s~w~late");

	cr_assert_eq(peer_publish(&watcher, "will", "1", 1), 0);
	d = peer_expect(&watcher, "1");
	sq_broker_drain(w.broker);
	world_pass(&w, 1000);
	cr_assert_not(sq_broker_drained(w.broker), "one delivery is unfinished");
	late.ordinal = 1;
	c = peer_put(&late);
	world_run();
	cr_assert_gt(c->call.retry_after_s, 0);
	call_expect(&c, 503);
	c = peer_post(&watcher, 1, &e, 1);
	call_expect(&c, 503);
	cr_assert_eq(peer_settle(&watcher, SQ_SETTLE_ACK, d->delivery, 1), 204);
	world_pass(&w, 1000);
	cr_assert(sq_broker_drained(w.broker));
	watcher.next[1]--; /* its last batch was not admitted */
	cr_assert_eq(peer_detach(&watcher, 0, false), 204);
}

/* A broker that lost its memory must not take what has nobody to go to yet. */
Test(session_life, messages_wait_until_sessions_are_back_after_a_start)
{
	struct peer back, fresh;
	struct entry e = {.topic = "t", .payload = "x", .qos = 1};
	struct fake_call *c;

	world_stop(&w);
	world_init(&w);
	w.cfg.recovery_ms = 5000;
	world_start(&w, 1);
	fresh = peer_new(&w, "s~w~fresh~pod");
	peer_connect(&fresh);
	cr_assert_eq(peer_publish(&fresh, "t", "x", 1), 0x10, "nobody comes back: nothing waits");
	back = peer_new(&w, "s~w~back~pod");
	back.ordinal = 1;
	back.incarnation = 77;
	cr_assert_eq(peer_attach(&back), 200);
	c = peer_post(&fresh, 1, &e, 1);
	call_expect(&c, 503);
	fresh.next[1]--; /* it was not admitted */
	world_pass(&w, 6000);
	cr_assert_eq(peer_publish(&fresh, "t", "x", 1), 0x10);
}

/* The answer to a detach may get lost: what its sidecar then says again must not
 * bring the will a second time. */
Test(session_life, a_connection_that_has_left_does_not_come_back)
{
	struct peer gone = peer_new(&w, "s~w~gone");

	gone.will = "once";
	peer_connect(&gone);
	cr_assert_eq(peer_detach(&gone, 100, true), 204);
	cr_assert_eq(world_metric(SQ_M_WILLS), 1);
	cr_assert_eq(peer_attach(&gone), 409, "the same ordinal, its next attempt");
	peer_connect(&gone);
	cr_assert(gone.present, "a new connection of the client is welcome");
	cr_assert_eq(world_metric(SQ_M_WILLS), 1);
}

Test(session_life, the_end_leaves_nothing_over)
{
	struct peer many[6];
	char keys[6][24];

	for (unsigned i = 0; i < 6; i++) {
		snprintf(keys[i], sizeof keys[i], i % 2 ? "s~w~%u~pod" : "s~w~%u", i);
		many[i] = peer_new(&w, keys[i]);
		many[i].will = "never";
		peer_connect(&many[i]);
		cr_assert_eq(peer_subscribe(&many[i], "a/#", 2), 2);
		cr_assert_eq(peer_subscribe(&many[i], "$share/g/a/#", 2), 2);
		cr_assert_eq(peer_sub(&many[i],
				 &(struct sq_sub){.op = SQ_SUB_SUBSCRIBE,
				     .options = 1,
				     .flags = SQ_SUB_DECLARED | SQ_SUB_CONSUME | SQ_SUB_DURABLE,
				     .queue_expiry_s = 99,
				     .group = text("g"),
				     .filter = text("a/b")}),
		    1);
	}
	for (unsigned i = 0; i < 6; i++) {
		for (uint8_t qos = 0; qos <= 2; qos++)
			cr_assert_eq(peer_publish(&many[i], "a/b", "x", qos), 0);
	}
	cr_assert_eq(peer_retain(&many[0], "a/r", "x", 1), 0);
	cr_assert_eq(peer_detach(&many[2], 100, true), 204);
	world_close_link(&w, 0);
	/* teardown stops and counts; no will may come */
	cr_assert_eq(world_metric(SQ_M_WILLS), 1, "the one that was asked for");
}

/* A sidecar that does not know what the client has subscribed to is told, by its first request
 * under the attachment, when the answer to the PUT has surely come. */
Test(session_life, what_is_subscribed_to_is_told_to_a_new_sidecar)
{
	static const char told[] = "a/# 14 9\n$share/g/b 1 0\n$dead/# 1 0\n$tag/red 0 0\n.\n";
	struct peer again;

	p.will = NULL;
	peer_connect(&p);
	cr_assert_eq(peer_sub(&p,
			 &(struct sq_sub){.op = SQ_SUB_SUBSCRIBE,
			     .options = 2 | 4 | 8,
			     .sub_id = 9,
			     .filter = text("a/#")}),
	    2);
	cr_assert_eq(peer_subscribe(&p, "$share/g/b", 1), 1);
	cr_assert_eq(peer_subscribe(&p, "$dead/#", 1), 1);
	cr_assert_eq(peer_subscribe(&p, "$tag/red", 0), 0);
	cr_assert_eq(peer_sub(&p,
			 &(struct sq_sub){.op = SQ_SUB_SUBSCRIBE,
			     .options = 1,
			     .flags = SQ_SUB_DECLARED | SQ_SUB_CONSUME,
			     .group = text("g"),
			     .filter = text("declared")}),
	    1);
	cr_expect_str_eq(fake_link_kept(w.links[0]), "", "who has asked for it knows it");
	again = peer_other(&p);
	again.link = 1;
	again.ordinal = 1;
	again.flags = SQ_ATTACH_TELL;
	cr_assert_eq(peer_attach(&again), 200);
	cr_assert(again.present);
	cr_expect_str_eq(fake_link_kept(w.links[1]), "", "it may not know its epoch yet");
	cr_assert_eq(peer_credit(&again, 10, 1000), 204);
	cr_expect_str_eq(fake_link_kept(w.links[1]), told);
	cr_assert_eq(peer_credit(&again, 20, 2000), 204);
	cr_expect_str_eq(fake_link_kept(w.links[1]), told, "once");
	/* The link went before that came: it asks again, over another one. */
	again.link = 0;
	cr_assert_eq(peer_attach(&again), 200);
	cr_assert_eq(peer_credit(&again, 10, 1000), 204);
	cr_expect_str_eq(fake_link_kept(w.links[0]), told);
	again.flags = 0;
	cr_assert_eq(peer_attach(&again), 200);
	cr_assert_eq(peer_credit(&again, 10, 1000), 204);
	cr_expect_str_eq(fake_link_kept(w.links[0]), told, "who does not ask knows it");
}
