/* Groups: shared subscriptions, and what the pods of a workload declare. */
#include "../support/broker_world.h"

static struct world w;
static struct peer p, a, b;

static void
begin(void)
{
	world_start(&w, 2);
	p = peer_new(&w, "s~w~publisher~pod");
	a = peer_new(&w, "s~w~a~pod");
	b = peer_new(&w, "s~w~bb~pod");
	b.link = 1;
	peer_connect(&p);
	peer_connect(&a);
	peer_connect(&b);
}

static void
setup(void)
{
	world_init(&w);
	begin();
}

static void
teardown(void)
{
	world_stop(&w);
}

TestSuite(group_members, .init = setup, .fini = teardown);

static void
publish(unsigned n, uint8_t qos)
{
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(peer_publish(&p, "t", (const char[]){(char)('0' + i), '\0'}, qos), 0);
}

static unsigned
drain(struct peer *of, bool settle)
{
	struct fake_delivery *d;
	unsigned n = 0;

	for (; (d = peer_next(of)) != NULL; n++) {
		uint64_t delivery = d->delivery;

		if (settle && delivery != 0)
			cr_assert_eq(peer_settle(of, SQ_SETTLE_ACK, delivery, 1), 204);
	}
	return n;
}

static uint8_t
declare(struct peer *of, const char *filter, uint8_t flags, uint32_t expiry_s)
{
	return peer_sub(of,
	    &(struct sq_sub){.op = SQ_SUB_SUBSCRIBE,
		.options = 1,
		.flags = (uint8_t)(SQ_SUB_DECLARED | flags),
		.queue_expiry_s = expiry_s,
		.group = text("g"),
		.filter = text(filter)});
}

static uint8_t
undeclare(struct peer *of, const char *filter)
{
	return peer_sub(of,
	    &(struct sq_sub){.op = SQ_SUB_UNSUBSCRIBE,
		.flags = SQ_SUB_DECLARED,
		.group = text("g"),
		.filter = text(filter)});
}

Test(group_members, members_of_a_share_take_turns)
{
	cr_assert_eq(peer_subscribe(&a, "$share/g/t", 1), 1);
	cr_assert_eq(peer_subscribe(&b, "$share/g/t", 1), 1);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1);
	publish(8, 1);
	cr_assert_eq(drain(&a, true), 4);
	cr_assert_eq(drain(&b, true), 4);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
}

Test(group_members, shares_of_another_name_or_filter_are_apart)
{
	cr_assert_eq(peer_subscribe(&a, "$share/g/t", 1), 1);
	cr_assert_eq(peer_subscribe(&b, "$share/h/t", 1), 1);
	cr_assert_eq(peer_subscribe(&b, "$share/g/+", 0), 0);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 3);
	publish(3, 1);
	cr_assert_eq(drain(&a, true), 3);
	cr_assert_eq(drain(&b, true), 6);
}

Test(group_members, each_member_has_its_own_qos_and_identifier)
{
	struct sq_sub s = {
	    .op = SQ_SUB_SUBSCRIBE, .options = 0, .sub_id = 7, .filter = text("$share/g/t")};
	struct fake_delivery *d;

	cr_assert_eq(peer_sub(&a, &s), 0);
	cr_assert_eq(peer_publish(&p, "t", "x", 1), 0);
	d = peer_expect(&a, "x");
	cr_assert_eq(d->qos, 0);
	cr_assert(d->n_subs == 1 && d->subs[0] == 7);
	cr_assert_neq(d->queue, 0);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0, "at QoS 0 nobody acknowledges");
	cr_assert_eq(peer_unsubscribe(&a, "$share/g/t"), 0);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
	cr_assert_eq(peer_publish(&p, "t", "x", 1), 0x10);
}

Test(group_members, what_a_member_leaves_goes_to_another)
{
	cr_assert_eq(peer_subscribe(&a, "$share/g/t", 1), 1);
	publish(4, 1);
	cr_assert_eq(drain(&a, false), 4);
	cr_assert_eq(peer_subscribe(&b, "$share/g/t", 1), 1);
	peer_expect_nothing(&b);
	cr_assert_eq(peer_detach(&a, 0, false), 204);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_not(peer_expect(&b, (const char[]){(char)('0' + i), '\0'})->redelivered,
		    "DUP would be for the same client (MQTT-3.3.1-3)");
	peer_expect_nothing(&b);
}

Test(group_members, what_was_handed_but_never_sent_is_no_redelivery)
{
	struct peer slow = peer_new(&w, "s~w~slow~pod");

	slow.ordinal = 1;
	slow.receive_max = 2;
	cr_assert_eq(peer_attach(&slow), 200);
	cr_assert_eq(peer_credit(&slow, 100, 100000), 204);
	cr_assert_eq(peer_subscribe(&slow, "$share/g/t", 1), 1);
	publish(6, 1);
	cr_assert_eq(drain(&slow, false), 2);
	cr_assert_eq(peer_subscribe(&b, "$share/g/t", 1), 1);
	cr_assert_eq(peer_unsubscribe(&slow, "$share/g/t"), 0);
	for (unsigned i = 2; i < 6; i++)
		cr_assert_not(peer_expect(&b, (const char[]){(char)('0' + i), '\0'})->redelivered);
}

Test(group_members, a_lost_link_stops_the_member_at_once)
{
	cr_assert_eq(peer_subscribe(&a, "$share/g/t", 1), 1);
	cr_assert_eq(peer_subscribe(&b, "$share/g/t", 1), 1);
	world_close_link(&w, 1);
	peer_connect(&p);
	publish(6, 1);
	cr_assert_eq(drain(&a, true), 6);
}

Test(group_members, what_a_lost_member_had_goes_to_another_long_before_its_grace_ends)
{
	cr_assert_eq(peer_subscribe(&b, "$share/g/t", 1), 1);
	publish(2, 1);
	cr_assert_eq(drain(&b, false), 2);
	cr_assert_eq(peer_subscribe(&a, "$share/g/t", 1), 1);
	world_close_link(&w, 1);
	world_pass(&w, 1500);
	peer_expect_nothing(&a); /* it may be on its way back */
	world_pass(&w, 1000);
	peer_expect(&a, "0");
	peer_expect(&a, "1");
	b.link = 0;
	cr_assert_eq(peer_attach(&b), 200);
	cr_assert(b.present);
	cr_assert_eq(b.n_listed, 0, "they are another's now");
}

Test(group_members, a_member_that_comes_back_goes_on)
{
	a.expiry_s = 1000;
	peer_connect(&a);
	cr_assert_eq(peer_subscribe(&a, "$share/g/t", 1), 1);
	cr_assert_eq(peer_detach(&a, 1000, false), 204);
	publish(3, 1);
	peer_connect(&a);
	cr_assert(a.present);
	publish(3, 1);
	cr_assert_eq(drain(&a, true), 6);
	cr_assert_eq(peer_attach(&a), 200); /* stop and start within a turn */
	cr_assert_eq(peer_attach(&a), 200);
	cr_assert_eq(peer_credit(&a, 100, 100000), 204);
	publish(3, 1);
	cr_assert_eq(drain(&a, true), 3);
}

Test(group_members, a_qos_2_handshake_stays_with_its_member)
{
	struct fake_delivery *d;

	a.expiry_s = 1000;
	peer_connect(&a);
	cr_assert_eq(peer_subscribe(&a, "$share/g/t", 2), 2);
	cr_assert_eq(peer_publish(&p, "t", "two", 2), 0);
	cr_assert_eq(peer_publish(&p, "t", "one", 1), 0);
	d = peer_expect(&a, "two");
	cr_assert_eq(d->qos, 2);
	peer_expect(&a, "one");
	cr_assert_eq(peer_subscribe(&b, "$share/g/t", 2), 2);
	cr_assert_eq(peer_detach(&a, 1000, false), 204);
	peer_expect(&b, "one");
	peer_expect_nothing(&b);
	peer_connect(&a);
	cr_assert_eq(a.n_listed, 1);
	cr_assert_eq(a.listed[0].state, SQ_OPEN_QOS2);
	cr_assert_neq(a.listed[0].queue, 0);
	peer_expect(&a, "two");
}

Test(group_members, a_qos_2_message_of_a_session_that_ends_goes_to_nobody)
{
	cr_assert_eq(peer_subscribe(&a, "$share/g/t", 2), 2);
	cr_assert_eq(peer_publish(&p, "t", "two", 2), 0);
	peer_expect(&a, "two");
	cr_assert_eq(peer_subscribe(&b, "$share/g/t", 2), 2);
	cr_assert_eq(peer_detach(&a, 0, false), 204);
	peer_expect_nothing(&b); /* MQTT-4.8.2-5 */
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
}

Test(group_members, a_slow_member_does_not_keep_what_others_could_take)
{
	struct peer slow = peer_new(&w, "s~w~slow~pod");

	slow.ordinal = 1;
	slow.receive_max = 1;
	cr_assert_eq(peer_attach(&slow), 200);
	cr_assert_eq(peer_credit(&slow, 100, 100000), 204);
	cr_assert_eq(peer_subscribe(&slow, "$share/g/t", 1), 1);
	cr_assert_eq(peer_subscribe(&b, "$share/g/t", 1), 1);
	publish(9, 1);
	cr_assert_eq(drain(&slow, false), 1);
	cr_assert_eq(drain(&b, true), 8);
}

Test(group_members, a_keeper_declares_and_a_consumer_takes)
{
	struct peer keeper = peer_new(&w, "s~w~keeper~pod");

	keeper.flags |= SQ_ATTACH_KEEPER;
	peer_connect(&keeper);
	cr_assert_eq(declare(&keeper, "t", 0, 0), 1);
	publish(3, 1);
	peer_expect_nothing(&keeper);
	cr_assert_eq(declare(&a, "t", SQ_SUB_CONSUME, 0), 1);
	cr_assert_eq(drain(&a, true), 3);
	cr_assert_eq(declare(&a, "u", SQ_SUB_CONSUME, 0), 1);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1);
	cr_assert_eq(world_metric(SQ_M_SUBSCRIPTIONS), 2);
	publish(2, 1);
	cr_assert_eq(drain(&a, true), 2, "one member for all filters of the group");
	cr_assert_eq(peer_detach(&a, 0, false), 204);
	cr_assert_eq(world_metric(SQ_M_SUBSCRIPTIONS), 1, "the keeper declares t only");
	publish(2, 1);
	cr_assert_eq(declare(&b, "t", SQ_SUB_CONSUME, 0), 1);
	cr_assert_eq(drain(&b, true), 2);
	cr_assert_eq(peer_detach(&keeper, 0, false), 204);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1);
	cr_assert_eq(peer_detach(&b, 0, false), 204);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0, "not durable: gone with the last one");
}

Test(group_members, the_member_stays_while_one_of_its_filters_does)
{
	cr_assert_eq(declare(&a, "u", SQ_SUB_CONSUME, 0), 1);
	cr_assert_eq(declare(&a, "t", SQ_SUB_CONSUME, 0), 1);
	cr_assert_eq(undeclare(&a, "u"), 0);
	publish(2, 1);
	cr_assert_eq(drain(&a, true), 2);
}

static void
declare_one_at_a_time(const char *filter)
{
	cr_assert_eq(peer_sub(&a,
			 &(struct sq_sub){.op = SQ_SUB_SUBSCRIBE,
			     .options = 1,
			     .flags = SQ_SUB_DECLARED | SQ_SUB_CONSUME,
			     .concurrency = 1,
			     .group = text("g"),
			     .filter = text(filter)}),
	    1);
}

/* Two messages to the topic come, one at a time. */
static void
expect_one_at_a_time(const char *topic)
{
	cr_assert_eq(peer_publish(&p, topic, "first", 1), 0);
	cr_assert_eq(peer_publish(&p, topic, "second", 1), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct fake_delivery *d = peer_expect(&a, i == 0 ? "first" : "second");

		peer_expect_nothing(&a);
		cr_assert_eq(peer_settle(&a, SQ_SETTLE_ACK, d->delivery, 1), 204);
	}
}

/* Whichever of them goes, and comes again. */
Test(group_members, the_filters_of_a_session_have_one_member)
{
	static const char *const topics[] = {"t/0", "t/1", "t/2"};
	static const uint8_t orders[][3] = {
	    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	for (unsigned k = 0; k < SQ_ARRAY_LEN(orders); k++) {
		for (unsigned i = 0; i < 3; i++)
			declare_one_at_a_time(topics[i]);
		for (unsigned gone = 0; gone < 3; gone++) {
			const char *topic = topics[orders[k][gone]];

			cr_assert_eq(undeclare(&a, topic), 0);
			declare_one_at_a_time(topic);
			for (unsigned i = gone; i < 3; i++)
				expect_one_at_a_time(topics[orders[k][i]]);
			cr_assert_eq(undeclare(&a, topic), 0);
		}
	}
}

Test(group_members, a_durable_group_outlives_its_members)
{
	cr_assert_eq(declare(&a, "t", SQ_SUB_CONSUME | SQ_SUB_DURABLE, 60), 1);
	cr_assert_eq(declare(&a, "old", SQ_SUB_CONSUME | SQ_SUB_DURABLE, 60), 1);
	cr_assert_eq(peer_detach(&a, 0, false), 204);
	cr_assert_eq(world_metric(SQ_M_SUBSCRIPTIONS), 2);
	publish(3, 1);
	cr_assert_eq(peer_publish(&p, "old", "x", 1), 0);
	world_pass(&w, 30000);
	cr_assert_eq(declare(&b, "t", SQ_SUB_CONSUME | SQ_SUB_DURABLE, 60), 1);
	cr_assert_eq(drain(&b, true), 4);
	cr_assert_eq(
	    world_metric(SQ_M_SUBSCRIPTIONS), 1, "what nobody declares any more is pruned");
	cr_assert_eq(peer_publish(&p, "old", "x", 1), 0x10);
	world_pass(&w, 120000);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1, "somebody is there");
	publish(2, 1);
	cr_assert_eq(drain(&b, false), 2);
	cr_assert_eq(peer_detach(&b, 0, false), 204);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 2);
	world_pass(&w, 70000);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
}

Test(group_members, a_durable_group_without_an_expiry_has_the_brokers)
{
	world_stop(&w);
	w.cfg.queue_expiry_s = 20;
	begin();
	cr_assert_eq(declare(&a, "t", SQ_SUB_CONSUME | SQ_SUB_DURABLE, 0), 1);
	cr_assert_eq(peer_detach(&a, 0, false), 204);
	publish(3, 1);
	world_pass(&w, 15000);
	cr_assert_eq(declare(&b, "t", SQ_SUB_CONSUME | SQ_SUB_DURABLE, 0), 1);
	cr_assert_eq(drain(&b, true), 3);
	cr_assert_eq(peer_detach(&b, 0, false), 204);
	world_pass(&w, 22000);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
}

Test(group_members, a_second_is_at_once)
{
	cr_assert_eq(declare(&a, "t", SQ_SUB_CONSUME | SQ_SUB_DURABLE, 1), 1);
	cr_assert_eq(peer_detach(&a, 0, false), 204);
	world_pass(&w, 3000);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
}

Test(group_members, an_expiry_above_the_brokers_most_is_cut)
{
	world_stop(&w);
	w.cfg.queue_expiry_max_s = 10;
	begin();
	cr_assert_eq(declare(&a, "t", SQ_SUB_CONSUME | SQ_SUB_DURABLE, UINT32_MAX), 1);
	cr_assert_eq(peer_detach(&a, 0, false), 204);
	world_pass(&w, 8000);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1);
	world_pass(&w, 4000);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 0);
}

Test(group_members, a_workers_late_clock_does_not_expire_a_group)
{
	cr_assert_eq(declare(&a, "t", SQ_SUB_CONSUME | SQ_SUB_DURABLE, 60), 1);
	fake_set_now(fake_now() + 50);
	cr_assert_eq(peer_detach(&a, 0, false), 204);
	fake_set_now(fake_now() - 50);
	for (unsigned i = 0; i < 40; i++)
		sq_broker_tick(w.broker, fake_worker(0));
	cr_assert_eq(world_metric(SQ_M_GROUPS), 1);
}

Test(group_members, limits_of_a_declared_queue_hold)
{
	struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 1,
	    .flags = SQ_SUB_DECLARED,
	    .overflow = SQ_OVERFLOW_DROP_OLDEST,
	    .max_length = 2,
	    .max_attempts = 2,
	    .group = text("g"),
	    .filter = text("t")};
	struct fake_delivery *d;

	cr_assert_eq(peer_sub(&a, &s), 1);
	publish(4, 1);
	cr_assert_eq(world_metric(SQ_M_DROPPED_FULL), 2);
	s.flags |= SQ_SUB_CONSUME;
	cr_assert_eq(peer_sub(&a, &s), 1);
	d = peer_expect(&a, "2");
	cr_assert_eq(peer_settle(&a, SQ_SETTLE_REQUEUE, d->delivery, 1), 204);
	peer_expect(&a, "3");
	d = peer_expect(&a, "2");
	cr_assert_eq(peer_settle(&a, SQ_SETTLE_REQUEUE, d->delivery, 1), 204);
	peer_expect_nothing(&a);
	cr_assert_eq(world_metric(SQ_M_DROPPED_ATTEMPTS), 1);
}

Test(group_members, a_member_has_no_more_unfinished_than_its_concurrency)
{
	struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 1,
	    .flags = SQ_SUB_DECLARED | SQ_SUB_CONSUME,
	    .concurrency = 2,
	    .group = text("g"),
	    .filter = text("t")};
	struct fake_delivery *first;

	cr_assert_eq(peer_sub(&a, &s), 1);
	publish(4, 1);
	first = peer_expect(&a, "0");
	peer_expect(&a, "1");
	peer_expect_nothing(&a);
	cr_assert_eq(peer_settle(&a, SQ_SETTLE_ACK, first->delivery, 1), 204);
	peer_expect(&a, "2");
	peer_expect_nothing(&a);
	s.concurrency = 0;
	cr_assert_eq(peer_sub(&a, &s), 1);
	peer_expect(&a, "3");
}

Test(group_members, a_full_durable_group_refuses_the_publish)
{
	struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 1,
	    .flags = SQ_SUB_DECLARED | SQ_SUB_DURABLE,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .max_length = 2,
	    .group = text("g"),
	    .filter = text("t")};

	cr_assert_eq(peer_sub(&a, &s), 1);
	cr_assert_eq(peer_subscribe(&b, "t", 1), 1);
	publish(2, 1);
	cr_assert_eq(drain(&b, true), 2);
	cr_assert_eq(peer_publish(&p, "t", "x", 1), 0x97);
	peer_expect_nothing(&b);
}

Test(group_members, a_share_and_an_own_subscription_both_deliver)
{
	cr_assert_eq(peer_subscribe(&a, "$share/g/t", 1), 1);
	cr_assert_eq(peer_subscribe(&a, "t", 1), 1);
	cr_assert_eq(peer_publish(&p, "t", "x", 1), 0);
	cr_assert_eq(drain(&a, true), 2);
}
