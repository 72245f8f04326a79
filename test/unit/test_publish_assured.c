/* QoS 3, dead letters, receipts and delayed messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/broker_world.h"
#include "broker/publish/letter.h"

static struct world w;
static struct peer pub, sub;

#define PROPS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ASSURED "sqmqos-qos", "3"

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
	world_init(&w);
	w.cfg.queue_max_msgs = 4;
	begin();
}

static void
teardown(void)
{
	world_stop(&w);
}

TestSuite(publish_assured, .init = setup, .fini = teardown);

static uint8_t
send_props(
    struct peer *p, const char *topic, const char *payload, uint8_t qos, const char *const *props)
{
	static uint16_t id = 1000;
	struct entry e = {.topic = topic, .payload = payload, .qos = qos, .props = props};
	uint8_t code;

	if (qos == 2)
		e.id = ++id;
	code = peer_send(p, &e);
	if (qos == 2 && code < 0x80)
		cr_assert_eq(peer_send(p, &(struct entry){.id = id}), 0);
	return code;
}

static uint8_t
send_key(const char *payload, const char *key)
{
	return send_props(&pub, "t", payload, 2, PROPS(ASSURED, "sqmqos-key", key));
}

static void
expect_prop(const struct fake_delivery *d, const char *name, const char *value)
{
	const char *is = delivery_prop(d, name);

	cr_assert_not_null(is, "no %s", name);
	cr_assert_str_eq(is, value);
}

/* The client takes a delivery to its end. */
static void
finish(struct peer *p, const struct fake_delivery *d)
{
	uint64_t delivery = d->delivery;

	if (d->qos == 2)
		cr_assert_eq(peer_settle(p, SQ_SETTLE_RECEIVED, delivery, 1), 204);
	cr_assert_eq(
	    peer_settle(p, d->qos == 2 ? SQ_SETTLE_COMPLETE : SQ_SETTLE_ACK, delivery, 1), 204);
}

/* Durable, so that it is there whoever takes from it. */
static void
declare(struct peer *p, const char *filter, enum sq_overflow overflow, uint32_t max_length)
{
	struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 2,
	    .flags = SQ_SUB_DECLARED | SQ_SUB_DURABLE,
	    .overflow = (uint8_t)overflow,
	    .max_length = max_length,
	    .queue_expiry_s = 3600,
	    .group = text("g"),
	    .filter = text(filter)};

	cr_assert_lt(peer_sub(p, &s), 0x80);
}

static struct peer
undertaker(void)
{
	struct peer p = peer_new(&w, "s~w~undertaker~pod");

	peer_connect(&p);
	cr_assert_eq(peer_subscribe(&p, "$dead/#", 2), 2);
	return p;
}

/* Keys. */

Test(publish_assured, a_key_is_stored_once_in_its_window)
{
	struct peer other = peer_new(&w, "s~elsewhere~other~pod");

	peer_connect(&other);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(send_key("1", "a"), 0);
	cr_assert_eq(send_key("2", "b"), 0);
	cr_assert_eq(send_key("copy", "a"), 0);
	cr_assert_eq(send_props(&other, "t", "copy", 2, PROPS(ASSURED, "sqmqos-key", "a")), 0);
	cr_assert_eq(world_metric(SQ_M_DUPLICATES), 2);
	finish(&sub, peer_expect(&sub, "1"));
	finish(&sub, peer_expect(&sub, "2"));
	peer_expect_nothing(&sub);
	world_pass(&w, 59000);
	cr_assert_eq(send_key("copy", "b"), 0);
	peer_expect_nothing(&sub);
	world_pass(&w, 3000);
	cr_assert_eq(send_key("3", "a"), 0);
	finish(&sub, peer_expect(&sub, "3"));
}

Test(publish_assured, a_key_is_its_spaces)
{
	struct peer other = peer_new(&w, "s2~w~other~pod"), there = peer_new(&w, "s2~w~sub~pod");

	peer_connect(&other);
	peer_connect(&there);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(peer_subscribe(&there, "t", 2), 2);
	cr_assert_eq(send_key("1", "a"), 0);
	cr_assert_eq(send_props(&other, "t", "2", 2, PROPS(ASSURED, "sqmqos-key", "a")), 0);
	finish(&sub, peer_expect(&sub, "1"));
	finish(&there, peer_expect(&there, "2"));
}

Test(publish_assured, what_matches_nothing_is_told_and_may_be_sent_again)
{
	cr_assert_eq(send_key("1", "a"), 0x10);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(send_key("1", "a"), 0);
	finish(&sub, peer_expect(&sub, "1"));
}

Test(publish_assured, without_a_key_each_one_counts)
{
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(send_props(&pub, "t", "1", 2, PROPS(ASSURED)), 0);
	cr_assert_eq(send_props(&pub, "t", "1", 2, PROPS(ASSURED)), 0);
	finish(&sub, peer_expect(&sub, "1"));
	finish(&sub, peer_expect(&sub, "1"));
}

Test(publish_assured, the_table_of_keys_has_an_end)
{
	char key[8];

	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(key, sizeof key, "k%u", i);
		cr_assert_eq(send_key("x", key), 0);
		finish(&sub, peer_expect(&sub, "x"));
	}
	cr_assert_eq(send_key("x", "another"), 0x97);
	cr_assert_eq(send_key("x", "k5"), 0, "a known one needs no room");
	world_pass(&w, 62000);
	cr_assert_eq(send_key("x", "another"), 0, "they were forgotten");
	finish(&sub, peer_expect(&sub, "x"));
}

Test(publish_assured, what_can_not_be_had_is_refused)
{
	char longest[258];

	memset(longest, 'k', sizeof longest);
	longest[257] = '\0';
	cr_assert_eq(peer_subscribe(&sub, "#", 2), 2);
	cr_assert_eq(send_props(&pub, "t", "x", 1, PROPS(ASSURED)), 0x83, "QoS 3 is upon 2");
	cr_assert_eq(send_props(&pub, "t", "x", 2, PROPS("sqmqos-qos", "4")), 0x83);
	cr_assert_eq(send_props(&pub, "t", "x", 2, PROPS(ASSURED, "sqmqos-key", longest)), 0x83);
	cr_assert_eq(send_props(&pub, "t", "x", 2, PROPS(ASSURED, "sqmqos-receipt", "a/#")), 0x83);
	cr_assert_eq(send_props(&pub, "t", "x", 1, PROPS("sqmqos-delay", "")), 0x83);
	cr_assert_eq(send_props(&pub, "t", "x", 1, PROPS("sqmqos-delay", "1s")), 0x83);
	cr_assert_eq(send_props(&pub, "t", "x", 1, PROPS("sqmqos-delay", "-1")), 0x83);
	cr_assert_eq(send_props(&pub, "t", "x", 1, PROPS("sqmqos-delay", "3601")), 0x83);
	cr_assert_eq(send_props(&pub, "$dead/t", "x", 1, NULL), 0x90);
	cr_assert_eq(send_props(&pub, "$dead", "x", 1, NULL), 0x90);
	cr_assert_eq(send_props(&pub, "$SYS/broker/uptime", "x", 1, NULL), 0x90);
	cr_assert_eq(send_props(&pub, "$share/g/t", "x", 2, NULL), 0x90);
	cr_assert_eq(send_props(&pub, "$tag/red", "x", 1, NULL), 0x90);
	cr_assert_eq(send_props(&pub, "$queue/t", "x", 1, NULL), 0x90);
	peer_expect_nothing(&sub);
	longest[256] = '\0';
	cr_assert_eq(send_props(&pub, "t", "x", 2, PROPS(ASSURED, "sqmqos-key", longest)), 0);
	finish(&sub, peer_expect(&sub, "x"));
}

/* To the target. */

Test(publish_assured, a_full_queue_refuses_whatever_its_policy)
{
	declare(&sub, "t", SQ_OVERFLOW_DROP_OLDEST, 2);
	cr_assert_eq(send_key("1", "a"), 0);
	cr_assert_eq(send_key("2", "b"), 0);
	cr_assert_eq(send_key("3", "c"), 0x97);
	cr_assert_eq(world_metric(SQ_M_DROPPED_FULL), 0);
	cr_assert_eq(send_key("1", "a"), 0, "it is known");
}

Test(publish_assured, what_a_plain_message_drives_out_is_a_dead_letter)
{
	struct peer u;

	declare(&sub, "t", SQ_OVERFLOW_DROP_OLDEST, 2);
	cr_assert_eq(send_key("1", "a"), 0);
	cr_assert_eq(send_props(&pub, "t", "2", 1, NULL), 0);
	cr_assert_eq(send_props(&pub, "t", "3", 1, NULL), 0);
	cr_assert_eq(send_props(&pub, "t", "4", 1, NULL), 0, "drives out a plain one");
	u = undertaker();
	expect_prop(peer_expect(&u, "1"), "sqmqos-dead-reason", "overflow");
	peer_expect_nothing(&u);
}

Test(publish_assured, a_transient_queue_that_drops_what_is_new_makes_a_dead_letter)
{
	struct peer t = peer_new(&w, "s~w~slow~pod"), u;

	t.ordinal = 1;
	cr_assert_eq(peer_attach(&t), 200); /* no credit */
	cr_assert_eq(peer_subscribe(&t, "t", 2), 2);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(send_props(&pub, "t", "x", 1, NULL), 0);
	cr_assert_eq(send_key("1", "a"), 0);
	u = undertaker();
	expect_prop(peer_expect(&u, "1"), "sqmqos-dead-reason", "overflow");
}

Test(publish_assured, an_expired_one_is_a_dead_letter_and_a_plain_one_is_gone)
{
	struct entry plain = {.topic = "t", .payload = "plain", .qos = 1, .expiry_s = 5};
	struct entry e = {.topic = "t",
	    .payload = "1",
	    .qos = 2,
	    .id = 1,
	    .expiry_s = 5,
	    .props = PROPS(ASSURED, "mine", "yes")};
	struct fake_delivery *d;
	struct peer u;

	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(peer_detach(&sub, 3600, false), 204);
	cr_assert_eq(peer_send(&pub, &plain), 0);
	cr_assert_eq(peer_send(&pub, &e), 0);
	world_pass(&w, 6000);
	peer_connect(&sub);
	peer_expect_nothing(&sub);
	cr_assert_eq(world_metric(SQ_M_DROPPED_EXPIRED), 2);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 1);
	u = undertaker();
	d = peer_expect(&u, "1");
	cr_assert_str_eq(d->topic, "$dead/t");
	cr_assert_eq(d->expiry_s, SQ_MSG_NO_EXPIRY);
	expect_prop(d, "mine", "yes");
	expect_prop(d, "sqmqos-dead-reason", "expired");
	expect_prop(d, "sqmqos-dead-queue", "s~w~subscriber");
	cr_assert_eq(
	    strlen(delivery_prop(d, "sqmqos-dead-time")), strlen("2000-01-01T00:00:00.000Z"));
	finish(&u, d);
	peer_expect_nothing(&u);
}

Test(publish_assured, one_that_expires_while_it_waits_for_credit_is_a_dead_letter)
{
	struct entry e = {.topic = "t",
	    .payload = "1",
	    .qos = 2,
	    .id = 1,
	    .expiry_s = 5,
	    .props = PROPS(ASSURED)};

	sub.receive_max = 1;
	peer_connect(&sub);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(send_props(&pub, "t", "first", 1, NULL), 0);
	cr_assert_eq(peer_send(&pub, &e), 0);
	world_pass(&w, 6000);
	finish(&sub, peer_expect(&sub, "first"));
	peer_expect_nothing(&sub);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 1);
}

Test(publish_assured, those_who_take_dead_letters_share_them)
{
	struct peer one = undertaker(), two = peer_new(&w, "s~w~two~pod");
	unsigned n[2] = {0};
	struct fake_delivery *d;

	two.link = 1;
	peer_connect(&two);
	cr_assert_eq(peer_subscribe(&two, "$dead/#", 1), 1);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	for (unsigned i = 0; i < 4; i++) {
		cr_assert_eq(send_props(&pub, "t", "x", 1, NULL), 0);
		cr_assert_eq(
		    peer_settle(&sub, SQ_SETTLE_REJECT, peer_expect(&sub, "x")->delivery, 1), 204);
	}
	for (; (d = peer_next(&one)) != NULL; n[0]++)
		expect_prop(d, "sqmqos-dead-reason", "rejected");
	for (; (d = peer_next(&two)) != NULL; n[1]++)
		expect_prop(d, "sqmqos-dead-reason", "rejected");
	cr_assert_eq(n[0] + n[1], 4);
	cr_assert(n[0] > 0 && n[1] > 0, "%u and %u", n[0], n[1]);
}

Test(publish_assured, dead_letters_are_taken_by_one_filter_only)
{
	cr_assert_eq(peer_subscribe(&sub, "$dead/t", 1), 0x8f);
	cr_assert_eq(peer_subscribe(&sub, "$dead", 1), 0x8f);
	cr_assert_eq(peer_subscribe(&sub, "$dead/+", 1), 0x8f);
	cr_assert_eq(peer_subscribe(&sub, "$share/g/$dead/#", 1), 0x8f);
	cr_assert_eq(peer_subscribe(&sub, "$deadly/#", 1), 1);
	cr_assert_eq(peer_subscribe(&sub, "$dead/#", 1), 1);
	cr_assert_eq(peer_unsubscribe(&sub, "$dead/#"), 0);
	cr_assert_eq(peer_unsubscribe(&sub, "$dead/#"), 0x11);
}

static void
reject(const char *payload)
{
	struct fake_delivery *d = peer_expect(&sub, payload);

	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_REJECT, d->delivery, 1), 204);
}

Test(publish_assured, while_dead_letters_are_full_no_more_come_in)
{
	uint64_t last;
	struct peer u;

	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(send_key("last", "last"), 0);
	last = peer_expect(&sub, "last")->delivery;
	for (unsigned i = 0; i < 100; i++) {
		cr_assert_eq(send_props(&pub, "t", "x", 2, PROPS(ASSURED)), 0);
		reject("x");
	}
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 100);
	cr_assert_eq(send_key("1", "a"), 0x97);
	cr_assert_eq(send_props(&pub, "t", "plain", 1, NULL), 0);
	reject("plain");
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_REJECT, last, 1), 204);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 102, "one that came in before is");
	u = undertaker();
	for (unsigned n = 0; n < 102; n++)
		finish(&u, peer_next(&u));
	peer_expect_nothing(&u);
	cr_assert_eq(send_key("1", "a"), 0);
}

Test(publish_assured, letters_of_plain_messages_leave_for_newer_ones_and_stop_nothing)
{
	char number[16];
	struct peer u;

	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	for (unsigned i = 0; i < 130; i++) {
		snprintf(number, sizeof number, "%u", i);
		cr_assert_eq(send_props(&pub, "t", number, 1, NULL), 0);
		reject(number);
	}
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 130);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS_DROPPED), 80, "half of the limit stays");
	cr_assert_eq(world_metric(SQ_M_DROPPED_FULL), 0, "they are not counted twice");
	cr_assert_eq(world_metric(SQ_M_QUEUED), 50);
	cr_assert_eq(send_key("1", "a"), 0);
	reject("1");
	u = undertaker();
	finish(&u, peer_expect(&u, "1"));
	for (unsigned i = 80; i < 130; i++) {
		snprintf(number, sizeof number, "%u", i);
		finish(&u, peer_expect(&u, number));
	}
	peer_expect_nothing(&u);
}

Test(publish_assured, too_many_attempts_make_a_dead_letter)
{
	struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 1,
	    .flags = SQ_SUB_DECLARED | SQ_SUB_DURABLE | SQ_SUB_CONSUME,
	    .max_attempts = 2,
	    .queue_expiry_s = 3600,
	    .group = text("g"),
	    .filter = text("t")};
	struct peer u;

	cr_assert_lt(peer_sub(&sub, &s), 0x80);
	cr_assert_eq(send_props(&pub, "t", "1", 1, NULL), 0);
	for (unsigned i = 0; i < 2; i++)
		cr_assert_eq(
		    peer_settle(&sub, SQ_SETTLE_REQUEUE, peer_expect(&sub, "1")->delivery, 1), 204);
	peer_expect_nothing(&sub);
	u = undertaker();
	expect_prop(peer_expect(&u, "1"), "sqmqos-dead-reason", "attempts");
}

/* Receipts. */

static const struct fake_delivery *
expect_receipt(const char *key, const char *target, const char *outcome)
{
	struct fake_delivery *d = peer_expect(&pub, "");

	cr_assert_str_eq(d->topic, "done");
	cr_assert_eq(d->qos, 1);
	expect_prop(d, "sqmqos-key", key);
	expect_prop(d, "sqmqos-target", target);
	expect_prop(d, "sqmqos-outcome", outcome);
	cr_assert_not_null(delivery_prop(d, "sqmqos-time"));
	finish(&pub, d);
	return d;
}

static uint8_t
send_receipt(const char *payload, const char *key)
{
	return send_props(
	    &pub, "t", payload, 2, PROPS(ASSURED, "sqmqos-key", key, "sqmqos-receipt", "done"));
}

Test(publish_assured, each_target_sends_a_receipt)
{
	struct peer other = peer_new(&w, "s~w~other");
	struct fake_delivery *d;
	uint64_t delivery;

	peer_connect(&other);
	cr_assert_eq(peer_subscribe(&pub, "done", 1), 1);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(peer_subscribe(&other, "t", 1), 1);
	cr_assert_eq(send_receipt("1", "a"), 0);
	peer_expect_nothing(&pub);
	d = peer_expect(&sub, "1");
	delivery = d->delivery;
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_RECEIVED, delivery, 1), 204);
	expect_receipt("a", "s~w~subscriber", "acknowledged");
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_COMPLETE, delivery, 1), 204);
	finish(&other, peer_expect(&other, "1"));
	expect_receipt("a", "s~w~other", "acknowledged");
	peer_expect_nothing(&pub);
}

Test(publish_assured, a_dead_letter_sends_a_receipt_and_none_for_itself)
{
	struct peer u;

	cr_assert_eq(peer_subscribe(&pub, "done", 1), 1);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(send_receipt("1", "a"), 0);
	reject("1");
	expect_receipt("a", "s~w~subscriber", "dead-lettered");
	u = undertaker();
	finish(&u, peer_expect(&u, "1"));
	peer_expect_nothing(&pub);
}

Test(publish_assured, what_is_driven_out_while_others_are_routed_sends_a_receipt)
{
	cr_assert_eq(peer_subscribe(&pub, "done", 1), 1);
	declare(&sub, "t", SQ_OVERFLOW_DROP_OLDEST, 2);
	cr_assert_eq(send_receipt("1", "a"), 0);
	cr_assert_eq(send_props(&pub, "t", "2", 1, NULL), 0);
	peer_expect_nothing(&pub);
	cr_assert_eq(send_props(&pub, "t", "3", 1, NULL), 0);
	expect_receipt("a", "declared~s~w~g", "dead-lettered");
	peer_expect_nothing(&pub);
}

/* Delay. */

static uint8_t
send_later(const char *payload, const char *delay)
{
	return send_props(&pub, "t", payload, 1, PROPS("sqmqos-delay", delay));
}

Test(publish_assured, a_delayed_message_comes_at_its_time)
{
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(send_later("late", "20"), 0);
	cr_assert_eq(send_later("a", "10"), 0);
	cr_assert_eq(send_later("b", "10"), 0);
	cr_assert_eq(send_later("c", "10"), 0);
	cr_assert_eq(send_later("now", "0"), 0);
	finish(&sub, peer_expect(&sub, "now"));
	cr_assert_eq(world_metric(SQ_M_DELAYED), 4);
	world_pass(&w, 9900);
	peer_expect_nothing(&sub);
	world_pass(&w, 200);
	finish(&sub, peer_expect(&sub, "a"));
	finish(&sub, peer_expect(&sub, "b"));
	finish(&sub, peer_expect(&sub, "c"));
	peer_expect_nothing(&sub);
	world_pass(&w, 10000);
	finish(&sub, peer_expect(&sub, "late"));
	cr_assert_eq(world_metric(SQ_M_DELAYED), 0);
}

Test(publish_assured, who_subscribes_meanwhile_gets_it_and_its_retain_flag_applies_then)
{
	struct entry e = {.topic = "t",
	    .payload = "1",
	    .qos = 1,
	    .retain = true,
	    .expiry_s = 5,
	    .props = PROPS("sqmqos-delay", "10")};

	cr_assert_eq(peer_send(&pub, &e), 0);
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	peer_expect_nothing(&sub);
	world_pass(&w, 10000);
	cr_assert_eq(peer_expect(&sub, "1")->expiry_s, 5, "it counts from its time");
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	cr_assert(peer_expect(&sub, "1")->retain);
}

Test(publish_assured, delayed_messages_have_a_limit)
{
	for (unsigned i = 0; i < 100; i++)
		cr_assert_eq(send_later("x", "10"), 0);
	cr_assert_eq(send_later("x", "10"), 0x97);
	world_pass(&w, 10100);
	cr_assert_eq(send_later("x", "10"), 0);
}

Test(publish_assured, a_delayed_one_finds_its_key_and_its_target_or_is_a_dead_letter)
{
	const char *const *props = PROPS(ASSURED, "sqmqos-key", "a", "sqmqos-delay", "10");
	struct peer u;

	cr_assert_eq(send_props(&pub, "t", "1", 2, props), 0);
	cr_assert_eq(send_props(&pub, "t", "copy", 2, props), 0);
	cr_assert_eq(world_metric(SQ_M_DELAYED), 1);
	world_pass(&w, 10100);
	u = undertaker();
	expect_prop(peer_expect(&u, "1"), "sqmqos-dead-reason", "unmatched");
	peer_expect_nothing(&u);
}

Test(publish_assured, its_own_session_without_local_messages_does_not_get_it)
{
	cr_assert_eq(peer_subscribe(&pub, "t", 1 | 0x04), 1);
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	cr_assert_eq(send_later("1", "10"), 0);
	world_pass(&w, 10100);
	finish(&sub, peer_expect(&sub, "1"));
	peer_expect_nothing(&pub);
}

Test(publish_assured, the_original_has_nothing_of_what_its_letter_says)
{
	static const char *const props[] = {"a", "b", "sqmqos-qos", "3", NULL};
	const struct entry e = {.topic = "t", .payload = "x", .qos = 1, .props = props};
	struct sq_msg m = entry_message(&e), letter, original;
	struct sq_bytes was = sq_image_props(m.image), is;

	letter = sq_letter_new(&m, "queue~s~q", "refused", "410 Gone");
	cr_assert_gt(sq_image_props(letter.image).len, was.len);
	original = sq_letter_original(&letter, NULL);
	is = sq_image_props(original.image);
	cr_assert(is.len == was.len && memcmp(is.p, was.p, was.len) == 0);
	sq_msg_unref(&original);
	sq_msg_unref(&letter);
	sq_msg_unref(&m);
}
