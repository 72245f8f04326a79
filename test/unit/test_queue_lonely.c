/* Queues that nobody takes from: what becomes of them when they are full. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "broker/engine/record.h"

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
	w.cfg.queue_lonely_ms = 60000;
	begin();
}

static void
teardown(void)
{
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(queue_lonely, .init = setup, .fini = teardown);

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

Test(queue_lonely, an_abandoned_group_takes_three_times_its_bound)
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

Test(queue_lonely, a_durable_session_that_is_away_takes_three_times_its_bound)
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

Test(queue_lonely, a_keeper_takes_nothing)
{
	declare(&sub, 0, SQ_OVERFLOW_DEFAULT);
	send_range(1, BOUND + 1);
	cr_assert_eq(world_metric(SQ_M_DROPPED_ABANDONED), 1);
	declare(&sub, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	expect_range(&sub, 2, BOUND + 1);
}

Test(queue_lonely, one_without_credit_is_there)
{
	sub.ordinal++;
	cr_assert_eq(peer_attach(&sub), 200);
	declare(&sub, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	send_range(1, BOUND);
	cr_assert_eq(send_one(BOUND + 1), 0x97);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 0);
}

Test(queue_lonely, one_that_lost_its_link_is_there_until_its_grace_is_over)
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

Test(queue_lonely, a_queue_whose_declaration_names_a_policy_keeps_to_it)
{
	declare(&sub, 0, SQ_OVERFLOW_REJECT_PUBLISH);
	send_range(1, BOUND);
	cr_assert_eq(send_one(BOUND + 1), 0x97);
}

Test(queue_lonely, qos_3_is_refused_and_does_not_leave)
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

Test(queue_lonely, a_full_store_is_no_reason_to_make_room)
{
	declare(&sub, 0, SQ_OVERFLOW_DEFAULT);
	send_range(1, BOUND);
	stored_engine_sick(true);
	cr_assert_eq(send_one(BOUND + 1), 0x97);
	stored_engine_sick(false);
	send_range(BOUND + 1, BOUND + 1);
}

Test(queue_lonely, it_goes_on_after_a_restart)
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

Test(queue_lonely, after_a_restart_who_had_subscribed_is_awaited)
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

Test(queue_lonely, a_durable_session_takes_both_kinds_of_letters_after_a_restart)
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

/* What is shown of the queues by their names, once all were looked at. */
static const char *
shown(void)
{
	static char text[16384];
	struct sq_buf out = {0};

	world_pass(&w, 1200);
	sq_broker_write_queues(w.broker, &out);
	cr_assert_lt(sq_buf_len(&out), sizeof text);
	memcpy(text, sq_buf_data(&out), sq_buf_len(&out));
	text[sq_buf_len(&out)] = '\0';
	sq_buf_fini(&out);
	return text;
}

#define SHOWS(text, line) \
	cr_assert_not_null(strstr(text, "\n" line "\n"), "%s is not in\n%s", line, text)

/* Between the time since it was sent, and a pass less. */
static void
shows_age(const char *text, const char *queue, unsigned s)
{
	char line[128];
	const char *at;
	unsigned long age;

	snprintf(line, sizeof line, "\nsqmqos_queue_age_seconds{queue=\"%s\"} ", queue);
	at = strstr(text, line);
	cr_assert_not_null(at, "%s is not in\n%s", line, text);
	age = strtoul(at + strlen(line), NULL, 10);
	cr_assert(age <= s && age + 1 >= s, "%lu instead of %u", age, s);
}

Test(queue_lonely, queues_are_shown_by_name_with_depth_age_and_members)
{
	const char *t;

	declare(&sub, 0, SQ_OVERFLOW_DEFAULT);
	send_range(1, 1);
	shown();
	world_pass(&w, 60000);
	send_range(2, 2);
	t = shown();
	SHOWS(t, "# TYPE sqmqos_queue_depth gauge");
	SHOWS(t, "sqmqos_queue_depth{queue=\"declared~s~w~g\"} 2");
	shows_age(t, "declared~s~w~g", 62);
	SHOWS(t, "sqmqos_queue_members{queue=\"declared~s~w~g\"} 0");
	SHOWS(t, "sqmqos_queue_depth{queue=\"s~w~subscriber\"} 0");
	shows_age(t, "s~w~subscriber", 0);
	SHOWS(t, "sqmqos_queue_members{queue=\"s~w~subscriber\"} 1");
	cr_assert_null(strstr(t, "publisher"), "a transient session has no name");
	world_pass(&w, 10000);
	declare(&sub, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	expect_range(&sub, 1, 2);
	send_range(3, 3);
	t = shown();
	SHOWS(t, "sqmqos_queue_members{queue=\"declared~s~w~g\"} 1");
}

Test(queue_lonely, the_age_is_that_of_the_oldest_that_is_left)
{
	declare(&sub, 0, SQ_OVERFLOW_DEFAULT);
	for (unsigned i = 1; i <= BOUND + 40; i++) { /* each drives out the oldest */
		send_range(i, i);
		shown();
		world_pass(&w, 8800);
	}
	shows_age(shown(), "declared~s~w~g", 41);
}

Test(queue_lonely, the_twenty_fullest_are_shown)
{
	char name[32], line[96];
	const char *t;
	unsigned n = 0;

	for (unsigned i = 0; i < 25; i++) {
		struct peer p;

		snprintf(name, sizeof name, "s~w~many%u", i);
		p = peer_new(&w, name);
		p.ordinal = 1;
		cr_assert_eq(peer_attach(&p), 200);
		cr_assert_eq(peer_subscribe(&p, i < 22 ? "t" : "u", 1), 1);
		if (i >= 22)
			cr_assert_eq(peer_subscribe(&p, "t", 1), 1);
		cr_assert_eq(peer_detach(&p, 3600, false), 204);
	}
	send_range(1, 1);
	cr_assert_eq(peer_publish(&pub, "u", "x", 1), 0);
	t = shown();
	for (unsigned i = 22; i < 25; i++) {
		snprintf(line, sizeof line, "\nsqmqos_queue_depth{queue=\"s~w~many%u\"} 2\n", i);
		cr_assert_not_null(strstr(t, line), "%s", line);
	}
	while ((t = strstr(t, "\nsqmqos_queue_depth{")) != NULL) {
		t++;
		n++;
	}
	cr_assert_eq(n, 20);
}

Test(queue_lonely, a_queue_that_nobody_takes_from_for_long_is_counted)
{
	declare(&sub, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	send_range(1, 1);
	cr_assert_eq(peer_detach(&sub, 3600, false), 204);
	world_pass(&w, 50000);
	cr_assert_eq(world_metric(SQ_M_QUEUES_LONELY), 0);
	world_pass(&w, 12000);
	cr_assert_eq(world_metric(SQ_M_QUEUES_LONELY), 2, "%lld",
	    (long long)world_metric(SQ_M_QUEUES_LONELY));
	peer_connect(&sub);
	world_pass(&w, 1200);
	cr_assert_eq(world_metric(SQ_M_QUEUES_LONELY), 0);
}

Test(queue_lonely, dead_letters_are_shown_and_never_lonely)
{
	const char *t;

	declare(&sub, SQ_SUB_CONSUME, SQ_OVERFLOW_DEFAULT);
	send_range(1, 1);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_REJECT, peer_expect(&sub, "1")->delivery, 1), 204);
	world_pass(&w, 100000);
	t = shown();
	SHOWS(t, "sqmqos_queue_depth{queue=\"dead-others~s\"} 1");
	cr_assert_eq(world_metric(SQ_M_QUEUES_LONELY), 0);
}
