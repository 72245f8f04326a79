/* Sessions and groups over restarts of the broker, at each point of a crash. */
#include <stdio.h>
#include <string.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "broker/engine/record.h"

uint64_t __wrap_sq_clock_wall_ms(void);

static struct world w;
static struct peer pub; /* transient */
static uint64_t wall_ms;

/* The wall clock goes on while no broker runs. */
uint64_t
__wrap_sq_clock_wall_ms(void)
{
	return wall_ms + fake_now();
}

static void
begin(void)
{
	world_start(&w, 1);
	pub = peer_new(&w, "s~w~publisher~pod");
	pub.link = 1;
	peer_connect(&pub);
}

static void
setup(void)
{
	wall_ms = UINT64_C(1700000000000);
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = &stored_engine;
	begin();
}

static void
teardown(void)
{
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(session_restore, .init = setup, .fini = teardown);

/* An orderly end, and another start so much later. */
static void
restart(uint64_t later_ms)
{
	stored_engine_hold(false);
	wall_ms += fake_now() + later_ms;
	world_stop(&w);
	wall_ms -= 1000000; /* where the fake clock begins again */
	begin();
}

static void
crash(void)
{
	stored_engine_crash();
	restart(0);
}

/* A crash before the answer to 'c' has left. */
static void
crash_before(struct fake_call **c)
{
	stored_engine_crash();
	world_run();
	fake_call_free(c);
	restart(0);
}

/* The sidecar comes back with what its client has. */
static void
again(struct peer *p)
{
	cr_assert_eq(peer_attach(p), 200);
	cr_assert_eq(peer_credit(p, 1000, 1 << 20), 204);
}

static void
end(struct peer *p)
{
	cr_assert_eq(peer_detach(p, 0, false), 204);
}

/* What is in the store beside what the publisher has there. */
static void
expect_store(size_t records, size_t queues)
{
	end(&pub);
	world_run();
	cr_assert_eq(
	    stored_engine_records(0), records, "%zu records are there", stored_engine_records(0));
	cr_assert_eq(stored_engine_queues(), queues);
	peer_connect(&pub);
}

static void
expect_empty_store(void)
{
	expect_store(0, 0);
	cr_assert_eq(stored_engine_items(), 0);
}

/* --- the session --- */

Test(session_restore, a_durable_session_is_there_again_with_all_it_has)
{
	struct peer s = peer_new(&w, "s~w~c");
	struct fake_delivery *d;
	struct sq_sub sub = {.op = SQ_SUB_SUBSCRIBE, .options = 1, .sub_id = 7};

	peer_connect(&s);
	sub.filter = text("a/+");
	cr_assert_eq(peer_sub(&s, &sub), 1);
	cr_assert_eq(peer_subscribe(&s, "b", 2), 2);
	cr_assert_eq(peer_subscribe(&s, "c", 2), 2);
	cr_assert_eq(peer_unsubscribe(&s, "c"), 0);
	cr_assert_eq(peer_detach(&s, 3600, false), 204);
	cr_assert_eq(peer_publish(&pub, "a/1", "waits", 1), 0);
	crash();
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 2);
	cr_assert_eq(peer_publish(&pub, "b", "later", 2), 0);
	cr_assert_eq(peer_publish(&pub, "c", "no", 1), 0x10);
	peer_connect(&s);
	cr_assert(s.present);
	d = peer_expect(&s, "waits");
	cr_assert_eq(d->n_subs, 1);
	cr_assert_eq(d->subs[0], 7);
	peer_expect(&s, "later");
	end(&s);
	expect_empty_store();
}

/* For an older broker what begins with $queue/ was a plain filter: its sessions are there again, and
 * may leave it. */
Test(session_restore, what_was_no_name_of_a_queue_is_a_plain_filter_still)
{
	enum { FILTER_AT = 32, BIT = 'd' ^ '$' };
	struct peer s = peer_new(&w, "s~w~c");

	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "dqueue/#", 1), 1);
	cr_assert_eq(peer_subscribe(&s, "dqueue/+/x", 1), 1);
	cr_assert_eq(peer_detach(&s, 3600, false), 204);
	world_run();
	wall_ms += fake_now();
	world_stop(&w);
	wall_ms -= 1000000;
	stored_engine_clear(SQ_RECORD_SUBSCRIPTION, FILTER_AT, BIT);
	begin();
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 2);
	peer_connect(&s);
	cr_assert(s.present);
	cr_assert_eq(peer_subscribe(&s, "$queue/#", 1), 0x8f);
	cr_assert_eq(peer_unsubscribe(&s, "$queue/#"), 0);
	cr_assert_eq(peer_unsubscribe(&s, "$queue/+"), 0x11);
	end(&s);
	expect_empty_store();
}

Test(session_restore, a_put_is_answered_after_its_commit)
{
	struct peer s = peer_new(&w, "s~w~c");
	struct fake_call *c;

	s.ordinal = 1;
	stored_engine_hold(true);
	c = peer_put(&s);
	world_run();
	cr_assert_eq(c->answers, 0);
	stored_engine_release();
	cr_assert_eq(peer_attached(&s, &c), 200);
	stored_engine_hold(false);
	crash();
	again(&s);
	cr_assert_eq(stored_engine_records(SQ_RECORD_SESSION), 1);
	end(&s);
	expect_empty_store();
}

Test(session_restore, a_put_that_was_not_committed_made_no_session)
{
	struct peer s = peer_new(&w, "s~w~c");
	struct fake_call *c;

	s.ordinal = 1;
	stored_engine_hold(true);
	c = peer_put(&s);
	world_run();
	cr_assert_eq(stored_engine_waiting(), 1);
	crash_before(&c);
	cr_assert_eq(world_metric(SQ_M_SESSIONS), 1);
	expect_empty_store();
}

Test(session_restore, a_newer_put_replaces_one_that_waits_for_its_commit)
{
	struct peer s = peer_new(&w, "s~w~c"), o;
	struct fake_call *first, *second;

	o = peer_other(&s);
	s.ordinal = o.ordinal = 1;
	stored_engine_hold(true);
	first = peer_put(&s);
	world_run();
	second = peer_put(&o);
	call_expect_verdict(&first, SQ_VERDICT_SUPERSEDED);
	stored_engine_release();
	world_run();
	cr_assert_eq(second->answers, 0);
	stored_engine_release();
	cr_assert_eq(peer_attached(&o, &second), 200);
	stored_engine_hold(false);
	cr_assert_eq(peer_credit(&o, 1, 1), 204);
	end(&o);
	expect_empty_store();
}

Test(session_restore, a_link_lost_before_the_commit_leaves_the_session_in_grace)
{
	struct peer s = peer_new(&w, "s~w~c");
	struct fake_call *c;

	s.ordinal = 1;
	stored_engine_hold(true);
	c = peer_put(&s);
	world_run();
	world_close_link(&w, 0);
	call_expect_verdict(&c, SQ_VERDICT_EPOCH);
	stored_engine_release();
	world_run();
	cr_assert_eq(world_metric(SQ_M_ATTACHED), 1);
	s.link = 1;
	stored_engine_hold(false);
	again(&s);
	end(&s);
	expect_empty_store();
}

Test(session_restore, a_clean_start_leaves_nothing_of_the_session_before)
{
	struct peer s = peer_new(&w, "s~w~c");
	uint64_t incarnation;

	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "a", 2), 2);
	cr_assert_eq(peer_publish(&pub, "a", "old", 2), 0);
	peer_expect(&s, "old");
	incarnation = s.incarnation;
	s.flags |= SQ_ATTACH_CLEAN_START;
	peer_connect(&s);
	cr_assert_neq(s.incarnation, incarnation);
	expect_store(1, 1);
	incarnation = s.incarnation;
	crash();
	again(&s); /* the same connection: not cleaned again */
	cr_assert_eq(s.incarnation, incarnation);
	end(&s);
	expect_empty_store();
}

Test(session_restore, the_end_of_a_session_leaves_no_record)
{
	struct peer s = peer_new(&w, "s~w~c");
	struct entry e = {.topic = "a", .payload = "1", .qos = 2, .id = 5};

	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "a", 2), 2);
	cr_assert_eq(peer_subscribe(&s, "$share/g/a", 2), 2);
	cr_assert_eq(peer_send(&s, &e), 0);
	world_run();
	cr_assert_eq(stored_engine_records(SQ_RECORD_HELD), 1);
	cr_assert_eq(stored_engine_records(SQ_RECORD_LANE), 1);
	cr_assert_eq(stored_engine_records(SQ_RECORD_OPEN), 2);
	cr_assert_eq(stored_engine_records(SQ_RECORD_SUBSCRIPTION), 2);
	cr_assert_eq(stored_engine_records(SQ_RECORD_GROUP), 1);
	cr_assert_eq(stored_engine_records(SQ_RECORD_BINDING), 1);
	end(&s);
	expect_store(1, 1); /* what the share's member has not finished is a dead letter */
}

Test(session_restore, a_transient_connect_ends_a_restored_session)
{
	struct peer s = peer_new(&w, "s~w~c"), t = peer_new(&w, "s~w~c~pod");
	struct fake_call *c;

	peer_connect(&s);
	crash();
	stored_engine_hold(true);
	t.ordinal = 1;
	c = peer_put(&t);
	world_run();
	cr_assert_eq(c->answers, 0, "the end is not committed");
	stored_engine_release();
	cr_assert_eq(peer_attached(&t, &c), 200);
	stored_engine_hold(false);
	expect_empty_store();
}

Test(session_restore, a_superseded_holder_does_not_come_back_after_a_restart)
{
	struct peer s = peer_new(&w, "s~w~c"), o = peer_other(&s);
	struct fake_call *c;

	peer_connect(&s);
	o.link = 0;
	peer_connect(&o);
	crash();
	c = peer_put(&s);
	call_expect_verdict(&c, SQ_VERDICT_SUPERSEDED);
	again(&o);
	crash();
	peer_connect(&s); /* a newer connection does: takeover after a restart */
	c = peer_put(&o);
	call_expect_verdict(&c, SQ_VERDICT_SUPERSEDED);
	end(&s);
	expect_empty_store();
}

Test(session_restore, a_client_that_left_does_not_come_back)
{
	struct peer s = peer_new(&w, "s~w~c");
	struct fake_call *c;

	peer_connect(&s);
	stored_engine_hold(true);
	c = peer_detach_post(&s, 3600, false);
	world_run();
	cr_assert_eq(c->answers, 0);
	stored_engine_release();
	call_expect(&c, 204);
	crash();
	c = peer_put(&s);
	call_expect_verdict(&c, SQ_VERDICT_SUPERSEDED);
	peer_connect(&s);
	end(&s);
	expect_empty_store();
}

Test(session_restore, a_sick_store_is_said_to_durable_sessions_only)
{
	struct peer s = peer_new(&w, "s~w~c"), t = peer_new(&w, "s~w~d~pod");

	stored_engine_sick(true);
	s.ordinal = 1;
	cr_assert_eq(peer_attach(&s), 507);
	peer_connect(&t);
	stored_engine_sick(false);
	peer_connect(&s);
	end(&s);
	expect_empty_store();
}

/* All that would have a record of its own. */
Test(session_restore, a_full_store_takes_nothing_new_and_whatever_ends_something)
{
	static const char *const delay[] = {"sqmqos-delay", "60", NULL};
	static const char *const key[] = {"sqmqos-qos", "3", "sqmqos-key", "k", NULL};
	struct entry delayed = {.topic = "t", .payload = "x", .qos = 1, .props = delay};
	struct entry keyed = {.topic = "t", .payload = "x", .qos = 2, .id = 9, .props = key};
	struct entry held = {.topic = "nobody", .payload = "x", .qos = 2, .id = 10};
	struct peer s = peer_new(&w, "s~w~c"), fresh = peer_new(&w, "s~w~fresh");
	struct peer t = peer_new(&w, "s~w~d~pod"), other = peer_new(&w, "s~w~e~pod");
	size_t records;

	peer_connect(&s);
	peer_connect(&t);
	peer_connect(&other);
	cr_assert_eq(peer_subscribe(&s, "t", 2), 2);
	cr_assert_eq(peer_subscribe(&t, "$share/g/a", 1), 1);
	cr_assert_eq(peer_retain(&pub, "r", "kept", 1), 0);
	cr_assert_eq(peer_publish(&pub, "t", "in time", 1), 0);
	peer_expect(&s, "in time");
	world_run();
	records = stored_engine_records(0);

	stored_engine_full(true);
	cr_assert_eq(peer_publish(&pub, "t", "x", 1), 0x97);
	cr_assert_eq(peer_retain(&pub, "r", "other", 1), 0x97);
	cr_assert_eq(peer_retain(&pub, "r2", "other", 0), 0x97);
	cr_assert_eq(peer_send(&pub, &delayed), 0x97);
	cr_assert_eq(peer_send(&pub, &keyed), 0x97);
	cr_assert_eq(peer_send(&s, &held), 0x97);
	cr_assert_eq(peer_subscribe(&s, "u", 1), 0x97);
	cr_assert_not_null(strstr(s.note, "store"), "%s", s.note);
	cr_assert_eq(peer_subscribe(&t, "$share/h/a", 1), 0x97);
	fresh.ordinal = 1;
	cr_assert_eq(peer_attach(&fresh), 429);
	world_run();
	cr_assert_leq(stored_engine_records(0), records + 2, "lanes of who publishes");

	/* who is there goes on, and what needs nothing */
	again(&s);
	cr_assert_eq(peer_subscribe(&s, "t", 1), 1);
	cr_assert_eq(peer_subscribe(&other, "plain", 1), 1);
	cr_assert_eq(peer_subscribe(&other, "$share/g/a", 1), 1, "it takes from what is there");
	cr_assert_eq(peer_publish(&pub, "plain", "x", 1), 0);
	peer_expect(&other, "x");

	/* and what ends something */
	cr_assert_eq(peer_retain(&pub, "r", "", 1), 0);
	cr_assert_eq(peer_unsubscribe(&s, "t"), 0);
	cr_assert_eq(peer_unsubscribe(&other, "$share/g/a"), 0);
	cr_assert_eq(peer_unsubscribe(&t, "$share/g/a"), 0);
	end(&s);
	expect_empty_store();
	stored_engine_full(false);
	peer_connect(&fresh);
	end(&fresh);
	expect_empty_store();
}

Test(session_restore, what_is_due_waits_in_a_full_store_where_it_would_take_more_room)
{
	static const char *const delay[] = {"sqmqos-delay", "60", NULL};
	struct entry both = {.topic = "both", .payload = "1", .qos = 1, .props = delay};
	struct entry one = {.topic = "one", .payload = "2", .qos = 1, .props = delay};
	struct peer s = peer_new(&w, "s~w~c"), t = peer_new(&w, "s~w~d");

	peer_connect(&s);
	peer_connect(&t);
	cr_assert_eq(peer_subscribe(&s, "both", 1), 1);
	cr_assert_eq(peer_subscribe(&t, "both", 1), 1);
	cr_assert_eq(peer_subscribe(&t, "one", 1), 1);
	cr_assert_eq(peer_send(&pub, &both), 0);
	both.payload = "3";
	cr_assert_eq(peer_send(&pub, &both), 0);
	cr_assert_eq(peer_send(&pub, &one), 0);
	stored_engine_full(true);
	world_pass(&w, 61000);
	peer_expect(&t, "2"); /* it takes no more than before */
	peer_expect_nothing(&t);
	peer_expect_nothing(&s);
	cr_assert_eq(stored_engine_records(SQ_RECORD_DELAYED), 2);
	stored_engine_full(false);
	world_pass(&w, 1000);
	peer_expect(&s, "1");
	peer_expect(&s, "3");
	peer_expect(&t, "1");
	peer_expect(&t, "3");
	cr_assert_eq(stored_engine_records(SQ_RECORD_DELAYED), 0);
	end(&s);
	end(&t);
}

Test(session_restore, a_greater_will_finds_no_room_in_a_full_store)
{
	struct peer s = peer_new(&w, "s~w~c");

	s.will = "as before";
	peer_connect(&s);
	stored_engine_full(true);
	peer_connect(&s);
	s.will = "greater than before";
	s.ordinal++;
	cr_assert_eq(peer_attach(&s), 507);
	stored_engine_full(false);
	peer_connect(&s);
	end(&s);
	expect_empty_store();
}

/* To end the durable session of its client id takes a commit. */
Test(session_restore, a_sick_store_is_said_to_who_ends_a_durable_session)
{
	struct peer s = peer_new(&w, "s~w~c"), t = peer_new(&w, "s~w~c~pod");

	peer_connect(&s);
	stored_engine_sick(true);
	t.ordinal = 1;
	cr_assert_eq(peer_attach(&t), 507);
	stored_engine_sick(false);
	peer_connect(&t);
	end(&t);
	expect_empty_store();
}

/* --- wills and expiry --- */

static struct peer
watcher(void)
{
	struct peer t = peer_new(&w, "s~w~watcher~pod");

	t.link = 1;
	peer_connect(&t);
	cr_assert_eq(peer_subscribe(&t, "will", 0), 0);
	return t;
}

Test(session_restore, an_attached_session_is_in_grace_after_a_restart)
{
	struct peer s = peer_new(&w, "s~w~c"), t;

	s.will = "bye";
	peer_connect(&s);
	restart(3600000); /* an orderly end publishes no will */
	t = watcher();
	world_pass(&w, 29000);
	peer_expect_nothing(&t);
	world_pass(&w, 2000);
	peer_expect(&t, "bye");
	crash();
	t = watcher();
	world_pass(&w, 3700000);
	peer_expect_nothing(&t);
	expect_empty_store();
}

Test(session_restore, a_delayed_will_keeps_its_time)
{
	struct peer s = peer_new(&w, "s~w~c"), t;

	s.will = "bye";
	s.will_delay_s = 600;
	peer_connect(&s);
	cr_assert_eq(peer_detach(&s, 3600, true), 204);
	restart(300000);
	t = watcher();
	world_pass(&w, 290000);
	peer_expect_nothing(&t);
	world_pass(&w, 20000);
	peer_expect(&t, "bye");
	crash();
	t = watcher();
	world_pass(&w, 4000000);
	peer_expect_nothing(&t);
	expect_empty_store();
}

Test(session_restore, a_session_that_expired_meanwhile_ends_with_its_will)
{
	struct peer s = peer_new(&w, "s~w~c"), t;

	s.will = "bye";
	s.will_delay_s = 600;
	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "a", 1), 1);
	cr_assert_eq(peer_publish(&pub, "a", "1", 1), 0);
	cr_assert_eq(peer_detach(&s, 60, true), 204);
	restart(120000);
	t = watcher();
	world_pass(&w, 1000);
	peer_expect(&t, "bye");
	expect_empty_store();
}

Test(session_restore, a_session_that_never_expires_does_not)
{
	struct peer s = peer_new(&w, "s~w~c");

	w.cfg.session_expiry_max_s = UINT32_MAX;
	restart(0);
	s.expiry_s = UINT32_MAX;
	peer_connect(&s);
	cr_assert_eq(peer_detach(&s, UINT32_MAX, false), 204);
	restart(UINT64_C(86400000) * 400);
	world_pass(&w, 1000);
	cr_assert_eq(stored_engine_records(SQ_RECORD_SESSION), 1);
	peer_connect(&s);
	cr_assert(s.present);
	end(&s);
}

/* --- messages up --- */

Test(session_restore, a_publish_before_its_commit_never_was)
{
	struct peer p = peer_new(&w, "s~w~p"), s = peer_new(&w, "s~w~c");
	struct entry e = {.topic = "a", .payload = "1", .qos = 2, .id = 5};
	struct fake_call *c;

	peer_connect(&p);
	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "a", 2), 2);
	stored_engine_hold(true);
	c = peer_post(&p, 1, &e, 1);
	world_run();
	cr_assert_eq(c->answers, 0);
	crash_before(&c);
	again(&p);
	again(&s);
	cr_assert_eq(p.last[1], 0);
	cr_assert_eq(p.n_held, 0);
	peer_expect_nothing(&s);
}

static void
publish_once(struct peer *p)
{
	struct peer s = peer_new(&w, "s~w~c");
	struct entry e = {.topic = "a", .payload = "1", .qos = 2, .id = 5};
	struct entry release = {.id = 5};
	struct fake_call *c;

	peer_connect(p);
	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "a", 2), 2);
	stored_engine_hold(true);
	c = peer_post(p, 1, &e, 1);
	stored_engine_release(); /* and the answer never leaves */
	crash_before(&c);
	again(p);
	again(&s);
	peer_expect(&s, "1");
	cr_assert_eq(p->last[1], 1);
	cr_assert_eq(p->n_held, 1);
	cr_assert_eq(p->held[0], 5);
	c = peer_batch(p, 1, p->run[1], 1, 0, &e, 1);
	world_run();
	cr_assert_eq(fake_call_status(c), 200, "its outcome is kept");
	cr_assert_eq(call_outcome(c, 0), 0);
	fake_call_free(&c);
	p->run[1]++; /* a sidecar that has lost its memory */
	p->next[1] = 2;
	cr_assert_eq(peer_send(p, &e), 0);
	peer_expect_nothing(&s);
	stored_engine_hold(true); /* the release: before its commit */
	c = peer_post(p, 1, &release, 1);
	world_run();
	cr_assert_eq(c->answers, 0);
	crash_before(&c);
	again(p);
	cr_assert_eq(p->n_held, 1);
	p->run[1]++;
	p->next[1] = p->last[1] + 1; /* of a transient one less is known */
	stored_engine_hold(true);    /* and after it */
	c = peer_post(p, 1, &release, 1);
	stored_engine_release();
	crash_before(&c);
	again(p);
	cr_assert_eq(p->n_held, 0);
	cr_assert_eq(peer_send(p, &release), 0x92);
	end(p);
	cr_assert_eq(stored_engine_records(SQ_RECORD_HELD), 0);
	cr_assert_eq(stored_engine_records(SQ_RECORD_LANE), 0);
}

Test(session_restore, a_durable_publisher_publishes_once)
{
	struct peer p = peer_new(&w, "s~w~p");

	publish_once(&p);
}

Test(session_restore, a_transient_publisher_publishes_once)
{
	struct peer p = peer_new(&w, "s~w~p~pod");

	publish_once(&p);
}

Test(session_restore, a_transient_session_without_durable_subscribers_is_not_stored)
{
	struct peer p = peer_new(&w, "s~w~p~pod"), s = peer_new(&w, "s~w~c~pod");

	peer_connect(&p);
	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "a", 2), 2);
	cr_assert_eq(peer_publish(&p, "a", "1", 2), 0);
	peer_expect(&s, "1");
	expect_empty_store();
	cr_assert_eq(stored_engine_commits(), 0);
}

Test(session_restore, outcomes_leave_in_order_whatever_is_durable)
{
	struct peer p = peer_new(&w, "s~w~p~pod"), s = peer_new(&w, "s~w~c");
	struct entry durable = {.topic = "a", .payload = "1", .qos = 1};
	struct entry not_durable = {.topic = "b", .payload = "2", .qos = 1};
	struct fake_call *first, *second;

	peer_connect(&p);
	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "a", 1), 1);
	stored_engine_hold(true);
	first = peer_post(&p, 1, &durable, 1);
	second = peer_post(&p, 1, &not_durable, 1);
	world_run();
	cr_assert_eq(first->answers, 0);
	cr_assert_eq(second->answers, 0);
	stored_engine_release();
	call_expect(&first, 200);
	call_expect(&second, 200);
}

/* --- messages down --- */

/* A subscriber with one QoS 2 message on its way. */
static struct peer
subscriber(void)
{
	struct peer s = peer_new(&w, "s~w~c");

	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "a", 2), 2);
	return s;
}

static void
list_open(struct peer *p, struct sq_open_id *ids, uint16_t n)
{
	p->open = ids;
	p->n_open = n;
}

static struct sq_open_id
open_id(const struct fake_delivery *d)
{
	return (struct sq_open_id){
	    .packet_id = d->packet_id, .state = d->qos, .queue = d->queue, .origin = d->origin};
}

Test(session_restore, a_crash_before_the_announcement_is_committed)
{
	struct peer s = subscriber();
	struct fake_delivery *d;

	cr_assert_eq(peer_credit(&s, 1000, 1 << 20), 204);
	cr_assert_eq(peer_publish(&pub, "b", "none", 1), 0x10);
	stored_engine_hold(true);
	{
		struct entry e = {.topic = "a", .payload = "1", .qos = 2, .id = 9};
		struct fake_call *c = peer_post(&pub, 1, &e, 1);

		stored_engine_release();
		call_expect(&c, 200);
	}
	peer_expect_nothing(&s);
	cr_assert_eq(stored_engine_waiting(), 1);
	crash();
	again(&s);
	cr_assert_eq(s.n_listed, 0);
	d = peer_expect(&s, "1");
	cr_assert_not(d->redelivered);
	end(&s);
}

Test(session_restore, a_crash_between_announcement_and_frame)
{
	struct peer s = subscriber();
	struct entry e = {.topic = "a", .payload = "1", .qos = 2, .id = 9};
	struct fake_delivery *d;
	struct fake_call *c;

	stored_engine_hold(true);
	c = peer_post(&pub, 1, &e, 1);
	stored_engine_release();
	call_expect(&c, 200);
	stored_engine_release();
	crash();
	again(&s);
	cr_assert_eq(s.n_listed, 1);
	cr_assert_eq(s.listed[0].state, SQ_OPEN_QOS2);
	d = peer_expect(&s, "1");
	cr_assert_eq(d->packet_id, s.listed[0].packet_id);
	cr_assert_eq(d->delivery, s.listed[0].delivery);
	cr_assert(sq_origin_equal(&d->origin, &s.listed[0].origin));
	peer_expect_nothing(&s);
	end(&s);
}

Test(session_restore, a_crash_at_received_and_at_complete)
{
	struct peer s = subscriber();
	struct sq_open_id ids[1];
	struct fake_delivery *d;
	struct fake_call *c;

	cr_assert_eq(peer_publish(&pub, "a", "1", 2), 0);
	d = peer_expect(&s, "1");
	ids[0] = open_id(d);
	list_open(&s, ids, 1);
	stored_engine_hold(true); /* received: before its commit */
	c = peer_settle_post(&s, SQ_SETTLE_RECEIVED, d->delivery, 1);
	world_run();
	cr_assert_eq(c->answers, 0);
	crash_before(&c);
	again(&s);
	cr_assert_eq(s.listed[0].state, SQ_OPEN_QOS2);
	d = peer_expect(&s, "1");
	cr_assert_eq(d->packet_id, ids[0].packet_id);
	cr_assert(d->redelivered);
	stored_engine_hold(true); /* after it */
	c = peer_settle_post(&s, SQ_SETTLE_RECEIVED, d->delivery, 1);
	stored_engine_release();
	crash_before(&c);
	cr_assert_eq(stored_engine_items(), 0);
	again(&s);
	cr_assert_eq(s.n_listed, 1);
	cr_assert_eq(s.listed[0].state, SQ_OPEN_RECEIVED);
	peer_expect_nothing(&s);
	stored_engine_hold(true); /* complete: before its commit */
	c = peer_settle_post(&s, SQ_SETTLE_COMPLETE, s.listed[0].delivery, 1);
	world_run();
	crash_before(&c);
	again(&s);
	cr_assert_eq(s.listed[0].state, SQ_OPEN_RECEIVED);
	stored_engine_hold(true); /* after it */
	c = peer_settle_post(&s, SQ_SETTLE_COMPLETE, s.listed[0].delivery, 1);
	stored_engine_release();
	crash_before(&c);
	again(&s);
	cr_assert_eq(s.n_listed, 0, "what the client was not told");
	cr_assert_eq(stored_engine_records(SQ_RECORD_OPEN), 0);
	peer_expect_nothing(&s);
	end(&s);
	expect_empty_store();
}

/* Three messages, QoS 1, 2, 1, have left; the first frame is lost with the broker. */
Test(session_restore, what_is_sent_again_keeps_ids_and_order)
{
	struct peer s = subscriber();
	struct sq_open_id ids[2];
	struct fake_delivery *d;

	cr_assert_eq(peer_publish(&pub, "a", "1", 1), 0);
	peer_expect(&s, "1");
	cr_assert_eq(peer_publish(&pub, "a", "2", 2), 0);
	ids[0] = open_id(peer_expect(&s, "2"));
	cr_assert_eq(peer_publish(&pub, "a", "3", 1), 0);
	ids[1] = open_id(peer_expect(&s, "3"));
	list_open(&s, ids, 2);
	crash();
	cr_assert_eq(peer_attach(&s), 200);
	cr_assert_eq(s.n_listed, 2);
	cr_assert_eq(peer_credit(&s, 1000, 1 << 20), 204);
	d = peer_expect(&s, "1");
	cr_assert_not(d->redelivered);
	cr_assert_neq(d->packet_id, ids[0].packet_id);
	cr_assert_neq(d->packet_id, ids[1].packet_id);
	d = peer_expect(&s, "2");
	cr_assert_eq(d->packet_id, ids[0].packet_id);
	cr_assert(d->redelivered);
	d = peer_expect(&s, "3");
	cr_assert_eq(d->packet_id, ids[1].packet_id);
	cr_assert(d->redelivered);
	cr_assert_eq(peer_publish(&pub, "a", "4", 1), 0);
	peer_expect(&s, "4");
	world_close_link(&w, 0); /* no frame of these has arrived */
	s.link = 1;
	cr_assert_eq(peer_attach(&s), 200);
	cr_assert_eq(peer_credit(&s, 1000, 1 << 20), 204);
	peer_expect(&s, "1");
	peer_expect(&s, "2");
	peer_expect(&s, "3");
	peer_expect(&s, "4");
	end(&s);
	expect_empty_store();
}

Test(session_restore, what_the_client_finishes_before_it_comes_again_is_finished)
{
	struct peer s = subscriber();
	struct sq_open_id ids[1];

	cr_assert_eq(peer_publish(&pub, "a", "1", 1), 0);
	ids[0] = open_id(peer_expect(&s, "1"));
	list_open(&s, ids, 1);
	crash();
	cr_assert_eq(peer_attach(&s), 200);
	cr_assert_eq(s.n_listed, 1);
	cr_assert_eq(peer_settle(&s, SQ_SETTLE_ACK, s.listed[0].delivery, 1), 204);
	cr_assert_eq(peer_credit(&s, 1000, 1 << 20), 204);
	peer_expect_nothing(&s);
	cr_assert_eq(stored_engine_items(), 0);
	end(&s);
	expect_empty_store();
}

Test(session_restore, another_connection_expects_nothing)
{
	struct peer s = subscriber();
	struct sq_open_id ids[1];

	cr_assert_eq(peer_publish(&pub, "a", "1", 1), 0);
	ids[0] = open_id(peer_expect(&s, "1"));
	list_open(&s, ids, 1);
	crash();
	cr_assert_eq(peer_attach(&s), 200);
	cr_assert_eq(s.n_listed, 1);
	list_open(&s, NULL, 0);
	peer_connect(&s);
	cr_assert_eq(s.n_listed, 0);
	cr_assert_not(peer_expect(&s, "1")->redelivered);
	end(&s);
	expect_empty_store();
}

Test(session_restore, qos_1_stays_behind_what_waits_for_its_commit)
{
	struct peer s = subscriber();
	struct entry e[] = {{.topic = "a", .payload = "1", .qos = 2, .id = 9},
	    {.topic = "a", .payload = "2", .qos = 1}};
	struct fake_call *c;

	stored_engine_hold(true);
	c = peer_post(&pub, 1, e, 2);
	stored_engine_release();
	call_expect(&c, 200);
	peer_expect_nothing(&s);
	stored_engine_release();
	peer_expect(&s, "1");
	peer_expect(&s, "2");
	stored_engine_hold(false);
	end(&s);
}

Test(session_restore, ids_of_another_incarnation_stay_taken)
{
	struct peer s = peer_new(&w, "s~w~c");
	struct sq_open_id ids[] = {{.packet_id = 1, .state = SQ_OPEN_QOS2, .origin = {1, 2, 3, 0}}};

	s.incarnation = 4711;
	s.ordinal = 1;
	list_open(&s, ids, 1);
	again(&s);
	cr_assert_eq(s.listed[0].state, SQ_OPEN_ORPHAN);
	list_open(&s, NULL, 0);
	crash();
	again(&s);
	cr_assert_eq(s.n_listed, 1);
	cr_assert_eq(s.listed[0].state, SQ_OPEN_ORPHAN);
	cr_assert_eq(peer_subscribe(&s, "a", 2), 2);
	cr_assert_eq(peer_publish(&pub, "a", "1", 2), 0);
	cr_assert_eq(peer_expect(&s, "1")->packet_id, 2);
	cr_assert_eq(peer_settle(&s, SQ_SETTLE_COMPLETE, s.listed[0].delivery, 1), 204);
	cr_assert_eq(stored_engine_records(SQ_RECORD_OPEN), 1);
	end(&s);
	expect_empty_store();
}

/* --- groups --- */

static uint8_t
declare(struct peer *p, const char *filter, bool consume, uint32_t expiry_s)
{
	struct sq_sub sub = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 2,
	    .flags = (uint8_t)(SQ_SUB_DECLARED | SQ_SUB_DURABLE | (consume ? SQ_SUB_CONSUME : 0)),
	    .queue_expiry_s = expiry_s};

	sub.group = text("w");
	sub.filter = text(filter);
	return peer_sub(p, &sub);
}

Test(session_restore, a_declared_group_keeps_bindings_messages_and_its_number)
{
	struct peer keeper = peer_new(&w, "s~w~keeper~pod"), s = peer_new(&w, "s~w~c~pod");
	struct fake_delivery *d;
	uint64_t queue;

	peer_connect(&keeper);
	cr_assert_eq(declare(&keeper, "orders/#", false, 3600), 2);
	cr_assert_eq(peer_publish(&pub, "orders/1", "1", 1), 0);
	crash();
	cr_assert_eq(peer_publish(&pub, "orders/2", "2", 1), 0, "it is bound without members");
	peer_connect(&s);
	cr_assert_eq(declare(&s, "orders/#", true, 3600), 2);
	d = peer_expect(&s, "1");
	queue = d->queue;
	peer_expect(&s, "2");
	cr_assert_eq(stored_engine_records(SQ_RECORD_BINDING), 1);
	crash();
	peer_connect(&s);
	cr_assert_eq(declare(&s, "orders/#", true, 3600), 2);
	d = peer_expect(&s, "1");
	cr_assert_eq(d->queue, queue);
	cr_assert_eq(peer_settle(&s, SQ_SETTLE_ACK, d->delivery, 1), 204);
	d = peer_expect(&s, "2");
	cr_assert_eq(peer_settle(&s, SQ_SETTLE_ACK, d->delivery, 1), 204);
	cr_assert_eq(stored_engine_items(), 0);
	end(&s);
	restart(1800000);
	world_pass(&w, 1000);
	cr_assert_eq(stored_engine_records(SQ_RECORD_GROUP), 1);
	restart(3600000);
	world_pass(&w, 32000);
	expect_empty_store();
}

Test(session_restore, a_group_that_nobody_comes_back_to_ends_however_often_the_broker_starts)
{
	struct peer keeper = peer_new(&w, "s~w~keeper~pod");

	peer_connect(&keeper);
	cr_assert_eq(declare(&keeper, "orders/#", false, 3600), 2);
	crash(); /* its record says that it has a member */
	for (unsigned i = 0; i < 3; i++) {
		world_pass(&w, 40000);
		cr_assert_eq(stored_engine_records(SQ_RECORD_GROUP), 1, "start %u", i);
		restart(1100000);
	}
	restart(500000);
	world_pass(&w, 40000);
	expect_empty_store();
}

Test(session_restore, a_group_is_kept_no_longer_than_the_broker_allows_now)
{
	struct peer keeper = peer_new(&w, "s~w~keeper~pod");

	peer_connect(&keeper);
	cr_assert_eq(declare(&keeper, "orders/#", false, 24 * 3600), 2);
	end(&keeper);
	w.cfg.queue_expiry_max_s = 120;
	restart(0);
	world_pass(&w, 100000);
	cr_assert_eq(stored_engine_records(SQ_RECORD_GROUP), 1);
	world_pass(&w, 30000);
	expect_empty_store();
}

Test(session_restore, a_share_with_a_durable_member_is_there_again)
{
	struct peer s = peer_new(&w, "s~w~c"), t = peer_new(&w, "s~w~d~pod");
	struct fake_delivery *d;

	peer_connect(&t); /* it was transient sessions' first */
	cr_assert_eq(peer_subscribe(&t, "$share/g/a", 1), 1);
	cr_assert_eq(peer_detach(&t, 0, false), 204);
	expect_empty_store();
	peer_connect(&t);
	cr_assert_eq(peer_subscribe(&t, "$share/g/a", 1), 1);
	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "$share/g/a", 1), 1);
	cr_assert_eq(peer_detach(&t, 0, false), 204);
	cr_assert_eq(peer_detach(&s, 3600, false), 204);
	cr_assert_eq(peer_publish(&pub, "a", "1", 1), 0);
	crash();
	cr_assert_eq(peer_publish(&pub, "a", "2", 1), 0);
	peer_connect(&s);
	cr_assert_eq(peer_settle(&s, SQ_SETTLE_ACK, peer_expect(&s, "1")->delivery, 1), 204);
	d = peer_expect(&s, "2");
	cr_assert_eq(peer_settle(&s, SQ_SETTLE_ACK, d->delivery, 1), 204);
	cr_assert_eq(stored_engine_items(), 0);
	cr_assert_eq(peer_unsubscribe(&s, "$share/g/a"), 0);
	end(&s);
	expect_empty_store();
}

/* MQTT-4.8.2-4: in mid-handshake a message stays with its session. */
Test(session_restore, a_transient_member_goes_on_with_its_handshake)
{
	struct peer t = peer_new(&w, "s~w~t~pod"), o = peer_new(&w, "s~w~o~pod");
	struct sq_open_id ids[2];
	struct fake_delivery *d;

	peer_connect(&t);
	cr_assert_eq(declare(&t, "a", true, 3600), 2);
	cr_assert_eq(peer_publish(&pub, "a", "1", 2), 0);
	d = peer_expect(&t, "1");
	ids[0] = open_id(d);
	ids[1] = (struct sq_open_id){.packet_id = 7, .state = SQ_OPEN_QOS1, .origin = {1, 2, 3, 0}};
	list_open(&t, ids, 2);
	crash();
	peer_connect(&o);
	cr_assert_eq(declare(&o, "a", true, 3600), 2);
	peer_expect_nothing(&o);
	cr_assert_eq(peer_attach(&t), 200);
	cr_assert(t.renewed);
	cr_assert(t.present);
	cr_assert_eq(t.n_listed, 2);
	cr_assert_eq(t.listed[0].state, SQ_OPEN_QOS2);
	cr_assert_eq(t.listed[1].state, SQ_OPEN_ORPHAN);
	cr_assert_eq(peer_attach(&t), 200); /* the answer may have been lost */
	cr_assert(t.renewed);
	cr_assert_eq(peer_credit(&t, 1000, 1 << 20), 204);
	d = peer_expect(&t, "1");
	cr_assert_eq(d->packet_id, ids[0].packet_id);
	cr_assert_eq(peer_settle(&t, SQ_SETTLE_RECEIVED, d->delivery, 1), 204);
	cr_assert_eq(stored_engine_items(), 0);
	cr_assert_eq(peer_settle(&t, SQ_SETTLE_COMPLETE, d->delivery, 1), 204);
	cr_assert_eq(stored_engine_records(SQ_RECORD_OPEN), 0);
	cr_assert_eq(peer_attach(&t), 200);
	cr_assert_not(t.renewed, "it was used");
	cr_assert_eq(peer_detach(&t, 0, false), 204);
	peer_expect_nothing(&o);
	cr_assert_eq(stored_engine_records(SQ_RECORD_SESSION), 0);
}

Test(session_restore, another_connection_ends_what_was_renewed)
{
	struct peer p = peer_new(&w, "s~w~p~pod"), s = peer_new(&w, "s~w~c");
	uint64_t incarnation;

	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "a", 1), 1);
	peer_connect(&p);
	cr_assert_eq(peer_publish(&p, "a", "1", 1), 0);
	incarnation = p.incarnation;
	crash();
	peer_connect(&p);
	cr_assert_neq(p.incarnation, incarnation);
	cr_assert_not(p.renewed);
	cr_assert_eq(stored_engine_records(SQ_RECORD_SESSION), 1, "the subscriber's");
	crash();
	world_pass(&w, 40000);
	cr_assert_eq(stored_engine_records(SQ_RECORD_SESSION), 1);
}

Test(session_restore, what_is_renewed_ends_after_its_grace)
{
	struct peer p = peer_new(&w, "s~w~p~pod"), s = peer_new(&w, "s~w~c");

	peer_connect(&s);
	cr_assert_eq(peer_subscribe(&s, "a", 1), 1);
	peer_connect(&p);
	cr_assert_eq(peer_publish(&p, "a", "1", 1), 0);
	cr_assert_eq(stored_engine_records(SQ_RECORD_SESSION), 2);
	crash();
	world_pass(&w, 31000);
	cr_assert_eq(stored_engine_records(SQ_RECORD_SESSION), 1);
	cr_assert_eq(stored_engine_records(SQ_RECORD_LANE), 0);
}

/* Keys are under one lock until the commit of what they are of, for all tenants: others come in
 * between. */
Test(session_restore, a_batch_with_keys_and_many_targets_is_committed_in_parts)
{
	enum { GROUPS = 48, MESSAGES = 30 };
	struct peer p = peer_new(&w, "s~w~keys~pod");
	struct entry v[MESSAGES];
	char keys[MESSAGES][8], filter[32];
	const char *props[MESSAGES][5];
	struct fake_call *c;
	size_t before;

	peer_connect(&p);
	for (unsigned i = 0; i < GROUPS; i++) {
		snprintf(filter, sizeof filter, "$share/g%u/t", i);
		cr_assert_eq(peer_subscribe(&p, filter, 1), 1);
	}
	for (unsigned i = 0; i < MESSAGES; i++) {
		snprintf(keys[i], sizeof keys[i], "k%u", i);
		memcpy(props[i], ((const char *[]){"sqmqos-qos", "3", "sqmqos-key", keys[i], NULL}),
		    sizeof props[i]);
		v[i] = (struct entry){.topic = "t",
		    .payload = keys[i],
		    .qos = 2,
		    .id = (uint16_t)(i + 1),
		    .props = props[i]};
	}
	before = stored_engine_commits();
	c = peer_post(&p, 1, v, MESSAGES);
	cr_assert_geq(stored_engine_commits() - before, GROUPS * MESSAGES / 512 + 1);
	world_run();
	for (unsigned i = 0; i < MESSAGES; i++)
		cr_assert_eq(call_outcome(c, i), 0);
	fake_call_free(&c);
	cr_assert_eq(stored_engine_records(SQ_RECORD_KEY), MESSAGES);
}
