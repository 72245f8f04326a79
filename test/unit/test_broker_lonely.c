/* Queues that nobody takes from: what becomes of them when they are full. */
#include <stdio.h>
#include <string.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "broker/record.h"

enum { BOUND = 4 };

static struct world w;
static struct peer pub, sub;

static void
begin(void)
{
	world_start(&w, 1);
	pub = peer_new(&w, "s~w~publisher~pod");
	sub = peer_new(&w, "s~w~subscriber");
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
	w.cfg.queue_max_msgs = BOUND;
	w.cfg.recovery_ms = 5000;
	begin();
}

static void
teardown(void)
{
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(broker_lonely, .init = setup, .fini = teardown);

static void
restart(void)
{
	world_stop(&w);
	world_start(&w, 1);
	pub = peer_new(&w, "s~w~publisher~pod");
	peer_connect(&pub);
}

static uint8_t
send_one(unsigned number)
{
	char payload[16];

	snprintf(payload, sizeof payload, "%u", number);
	return peer_publish(&pub, "t", payload, 1);
}

static void
send_range(unsigned from, unsigned to)
{
	for (unsigned i = from; i <= to; i++)
		cr_assert_eq(send_one(i), 0, "message %u", i);
}

static uint8_t
send_assured(unsigned number)
{
	static uint16_t id = 1000;
	static const char *const props[] = {"sqmqos-qos", "3", NULL};
	char payload[16];
	struct entry e = {.topic = "t", .payload = payload, .qos = 2, .id = ++id, .props = props};
	uint8_t code;

	snprintf(payload, sizeof payload, "%u", number);
	code = peer_send(&pub, &e);
	if (code < 0x80)
		cr_assert_eq(peer_send(&pub, &(struct entry){.id = id}), 0);
	return code;
}

static void
declare(struct peer *p, uint8_t flags, enum sq_overflow overflow)
{
	struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 2,
	    .flags = (uint8_t)(SQ_SUB_DECLARED | SQ_SUB_DURABLE | flags),
	    .overflow = (uint8_t)overflow,
	    .queue_expiry_s = 3600,
	    .group = text("g"),
	    .filter = text("t")};

	cr_assert_lt(peer_sub(p, &s), 0x80);
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

static void
expect_range(struct peer *p, unsigned from, unsigned to)
{
	char payload[16];

	for (unsigned i = from; i <= to; i++) {
		snprintf(payload, sizeof payload, "%u", i);
		finish(p, peer_expect(p, payload));
	}
	peer_expect_nothing(p);
}

/* The letters are those, died of that. */
static void
expect_letters(unsigned from, unsigned to, const char *queue)
{
	struct peer u = peer_new(&w, "s~w~undertaker~pod");
	char payload[16];

	peer_connect(&u);
	cr_assert_eq(peer_subscribe(&u, "$dead/#", 2), 2);
	for (unsigned i = from; i <= to; i++) {
		struct fake_delivery *d;

		snprintf(payload, sizeof payload, "%u", i);
		d = peer_expect(&u, payload);
		cr_assert_str_eq(delivery_prop(d, "sqmqos-dead-reason"), "abandoned");
		cr_assert_str_eq(delivery_prop(d, "sqmqos-dead-queue"), queue);
		finish(&u, d);
	}
	peer_expect_nothing(&u);
	cr_assert_eq(peer_detach(&u, 0, false), 204);
}

Test(broker_lonely, an_abandoned_group_takes_three_times_its_bound)
{
	declare(&sub, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	cr_assert_eq(peer_detach(&sub, 0, false), 204);
	send_range(1, 3 * BOUND);
	cr_assert_eq(world_metric(SQ_M_DROPPED_ABANDONED), 2 * BOUND);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 2 * BOUND);
	cr_assert_eq(world_metric(SQ_M_REFUSED), 0);
	expect_letters(1, 2 * BOUND, "declared~s~w~g");
	peer_connect(&sub);
	declare(&sub, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	expect_range(&sub, 2 * BOUND + 1, 3 * BOUND);
}

Test(broker_lonely, a_durable_session_that_is_away_takes_three_times_its_bound)
{
	struct peer away = peer_new(&w, "s~w~away");

	away.ordinal++;
	cr_assert_eq(peer_attach(&away), 200); /* without credit */
	cr_assert_eq(peer_subscribe(&away, "t", 1), 1);
	cr_assert_eq(peer_detach(&away, 3600, false), 204);
	send_range(1, 3 * BOUND);
	expect_letters(1, 2 * BOUND, "s~w~away");
	peer_connect(&away);
	expect_range(&away, 2 * BOUND + 1, 3 * BOUND);
}

Test(broker_lonely, a_keeper_takes_nothing)
{
	declare(&sub, 0, SQ_OVERFLOW_DEFAULT);
	send_range(1, BOUND + 1);
	cr_assert_eq(world_metric(SQ_M_DROPPED_ABANDONED), 1);
	declare(&sub, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	expect_range(&sub, 2, BOUND + 1);
}

Test(broker_lonely, one_without_credit_is_there)
{
	sub.ordinal++;
	cr_assert_eq(peer_attach(&sub), 200);
	declare(&sub, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	send_range(1, BOUND);
	cr_assert_eq(send_one(BOUND + 1), 0x97);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 0);
}

Test(broker_lonely, one_that_lost_its_link_is_there_until_its_grace_is_over)
{
	declare(&sub, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	cr_assert_eq(peer_subscribe(&sub, "other", 1), 1);
	world_close_link(&w, 1);
	send_range(1, BOUND);
	world_pass(&w, w.cfg.grace_ms - 1000);
	cr_assert_eq(send_one(BOUND + 1), 0x97);
	world_pass(&w, 2000);
	cr_assert_eq(send_one(BOUND + 1), 0);
	cr_assert_eq(world_metric(SQ_M_DROPPED_ABANDONED), 1);
}

Test(broker_lonely, a_queue_whose_declaration_names_a_policy_keeps_to_it)
{
	declare(&sub, 0, SQ_OVERFLOW_REJECT_PUBLISH);
	send_range(1, BOUND);
	cr_assert_eq(send_one(BOUND + 1), 0x97);
}

Test(broker_lonely, qos_3_is_refused_and_does_not_leave)
{
	declare(&sub, 0, SQ_OVERFLOW_DEFAULT);
	send_range(1, 1);
	cr_assert_eq(send_assured(2), 0);
	send_range(3, 4);
	cr_assert_eq(send_assured(5), 0x97);
	send_range(5, 5);
	cr_assert_eq(world_metric(SQ_M_DROPPED_ABANDONED), 1);
	cr_assert_eq(send_one(6), 0x97, "the oldest is of QoS 3");
	expect_letters(1, 1, "declared~s~w~g");
}

Test(broker_lonely, a_full_store_is_no_reason_to_make_room)
{
	declare(&sub, 0, SQ_OVERFLOW_DEFAULT);
	send_range(1, BOUND);
	stored_engine_sick(true);
	cr_assert_eq(send_one(BOUND + 1), 0x97);
	stored_engine_sick(false);
	send_range(BOUND + 1, BOUND + 1);
}

Test(broker_lonely, it_goes_on_after_a_restart)
{
	declare(&sub, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	cr_assert_eq(peer_detach(&sub, 0, false), 204);
	send_range(1, BOUND + 2);
	restart();
	send_range(BOUND + 3, 3 * BOUND);
	expect_letters(1, 2 * BOUND, "declared~s~w~g");
	restart();
	sub = peer_new(&w, "s~w~subscriber");
	peer_connect(&sub);
	declare(&sub, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	expect_range(&sub, 2 * BOUND + 1, 3 * BOUND);
}

Test(broker_lonely, after_a_restart_who_had_subscribed_is_awaited)
{
	struct peer slow = peer_new(&w, "s~w~slow~pod");

	slow.link = 1;
	slow.ordinal++;
	cr_assert_eq(peer_attach(&slow), 200);
	declare(&slow, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	cr_assert_eq(peer_detach(&sub, 0, false), 204);
	send_range(1, BOUND);
	restart();
	cr_assert_eq(send_one(BOUND + 1), 0x97);
	world_pass(&w, w.cfg.recovery_ms + 2000);
	cr_assert_eq(send_one(BOUND + 1), 0, "it has not come back");
	expect_letters(1, 1, "declared~s~w~g");
}

Test(broker_lonely, a_durable_session_takes_both_kinds_of_letters_after_a_restart)
{
	struct peer u = peer_new(&w, "s~w~undertaker");

	peer_connect(&u);
	cr_assert_eq(peer_subscribe(&u, "$dead/#", 1), 1);
	cr_assert_eq(peer_detach(&u, 3600, false), 204);
	cr_assert_eq(stored_engine_records(SQ_RECORD_DEAD), 2);
	restart();
	cr_assert_eq(stored_engine_records(SQ_RECORD_DEAD), 2);
	sub = peer_new(&w, "s~w~subscriber");
	peer_connect(&sub);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	for (unsigned i = 1; i <= 2; i++) {
		struct fake_delivery *d;

		cr_assert_eq(i == 1 ? send_one(i) : send_assured(i), 0);
		d = peer_next(&sub);
		cr_assert_not_null(d);
		cr_assert_eq(peer_settle(&sub, SQ_SETTLE_REJECT, d->delivery, 1), 204);
	}
	peer_connect(&u);
	finish(&u, peer_next(&u));
	finish(&u, peer_next(&u));
	peer_expect_nothing(&u);
	cr_assert_eq(peer_unsubscribe(&u, "$dead/#"), 0);
	cr_assert_eq(send_one(3), 0);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_REJECT, peer_expect(&sub, "3")->delivery, 1), 204);
	peer_expect_nothing(&u);
	cr_assert_eq(peer_unsubscribe(&u, "$dead/#"), 0x11);
}
