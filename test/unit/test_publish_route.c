/* From a publish to the subscribers: QoS, options, retained, overlaps, limits. */
#include <stdio.h>

#include "../support/broker_world.h"

enum { NO_LOCAL = 4, AS_PUBLISHED = 8, IF_NEW = 0x10, NEVER = 0x20 };

static struct world w;
static struct peer p, sub;

static void
setup(void)
{
	world_init(&w);
	w.cfg.queue_max_msgs = 5;
	w.cfg.max_matches = 16;
	w.cfg.retained_max_msgs = 3;
	world_start(&w, 2);
	p = peer_new(&w, "s~w~publisher~pod");
	sub = peer_new(&w, "s~w~subscriber~pod");
	peer_connect(&p);
	peer_connect(&sub);
}

static void
teardown(void)
{
	world_stop(&w);
}

TestSuite(publish_route, .init = setup, .fini = teardown);

Test(publish_route, a_delivery_has_the_lower_qos_of_both)
{
	for (uint8_t granted = 0; granted <= 2; granted++) {
		cr_assert_eq(peer_subscribe(&sub, "t", granted), granted);
		for (uint8_t qos = 0; qos <= 2; qos++) {
			struct fake_delivery *d;

			cr_assert_eq(peer_publish(&p, "t", "x", qos), 0);
			d = peer_expect(&sub, "x");
			cr_assert_eq(d->qos, qos < granted ? qos : granted);
			cr_assert_str_eq(d->topic, "t");
			cr_assert_eq(d->queue, 0);
			cr_assert_eq(d->packet_id != 0, d->qos > 0);
			cr_assert_eq(d->delivery != 0, d->qos > 0);
			cr_assert_eq(d->has_origin, d->qos > 0);
			cr_assert_not(d->redelivered);
			cr_assert_eq(d->expiry_s, SQ_MSG_NO_EXPIRY);
		}
	}
}

Test(publish_route, an_unsubscribed_filter_gets_nothing)
{
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	cr_assert_eq(peer_unsubscribe(&sub, "t"), 0);
	cr_assert_eq(peer_unsubscribe(&sub, "t"), 0x11);
	cr_assert_eq(peer_publish(&p, "t", "x", 1), 0x10);
	peer_expect_nothing(&sub);
}

Test(publish_route, filters_are_checked)
{
	cr_assert_eq(peer_subscribe(&sub, "a/#/b", 1), 0x8f);
	cr_assert_eq(peer_subscribe(&sub, "$share//a", 1), 0x8f);
	cr_assert_eq(peer_subscribe(&sub, "a\xff", 1), 0x8f);
	cr_assert_eq(peer_subscribe(&sub, "$share/g/a", 1 | NO_LOCAL), 0x82);
	cr_assert_eq(
	    peer_sub(&sub, &(struct sq_sub){.op = SQ_SUB_SUBSCRIBE, .tag = text("red")}), 0x8f);
	cr_assert_eq(world_metric(SQ_M_SUBSCRIPTIONS), 0);
	for (unsigned i = 0; i < 50; i++) {
		char filter[16];

		snprintf(filter, sizeof filter, "f/%u", i);
		cr_assert_eq(peer_subscribe(&sub, filter, 1), 1);
	}
	cr_assert_eq(peer_subscribe(&sub, "one/more", 1), 0x97);
	cr_assert_eq(peer_subscribe(&sub, "f/7", 2), 2, "an old one may change");
}

Test(publish_route, spaces_are_apart)
{
	struct peer other = peer_new(&w, "other~w~c~pod");

	peer_connect(&other);
	cr_assert_eq(peer_subscribe(&other, "#", 1), 1);
	cr_assert_eq(peer_publish(&p, "t", "x", 1), 0x10);
	peer_expect_nothing(&other);
}

Test(publish_route, no_local_keeps_ones_own_messages_away)
{
	cr_assert_eq(peer_subscribe(&p, "t", 1 | NO_LOCAL), 1);
	cr_assert_eq(peer_subscribe(&sub, "t", 1 | NO_LOCAL), 1);
	cr_assert_eq(peer_publish(&p, "t", "x", 1), 0);
	peer_expect_nothing(&p);
	peer_expect(&sub, "x");
	cr_assert_eq(peer_publish(&sub, "t", "y", 1), 0);
	peer_expect(&p, "y");
	peer_expect_nothing(&sub);
}

Test(publish_route, the_retain_flag_stays_only_as_published)
{
	cr_assert_eq(peer_subscribe(&sub, "t", 1 | AS_PUBLISHED), 1);
	cr_assert_eq(peer_subscribe(&p, "t", 1), 1);
	cr_assert_eq(peer_retain(&p, "t", "x", 1), 0);
	cr_assert(peer_expect(&sub, "x")->retain);
	cr_assert_not(peer_expect(&p, "x")->retain);
	cr_assert_eq(peer_publish(&p, "t", "y", 1), 0);
	cr_assert_not(peer_expect(&sub, "y")->retain);
}

Test(publish_route, overlapping_subscriptions_are_delivered_once_at_the_highest_qos)
{
	struct sq_sub s = {
	    .op = SQ_SUB_SUBSCRIBE, .options = 0, .sub_id = 11, .filter = text("a/#")};
	struct fake_delivery *d;

	cr_assert_eq(peer_sub(&sub, &s), 0);
	s = (struct sq_sub){
	    .op = SQ_SUB_SUBSCRIBE, .options = 2, .sub_id = 22, .filter = text("a/+")};
	cr_assert_eq(peer_sub(&sub, &s), 2);
	cr_assert_eq(peer_subscribe(&sub, "#", 1 | NO_LOCAL), 1);
	cr_assert_eq(peer_publish(&p, "a/b", "x", 2), 0);
	d = peer_expect(&sub, "x");
	cr_assert_eq(d->qos, 2);
	cr_assert_eq(d->n_subs, 2);
	cr_assert_eq(d->subs[0] + d->subs[1], 33);
	peer_expect_nothing(&sub);
	cr_assert_eq(peer_publish(&sub, "other", "x", 1), 0x10, "no local holds beside others");
}

Test(publish_route, an_identifier_comes_with_its_subscription_and_may_change)
{
	struct sq_sub s = {
	    .op = SQ_SUB_SUBSCRIBE, .options = 1, .sub_id = 268435455, .filter = text("t")};
	struct fake_delivery *d;

	cr_assert_eq(peer_sub(&sub, &s), 1);
	cr_assert_eq(peer_publish(&p, "t", "x", 1), 0);
	d = peer_expect(&sub, "x");
	cr_assert(d->n_subs == 1 && d->subs[0] == 268435455);
	s.sub_id = 0;
	cr_assert_eq(peer_sub(&sub, &s), 1);
	cr_assert_eq(peer_publish(&p, "t", "y", 1), 0);
	cr_assert_eq(peer_expect(&sub, "y")->n_subs, 0);
}

Test(publish_route, retained_messages_come_as_the_handling_says)
{
	struct fake_delivery *d;

	cr_assert_eq(peer_retain(&p, "r", "old", 2 - 1), 0);
	cr_assert_eq(peer_subscribe(&sub, "r", 2), 2);
	d = peer_expect(&sub, "old");
	cr_assert(d->retain);
	cr_assert_eq(d->qos, 1);
	cr_assert_eq(d->origin.copy, 1);
	cr_assert_eq(peer_subscribe(&sub, "r", 0), 0); /* again at every subscribe */
	cr_assert_eq(peer_expect(&sub, "old")->qos, 0);
	cr_assert_eq(peer_subscribe(&sub, "r", 1 | IF_NEW), 1);
	peer_expect_nothing(&sub);
	cr_assert_eq(peer_subscribe(&sub, "+", 1 | IF_NEW), 1);
	peer_expect(&sub, "old");
	cr_assert_eq(peer_subscribe(&sub, "#", 1 | NEVER), 1);
	cr_assert_eq(peer_subscribe(&sub, "$share/g/r", 1), 1); /* MQTT 5.0 §4.8.2: none */
	peer_expect_nothing(&sub);
}

Test(publish_route, an_empty_payload_ends_a_retained_message)
{
	cr_assert_eq(peer_retain(&p, "r", "x", 1), 0);
	cr_assert_eq(world_metric(SQ_M_RETAINED), 1);
	cr_assert_eq(peer_retain(&p, "r", "", 0), 0);
	cr_assert_eq(world_metric(SQ_M_RETAINED), 0);
	cr_assert_eq(peer_subscribe(&sub, "r", 1), 1);
	peer_expect_nothing(&sub);
}

Test(publish_route, retained_messages_have_a_limit)
{
	cr_assert_eq(peer_subscribe(&sub, "#", 1), 1);
	cr_assert_eq(peer_retain(&p, "1", "1", 1), 0);
	cr_assert_eq(peer_retain(&p, "2", "2", 1), 0);
	cr_assert_eq(peer_retain(&p, "3", "3", 1), 0);
	cr_assert_eq(peer_retain(&p, "4", "4", 1), 0x97);
	peer_expect(&sub, "1");
	peer_expect(&sub, "2");
	peer_expect(&sub, "3");
	peer_expect_nothing(&sub);
}

Test(publish_route, a_retained_message_expires)
{
	struct entry e = {.topic = "r", .payload = "x", .qos = 1, .retain = true, .expiry_s = 10};

	cr_assert_eq(peer_send(&p, &e), 0x0);
	world_pass(&w, 4000);
	cr_assert_eq(peer_subscribe(&sub, "r", 1), 1);
	cr_assert_eq(peer_expect(&sub, "x")->expiry_s, 6);
	world_pass(&w, 6000);
	cr_assert_eq(peer_subscribe(&sub, "r", 1), 1);
	peer_expect_nothing(&sub);
	world_pass(&w, 2000);
	cr_assert_eq(world_metric(SQ_M_RETAINED), 0, "the sweep has come");
}

Test(publish_route, a_full_transient_queue_drops_and_counts)
{
	struct peer slow = peer_new(&w, "s~w~slow~pod");

	slow.ordinal = 1;
	cr_assert_eq(peer_attach(&slow), 200);
	cr_assert_eq(peer_subscribe(&slow, "t", 1), 1);
	for (unsigned i = 0; i < 7; i++)
		cr_assert_eq(peer_publish(&p, "t", (const char[]){(char)('0' + i), '\0'}, 1), 0);
	cr_assert_eq(world_metric(SQ_M_DROPPED_FULL), 2);
	peer_expect_nothing(&slow); /* no credit yet */
	cr_assert_eq(peer_credit(&slow, 10, 10000), 204);
	for (unsigned i = 0; i < 5; i++)
		peer_expect(&slow, (const char[]){(char)('0' + i), '\0'});
	peer_expect_nothing(&slow);
}

Test(publish_route, a_full_durable_queue_refuses_the_publish_as_a_whole)
{
	struct peer durable = peer_new(&w, "s~w~durable");

	durable.ordinal = 1;
	cr_assert_eq(peer_attach(&durable), 200);
	cr_assert_eq(peer_subscribe(&durable, "t", 1), 1);
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	for (unsigned i = 0; i < 5; i++) {
		cr_assert_eq(peer_publish(&p, "t", "ok", 1), 0);
		peer_expect(&sub, "ok");
	}
	cr_assert_eq(peer_publish(&p, "t", "no", 1), 0x97);
	cr_assert_eq(peer_retain(&p, "t", "no", 1), 0x97);
	cr_assert_eq(
	    peer_send(&p, &(struct entry){.topic = "t", .payload = "no", .qos = 2, .id = 5}), 0x97);
	peer_expect_nothing(&sub);
	cr_assert_eq(world_metric(SQ_M_RETAINED), 0);
	cr_assert_eq(world_metric(SQ_M_REFUSED), 3);
	cr_assert_eq(peer_publish(&p, "t", "zero", 0), 0, "QoS 0 may be lost on the way");
	peer_expect(&sub, "zero");
	cr_assert_eq(peer_credit(&durable, 10, 10000), 204);
	for (unsigned i = 0; i < 5; i++)
		peer_expect(&durable, "ok");
	peer_expect_nothing(&durable);
	cr_assert_eq(peer_publish(&p, "t", "ok", 1), 0);
}

Test(publish_route, a_full_durable_queue_stops_retained_messages_only)
{
	struct peer durable = peer_new(&w, "s~w~durable");

	durable.ordinal = 1;
	cr_assert_eq(peer_attach(&durable), 200);
	cr_assert_eq(peer_retain(&p, "a", "1", 1), 0);
	cr_assert_eq(peer_retain(&p, "b", "1", 1), 0);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(peer_subscribe(&durable, "#", 1), 1);
	cr_assert_eq(peer_credit(&durable, 100, 10000), 204);
	for (unsigned i = 0; i < 5; i++)
		peer_expect(&durable, "1");
	peer_expect_nothing(&durable);
}

Test(publish_route, what_is_left_of_the_expiry_travels_along)
{
	struct peer slow = peer_new(&w, "s~w~slow");
	struct entry e = {.topic = "t", .payload = "x", .qos = 1, .expiry_s = 60};
	struct entry gone = {.topic = "t", .payload = "gone", .qos = 1, .expiry_s = 5};

	slow.ordinal = 1;
	cr_assert_eq(peer_attach(&slow), 200);
	cr_assert_eq(peer_subscribe(&slow, "t", 1), 1);
	cr_assert_eq(peer_send(&p, &gone), 0);
	cr_assert_eq(peer_send(&p, &e), 0);
	world_pass(&w, 20500);
	cr_assert_eq(peer_credit(&slow, 10, 10000), 204);
	cr_assert_eq(peer_expect(&slow, "x")->expiry_s, 40);
	peer_expect_nothing(&slow);
	cr_assert_eq(world_metric(SQ_M_DROPPED_EXPIRED), 1);
}

Test(publish_route, of_more_matches_than_it_may_have_a_session_gets_the_message_and_no_more)
{
	enum { FILTERS = 40 };
	struct fake_delivery *d;

	for (uint32_t i = 0; i < FILTERS; i++) {
		char filter[32];
		struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
		    .options = i == FILTERS / 2 ? 2 : NO_LOCAL,
		    .sub_id = i + 1,
		    .filter = {(const unsigned char *)filter, 0}};

		/* "a/b/c/d/e/f" by the bits of 'i' */
		s.filter.len = (size_t)snprintf(filter, sizeof filter, "%s/%s/%s/%s/%s/%s",
		    i & 1 ? "+" : "a", i & 2 ? "+" : "b", i & 4 ? "+" : "c", i & 8 ? "+" : "d",
		    i & 16 ? "+" : "e", i & 32 ? "+" : "f");
		cr_assert_eq(peer_sub(&sub, &s), s.options & 3);
	}
	cr_assert_eq(peer_publish(&p, "a/b/c/d/e/f", "x", 2), 0, "nobody is refused for that");
	d = peer_expect(&sub, "x");
	cr_assert_eq(d->qos, 2, "the highest of all");
	cr_assert(d->n_subs > 0 && d->n_subs <= 16, "%u", (unsigned)d->n_subs);
	peer_expect_nothing(&sub);
	cr_assert_eq(world_metric(SQ_M_MATCHES_LEFT_OUT), (int64_t)(FILTERS - d->n_subs));
	cr_assert_eq(peer_publish(&sub, "a/b/c/d/e/f", "y", 2), 0);
	cr_assert_eq(peer_expect(&sub, "y")->n_subs, 1, "the one that has not no local");
	for (uint32_t qos = 0; qos < 2; qos++) { /* what is there may change */
		struct sq_sub s = {
		    .op = SQ_SUB_SUBSCRIBE, .options = (uint8_t)qos, .filter = text("a/b/+/d/+/f")};

		cr_assert_eq(peer_sub(&sub, &s), qos);
		cr_assert_eq(peer_publish(&p, "a/b/c/d/e/f", "z", 2), 0);
		cr_assert_eq(peer_expect(&sub, "z")->qos, qos);
	}
}
