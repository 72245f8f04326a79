/* What outlives the broker beside sessions: retained and delayed messages, keys,
 * dead letters. */
#include <string.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "broker/engine/record.h"

static struct world w;
static struct peer pub, sub;

#define PROPS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ASSURED "sqmqos-qos", "3"

static void
begin(void)
{
	world_start(&w, 1);
	pub = peer_new(&w, "s~w~publisher~pod");
	sub = peer_new(&w, "s~w~subscriber~pod");
	sub.link = 1;
	peer_connect(&pub);
	peer_connect(&sub);
}

static void
setup(void)
{
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

TestSuite(broker_restart, .init = setup, .fini = teardown);

static void
restart(void)
{
	world_stop(&w);
	begin();
}

static void
crash(void)
{
	stored_engine_crash();
	restart();
}

static uint8_t
send_props(const char *topic, const char *payload, uint8_t qos, const char *const *props)
{
	struct entry e = {.topic = topic, .payload = payload, .qos = qos, .props = props};
	static uint16_t id = 1000;
	uint8_t code;

	if (qos == 2)
		e.id = ++id;
	code = peer_send(&pub, &e);
	if (qos == 2 && code < 0x80)
		cr_assert_eq(peer_send(&pub, &(struct entry){.id = id}), 0);
	return code;
}

static void
finish(struct peer *p, const struct fake_delivery *d)
{
	uint64_t delivery = d->delivery;

	if (d->qos == 2)
		cr_assert_eq(peer_settle(p, SQ_SETTLE_RECEIVED, delivery, 1), 204);
	cr_assert_eq(
	    peer_settle(p, d->qos == 2 ? SQ_SETTLE_COMPLETE : SQ_SETTLE_ACK, delivery, 1), 204);
}

Test(broker_restart, retained_messages_are_there_again)
{
	struct fake_delivery *d;

	cr_assert_lt(peer_retain(&pub, "a", "old", 1), 0x80);
	cr_assert_lt(peer_retain(&pub, "a", "new", 1), 0x80);
	cr_assert_lt(peer_retain(&pub, "b", "gone", 1), 0x80);
	cr_assert_lt(peer_retain(&pub, "b", "", 1), 0x80);
	cr_assert_lt(peer_retain(&pub, "c", "qos 0", 0), 0x80);
	cr_assert_eq(stored_engine_records(SQ_RECORD_RETAINED), 2);
	crash();
	cr_assert_eq(peer_subscribe(&sub, "a", 1), 1);
	d = peer_expect(&sub, "new");
	cr_assert(d->retain);
	finish(&sub, d);
	cr_assert_eq(peer_subscribe(&sub, "b", 1), 1);
	peer_expect_nothing(&sub);
	cr_assert_eq(peer_subscribe(&sub, "c", 1), 1);
	peer_expect(&sub, "qos 0");
	cr_assert_eq(world_metric(SQ_M_RETAINED), 2);
}

Test(broker_restart, a_retained_message_is_replaced_and_removed_after_a_restart)
{
	cr_assert_lt(peer_retain(&pub, "a", "1", 1), 0x80);
	cr_assert_lt(peer_retain(&pub, "b", "1", 1), 0x80);
	restart();
	cr_assert_lt(peer_retain(&pub, "a", "2", 1), 0x80);
	cr_assert_lt(peer_retain(&pub, "b", "", 1), 0x80);
	cr_assert_eq(stored_engine_records(SQ_RECORD_RETAINED), 1);
	restart();
	cr_assert_eq(peer_subscribe(&sub, "#", 1), 1);
	peer_expect(&sub, "2");
	peer_expect_nothing(&sub);
}

Test(broker_restart, an_expired_retained_message_leaves_the_store_though_nobody_looks)
{
	struct entry e = {.topic = "r", .payload = "x", .qos = 1, .retain = true, .expiry_s = 10};

	cr_assert_lt(peer_send(&pub, &e), 0x80);
	restart();
	cr_assert_eq(stored_engine_records(SQ_RECORD_RETAINED), 1);
	world_pass(&w, 9000);
	cr_assert_eq(stored_engine_records(SQ_RECORD_RETAINED), 1);
	world_pass(&w, 4000);
	cr_assert_eq(stored_engine_records(SQ_RECORD_RETAINED), 0);
	cr_assert_eq(world_metric(SQ_M_RETAINED), 0);
}

Test(broker_restart, retained_messages_above_a_lower_limit_stay_and_no_more_come)
{
	cr_assert_lt(peer_retain(&pub, "a", "1", 1), 0x80);
	cr_assert_lt(peer_retain(&pub, "b", "2", 1), 0x80);
	w.cfg.retained_max_msgs = 1;
	restart();
	cr_assert_eq(world_metric(SQ_M_RETAINED), 2);
	world_pass(&w, 2000);
	cr_assert_eq(stored_engine_records(SQ_RECORD_RETAINED), 2);
	cr_assert_eq(peer_retain(&pub, "c", "3", 1), 0x97);
	cr_assert_lt(peer_retain(&pub, "a", "", 1), 0x80);
	cr_assert_eq(peer_retain(&pub, "c", "3", 1), 0x97);
	cr_assert_lt(peer_retain(&pub, "b", "", 1), 0x80);
	cr_assert_lt(peer_retain(&pub, "c", "3", 1), 0x80);
}

Test(broker_restart, a_retained_message_is_acknowledged_with_its_record)
{
	struct entry e = {.topic = "a", .payload = "1", .qos = 1, .retain = true};
	struct fake_call *c;

	stored_engine_hold(true);
	c = peer_post(&pub, 1, &e, 1);
	world_run();
	cr_assert_eq(c->answers, 0);
	cr_assert_eq(stored_engine_records(SQ_RECORD_RETAINED), 0);
	stored_engine_release();
	call_expect(&c, 200);
	cr_assert_eq(stored_engine_records(SQ_RECORD_RETAINED), 1);
	stored_engine_hold(false);
}

Test(broker_restart, a_delayed_message_comes_once)
{
	cr_assert_eq(send_props("t", "1", 1, PROPS("sqmqos-delay", "10")), 0);
	cr_assert_eq(send_props("t", "2", 1, PROPS("sqmqos-delay", "10")), 0);
	crash();
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	world_pass(&w, 5000);
	peer_expect_nothing(&sub);
	world_pass(&w, 5100);
	finish(&sub, peer_expect(&sub, "1"));
	finish(&sub, peer_expect(&sub, "2"));
	cr_assert_eq(stored_engine_records(SQ_RECORD_DELAYED), 0);
	restart();
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	world_pass(&w, 20000);
	peer_expect_nothing(&sub);
}

Test(broker_restart, a_key_is_known_after_a_restart_until_its_window_ends)
{
	const char *const *props = PROPS(ASSURED, "sqmqos-key", "a");

	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(send_props("t", "1", 2, props), 0);
	finish(&sub, peer_expect(&sub, "1"));
	crash();
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(send_props("t", "copy", 2, props), 0);
	peer_expect_nothing(&sub);
	world_pass(&w, 63000);
	cr_assert_eq(stored_engine_records(SQ_RECORD_KEY), 0);
	cr_assert_eq(send_props("t", "2", 2, props), 0);
	finish(&sub, peer_expect(&sub, "2"));
}

/* A copy's answer means that the first is durable. */
Test(broker_restart, a_copy_is_answered_after_the_first_one)
{
	struct peer other = peer_new(&w, "s~w~other~pod");
	struct entry e = {.topic = "t",
	    .payload = "1",
	    .qos = 2,
	    .id = 1,
	    .props = PROPS(ASSURED, "sqmqos-key", "a")};
	struct fake_call *first, *second;

	peer_connect(&other);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	stored_engine_hold(true);
	first = peer_post(&pub, 1, &e, 1);
	second = peer_post(&other, 1, &e, 1);
	world_run();
	cr_assert_eq(first->answers, 0);
	cr_assert_eq(second->answers, 0, "the first one may still be lost");
	stored_engine_release();
	call_expect(&first, 200);
	cr_assert_eq(second->answers, 0);
	stored_engine_release();
	call_expect(&second, 200);
	stored_engine_hold(false);
	world_run();
	peer_expect(&sub, "1");
	peer_expect_nothing(&sub);
}

Test(broker_restart, dead_letters_are_there_again)
{
	struct fake_delivery *d;

	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(send_props("t", "1", 2, PROPS(ASSURED)), 0);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_REJECT, peer_expect(&sub, "1")->delivery, 1), 204);
	crash();
	cr_assert_eq(peer_subscribe(&sub, "$dead/#", 2), 2);
	d = peer_expect(&sub, "1");
	cr_assert_str_eq(d->topic, "$dead/t");
	cr_assert_str_eq(delivery_prop(d, "sqmqos-dead-reason"), "rejected");
	finish(&sub, d);
	cr_assert_eq(stored_engine_items(), 0);
	restart();
	cr_assert_eq(peer_subscribe(&sub, "$dead/#", 2), 2);
	peer_expect_nothing(&sub);
}

/* The item leaves its queue in the transaction that makes the dead letter. */
Test(broker_restart, a_dead_letter_is_neither_lost_nor_doubled_by_a_crash)
{
	struct fake_call *c;
	struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 2,
	    .flags = SQ_SUB_DECLARED | SQ_SUB_DURABLE | SQ_SUB_CONSUME,
	    .queue_expiry_s = 3600,
	    .group = text("g"),
	    .filter = text("t")};

	cr_assert_lt(peer_sub(&sub, &s), 0x80);
	cr_assert_eq(send_props("t", "1", 2, PROPS(ASSURED)), 0);
	cr_assert_eq(stored_engine_items(), 1);
	c = peer_settle_post(&sub, SQ_SETTLE_REJECT, peer_expect(&sub, "1")->delivery, 1);
	call_expect(&c, 204);
	cr_assert_eq(stored_engine_items(), 1);
	crash();
	cr_assert_eq(stored_engine_items(), 1);
	cr_assert_eq(peer_subscribe(&sub, "$dead/#", 2), 2);
	finish(&sub, peer_expect(&sub, "1"));
	cr_assert_eq(stored_engine_items(), 0);
}
