/* Deliveries: settlements, packet ids, credit, and what an attach sends again. */
#include <stdlib.h>

#include "../support/broker_world.h"

static struct world w;
static struct peer p, sub;

static void
setup(void)
{
	world_init(&w);
	world_start(&w, 1);
	p = peer_new(&w, "s~w~publisher~pod");
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

TestSuite(session_settle, .init = setup, .fini = teardown);

static void
publish(const char *payloads, uint8_t qos)
{
	for (; *payloads != '\0'; payloads++)
		cr_assert_eq(peer_publish(&p, "t", (const char[]){*payloads, '\0'}, qos), 0);
}

static void
attach_again(void)
{
	cr_assert_eq(peer_attach(&sub), 200);
	cr_assert_eq(peer_credit(&sub, 1000, 1 << 20), 204);
}

Test(session_settle, an_acknowledged_run_is_finished)
{
	struct fake_delivery *d;
	uint64_t first;

	publish("12345", 1);
	d = peer_expect(&sub, "1");
	first = d->delivery;
	for (unsigned i = 1; i < 5; i++)
		cr_assert_eq(peer_next(&sub)->delivery, first + i, "delivery ids count by one");
	cr_assert_eq(world_metric(SQ_M_QUEUED), 5);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, first, 4), 204);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 1);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, first, 4), 204, "unknown ids succeed");
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, first, 60000), 204);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, UINT64_MAX - 2, 9), 204);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
}

Test(session_settle, a_body_of_endless_work_is_refused)
{
	struct sq_settle e = {.kind = SQ_SETTLE_ACK, .n = UINT16_MAX, .delivery = 1};
	struct sq_buf body = {0};
	struct fake_call *c;

	sq_settlements_header(&body, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		sq_settle_put(&body, &e);
	c = fake_call_new(SQ_CALL_SETTLEMENTS, sub.key, sub.epoch, w.links[0], &body);
	sq_broker_call(w.broker, &c->call);
	call_expect(&c, 400);
}

Test(session_settle, requeued_messages_come_again_in_their_order)
{
	uint64_t one, two;

	publish("123", 1);
	one = peer_expect(&sub, "1")->delivery;
	two = peer_expect(&sub, "2")->delivery;
	peer_expect(&sub, "3");
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_REQUEUE, one, 2), 204);
	cr_assert_not(peer_expect(&sub, "1")->redelivered, "it was not delivered");
	cr_assert_neq(peer_expect(&sub, "2")->delivery, two);
	peer_expect_nothing(&sub);
}

Test(session_settle, a_rejected_message_is_counted_and_a_dead_letter)
{
	publish("1", 1);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_REJECT, peer_expect(&sub, "1")->delivery, 1), 204);
	cr_assert_eq(world_metric(SQ_M_DROPPED_ATTEMPTS), 1);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 1);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 1, "in their queue, not the session's");
	peer_expect_nothing(&sub);
}

Test(session_settle, qos_2_is_finished_by_complete)
{
	struct fake_delivery *d;
	uint64_t id;

	publish("1", 2);
	d = peer_expect(&sub, "1");
	id = d->delivery;
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_RECEIVED, id, 1), 204);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0, "the message is the client's now");
	for (int kind = SQ_SETTLE_ACK; kind <= SQ_SETTLE_REJECT; kind++) {
		if (kind != SQ_SETTLE_COMPLETE)
			cr_assert_eq(peer_settle(&sub, (enum sq_settle_kind)kind, id, 1), 204);
	}
	attach_again();
	cr_assert_eq(sub.n_listed, 1, "nothing but complete ends it");
	cr_assert_eq(sub.listed[0].state, SQ_OPEN_RECEIVED);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_COMPLETE, sub.listed[0].delivery, 1), 204);
	attach_again();
	cr_assert_eq(sub.n_listed, 0);
	peer_expect_nothing(&sub);
}

Test(session_settle, a_refused_qos_2_message_is_finished_by_ack)
{
	publish("1", 2);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, peer_expect(&sub, "1")->delivery, 1), 204);
	attach_again();
	cr_assert_eq(sub.n_listed, 0);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
}

Test(session_settle, an_attach_lists_all_in_order_and_sends_the_unfinished_again)
{
	uint16_t ids[4];
	struct fake_delivery *d;

	publish("1", 2);
	publish("2", 1);
	publish("3", 2);
	publish("4", 1);
	for (unsigned i = 0; i < 4; i++) {
		d = peer_next(&sub);
		ids[i] = d->packet_id;
		if (i == 0)
			cr_assert_eq(peer_settle(&sub, SQ_SETTLE_RECEIVED, d->delivery, 1), 204);
		else if (i == 1)
			cr_assert_eq(peer_settle(&sub, SQ_SETTLE_REQUEUE, d->delivery, 1), 204);
	}
	cr_assert_str_eq(peer_next(&sub)->payload, "2"); /* it is the last one now */
	publish("5", 1);
	peer_expect(&sub, "5");
	attach_again();
	cr_assert_eq(sub.n_listed, 5);
	cr_assert(sub.listed[0].state == SQ_OPEN_RECEIVED && sub.listed[0].packet_id == ids[0]);
	cr_assert(sub.listed[1].state == SQ_OPEN_QOS2 && sub.listed[1].packet_id == ids[2]);
	cr_assert(sub.listed[2].state == SQ_OPEN_QOS1 && sub.listed[2].packet_id == ids[3]);
	cr_assert_eq(sub.listed[3].state, SQ_OPEN_QOS1);
	for (unsigned i = 1; i < 5; i++) {
		d = peer_next(&sub);
		cr_assert_str_eq(d->payload, ((const char *[]){"", "3", "4", "2", "5"})[i]);
		cr_assert_eq(d->delivery, sub.listed[i].delivery);
		cr_assert_eq(d->packet_id, sub.listed[i].packet_id);
		cr_assert(d->redelivered);
		cr_assert(sq_origin_equal(&d->origin, &sub.listed[i].origin));
	}
	peer_expect_nothing(&sub);
	publish("6", 1);
	cr_assert_gt(peer_expect(&sub, "6")->delivery, sub.listed[4].delivery);
}

Test(session_settle, deliveries_of_an_older_epoch_cannot_be_settled)
{
	struct peer old;
	struct fake_call *c;
	uint64_t id;

	publish("1", 1);
	id = peer_expect(&sub, "1")->delivery;
	old = sub;
	attach_again();
	c = peer_settle_post(&old, SQ_SETTLE_ACK, id, 1);
	call_expect_verdict(&c, SQ_VERDICT_EPOCH);
	peer_expect(&sub, "1");
}

Test(session_settle, a_packet_id_is_free_only_after_complete)
{
	uint16_t id;
	uint64_t delivery;

	publish("1", 2);
	delivery = peer_next(&sub)->delivery;
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_RECEIVED, delivery, 1), 204);
	for (unsigned i = 0; i < 20; i++) {
		struct fake_delivery *d;

		publish("x", 1);
		d = peer_expect(&sub, "x");
		id = d->packet_id;
		cr_assert_neq(id, 1);
		cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, d->delivery, 1), 204);
	}
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_COMPLETE, delivery, 1), 204);
	publish("y", 1);
	cr_assert_eq(peer_expect(&sub, "y")->packet_id, 1);
}

Test(session_settle, ids_of_an_older_incarnation_stay_taken_until_complete)
{
	struct sq_open_id open[3] = {
	    {.packet_id = 1, .state = SQ_OPEN_QOS1, .queue = 9, .origin = {1, 2, 3, 0}},
	    {.packet_id = 3, .state = SQ_OPEN_QOS2, .origin = {1, 2, 4, 0}},
	    {.packet_id = 3, .state = SQ_OPEN_QOS2, .origin = {1, 2, 4, 0}},
	};
	struct fake_delivery *d;

	publish("1", 1); /* has id 1, which the client has open for something else */
	peer_expect(&sub, "1");
	sub.incarnation = 12345;
	sub.open = open;
	sub.n_open = 3;
	attach_again();
	cr_assert_eq(sub.n_listed, 3);
	d = peer_expect(&sub, "1");
	cr_assert_eq(d->packet_id, 2);
	for (unsigned i = 0; i < 3; i++) {
		if (sub.listed[i].packet_id == 2)
			continue;
		cr_assert_eq(sub.listed[i].state, SQ_OPEN_ORPHAN);
		cr_assert_eq(sub.listed[i].origin.number, sub.listed[i].packet_id == 1 ? 3 : 4);
		cr_assert_eq(sub.listed[i].queue, sub.listed[i].packet_id == 1 ? 9 : 0);
	}
	publish("2", 1);
	cr_assert_eq(peer_expect(&sub, "2")->packet_id, 4);
	sub.n_open = 0;
	attach_again();
	cr_assert_eq(sub.n_listed, 4, "orphans stay over an attach");
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(peer_settle(&sub, SQ_SETTLE_COMPLETE, sub.listed[i].delivery, 1), 204);
	attach_again();
	cr_assert_eq(sub.n_listed, 0);
}

Test(session_settle, thousands_of_orphans_with_high_ids_are_kept_and_ended)
{
	struct sq_open_id *open = calloc(4000, sizeof *open);
	struct sq_attached a;
	struct fake_call *c;

	for (unsigned i = 0; i < 4000; i++)
		open[i] = (struct sq_open_id){
		    .packet_id = (uint16_t)(65535 - i), .state = SQ_OPEN_QOS1};
	sub.incarnation = 12345;
	sub.open = open;
	sub.n_open = 4000;
	c = peer_put(&sub);
	free(open);
	world_run();
	cr_assert_eq(sq_attached_decode(
			 sq_buf_data(&c->answer), sq_buf_len(&c->answer), SQ_LINK_VERSION, &a),
	    SQ_OK);
	cr_assert_eq(a.n_open, 4000);
	sub.epoch = a.epoch;
	fake_call_free(&c);
	cr_assert_eq(peer_credit(&sub, 100, 100000), 204);
	publish("1", 1);
	peer_expect_nothing(&sub); /* the client's receive maximum is used up */
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_COMPLETE, 1, 4000), 204);
	peer_expect(&sub, "1");
}

Test(session_settle, credit_is_a_total_since_attach)
{
	struct peer slow = peer_new(&w, "s~w~slow~pod");

	slow.ordinal = 1;
	cr_assert_eq(peer_attach(&slow), 200);
	cr_assert_eq(peer_subscribe(&slow, "t", 1), 1);
	publish("12345", 1);
	peer_expect_nothing(&slow);
	cr_assert_eq(peer_credit(&slow, 2, 100000), 204);
	peer_expect(&slow, "1");
	peer_expect(&slow, "2");
	peer_expect_nothing(&slow);
	cr_assert_eq(peer_credit(&slow, 1, 100000), 204, "it never falls");
	peer_expect_nothing(&slow);
	cr_assert_eq(peer_credit(&slow, 3, 0), 204);
	peer_expect(&slow, "3");
	peer_expect_nothing(&slow);
	cr_assert_eq(peer_attach(&slow), 200);
	peer_expect_nothing(&slow); /* what is sent again needs credit as well */
	cr_assert_eq(peer_credit(&slow, 4, 100000), 204);
	for (const char *n = "1234"; *n != '\0'; n++)
		peer_expect(&slow, (const char[]){*n, '\0'});
	peer_expect_nothing(&slow);
}

Test(session_settle, one_message_may_exceed_the_byte_credit)
{
	struct peer slow = peer_new(&w, "s~w~slow~pod");

	slow.ordinal = 1;
	cr_assert_eq(peer_attach(&slow), 200);
	cr_assert_eq(peer_subscribe(&slow, "t", 0), 0);
	publish("123", 0);
	cr_assert_eq(peer_credit(&slow, 100, 1), 204);
	peer_expect(&slow, "1");
	peer_expect_nothing(&slow);
	cr_assert_eq(peer_credit(&slow, 100, 19), 204); /* an image has 18 bytes */
	peer_expect(&slow, "2");
	peer_expect_nothing(&slow);
	cr_assert_eq(peer_credit(&slow, 100, 1000), 204);
	peer_expect(&slow, "3");
}

Test(session_settle, receive_maximum_bounds_what_is_unfinished)
{
	struct peer slow = peer_new(&w, "s~w~slow");
	struct fake_delivery *d;

	slow.receive_max = 2;
	peer_connect(&slow);
	cr_assert_eq(peer_subscribe(&slow, "t", 2), 2);
	publish("1", 1);
	publish("23", 2);
	d = peer_expect(&slow, "1");
	cr_assert_eq(peer_settle(&slow, SQ_SETTLE_ACK, d->delivery, 1), 204);
	peer_expect(&slow, "2");
	d = peer_expect(&slow, "3");
	publish("4", 1);
	cr_assert_eq(peer_settle(&slow, SQ_SETTLE_RECEIVED, d->delivery, 1), 204);
	peer_expect_nothing(&slow); /* until PUBCOMP (MQTT 5.0 §4.9) */
	cr_assert_eq(peer_settle(&slow, SQ_SETTLE_COMPLETE, d->delivery, 1), 204);
	peer_expect(&slow, "4");
}

Test(session_settle, receive_maximum_bounds_what_is_sent_again_too)
{
	uint64_t id;

	publish("12345", 1);
	for (unsigned i = 0; i < 5; i++)
		cr_assert_not_null(peer_next(&sub));
	sub.receive_max = 2;
	attach_again();
	cr_assert_eq(sub.n_listed, 5);
	id = peer_expect(&sub, "1")->delivery;
	peer_expect(&sub, "2");
	peer_expect_nothing(&sub);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, id, 1), 204);
	peer_expect(&sub, "3");
	peer_expect_nothing(&sub);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, id + 3, 1), 204, "what waits may be settled");
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, id + 1, 1), 204);
	peer_expect(&sub, "5");
	peer_expect_nothing(&sub);
}

Test(session_settle, a_full_link_holds_deliveries_back)
{
	sq_outlet_set_full(w.links[0], true);
	publish("1", 1);
	peer_expect_nothing(&sub);
	sq_outlet_set_full(w.links[0], false);
	sq_broker_outlet_writable(w.broker, w.links[0]);
	peer_expect(&sub, "1");
	sq_outlet_set_full(w.links[0], true);
	publish("2", 1);
	world_run();
	sub.link = 1; /* it goes on over another link */
	attach_again();
	peer_expect(&sub, "1");
	peer_expect(&sub, "2");
	sq_outlet_set_full(w.links[0], false);
	sq_broker_outlet_writable(w.broker, w.links[0]);
	peer_expect_nothing(&sub);
}

Test(session_settle, more_than_a_turn_allows_comes_all_the_same)
{
	struct entry e[100];
	struct fake_call *c;

	for (unsigned i = 0; i < 100; i++)
		e[i] = (struct entry){.topic = "t", .payload = "x"};
	for (unsigned i = 0; i < 9; i++) {
		c = peer_post(&p, 0, e, 100);
		call_expect(&c, 200);
	}
	for (unsigned i = 0; i < 900; i++)
		peer_expect(&sub, "x");
	cr_assert_eq(world_metric(SQ_M_SENT_QOS0), 900);
}
