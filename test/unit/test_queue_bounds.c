/* The bounds of a queue hold over all that waits in it, whoever holds it in memory: for
 * a client that acknowledges nothing, one that is away, several queues of one session. */
#include <stdlib.h>

#include "../support/broker_world.h"

enum { LIMIT = 3, MANY = 600 };

static struct world w;
static struct peer p;
static uint16_t packet_id; /* the publisher's */

static void
setup_with(uint32_t max_msgs, uint64_t max_bytes)
{
	world_init(&w);
	w.cfg.queue_max_msgs = max_msgs;
	w.cfg.queue_max_bytes = max_bytes;
	world_start(&w, 2);
	p = peer_new(&w, "s~w~publisher~pod");
	peer_connect(&p);
}

static struct peer
subscriber(const char *key, const char *filter, uint8_t qos, uint16_t receive_max)
{
	struct peer sub = peer_new(&w, key);

	sub.receive_max = receive_max;
	peer_connect(&sub);
	cr_assert_eq(peer_subscribe(&sub, filter, qos), qos);
	return sub;
}

/* Publishes 'n' messages of 'len' bytes; returns how many were taken: neither refused,
 * as for a durable client, nor dropped. */
static unsigned
publish(const char *topic, uint8_t qos, unsigned n, uint32_t len)
{
	struct entry e = {.topic = topic, .qos = qos, .payload = "x", .payload_len = len};
	int64_t dropped = world_metric(SQ_M_DROPPED_FULL);
	unsigned taken = 0;

	for (unsigned i = 0; i < n; i++) {
		uint8_t code;

		e.id = qos == 2 ? ++packet_id : 0;
		code = peer_send(&p, &e);
		cr_assert(code == 0 || code == 0x97, "outcome %02x", code);
		taken += code == 0;
	}
	return taken - (unsigned)(world_metric(SQ_M_DROPPED_FULL) - dropped);
}

/* Takes and finishes all; returns how many came. */
static unsigned
drain(struct peer *sub)
{
	struct fake_delivery *d;
	unsigned n = 0;

	for (; (d = peer_next(sub)) != NULL; n++) {
		enum sq_settle_kind kind = d->qos == 2 ? SQ_SETTLE_COMPLETE : SQ_SETTLE_ACK;

		if (d->qos > 0)
			cr_assert_eq(peer_settle(sub, kind, d->delivery, 1), 204);
	}
	return n;
}

/* Link 0 takes more again. */
static void
link_opens(void)
{
	sq_outlet_set_full(w.links[0], false);
	for (unsigned i = 0; i < 2; i++) {
		fake_self(i);
		sq_broker_outlet_writable(w.broker, w.links[0]);
	}
	fake_self(0);
}

static void
finish(void)
{
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
	cr_assert_eq(world_metric(SQ_M_QUEUED_BYTES), 0);
	world_stop(&w);
}

/* One message is out; LIMIT wait, and no more. */

Test(queue_bounds, messages_for_a_client_that_acknowledges_nothing)
{
	static const char *const filters[] = {"t", "$share/g/t"};

	for (unsigned i = 0; i < 2; i++) {
		for (uint8_t qos = 1; qos < 3; qos++) {
			struct peer sub;

			setup_with(LIMIT, 1 << 20);
			sub = subscriber("s~w~sub", filters[i], qos, 1);
			cr_assert_eq(publish("t", qos, 20, 1), 1 + LIMIT);
			cr_assert_eq(drain(&sub), 1 + LIMIT);
			cr_assert_eq(publish("t", qos, 1, 1), 1, "there is room again");
			cr_assert_eq(drain(&sub), 1);
			finish();
		}
	}
}

Test(queue_bounds, messages_for_a_transient_client_that_has_no_credit)
{
	for (uint8_t qos = 0; qos < 3; qos++) {
		struct peer sub;

		setup_with(LIMIT, 1 << 20);
		sub = peer_new(&w, "s~w~sub~pod");
		sub.ordinal = 1;
		cr_assert_eq(peer_attach(&sub), 200);
		cr_assert_eq(peer_credit(&sub, 2, 1 << 20), 204);
		cr_assert_eq(peer_subscribe(&sub, "t", qos), qos);
		cr_assert_eq(publish("t", qos, 20, 1), 2 + LIMIT);
		cr_assert_eq(drain(&sub), 2);
		cr_assert_eq(peer_credit(&sub, 1000, 1 << 20), 204);
		cr_assert_eq(drain(&sub), LIMIT);
		finish();
	}
}

Test(queue_bounds, bytes_for_a_client_that_acknowledges_nothing)
{
	static const char *const filters[] = {"t", "$share/g/t"};

	for (unsigned i = 0; i < 2; i++) {
		struct peer sub;

		setup_with(1000, 64 << 10);
		sub = subscriber("s~w~sub", filters[i], 1, 4);
		cr_assert_eq(publish("t", 1, 10, 1), 10, "small ones say nothing of large ones");
		cr_assert_eq(drain(&sub), 10);
		cr_assert_eq(publish("t", 1, 100, 4000), 4 + (64 << 10) / 4018);
		cr_assert_eq(drain(&sub), 4 + (64 << 10) / 4018);
		finish();
	}
}

Test(queue_bounds, a_byte_credit_is_not_exceeded_by_what_waits)
{
	struct peer sub;

	setup_with(1000, 64 << 10);
	sub = peer_new(&w, "s~w~sub");
	sub.ordinal = 1;
	cr_assert_eq(peer_attach(&sub), 200);
	cr_assert_eq(peer_credit(&sub, 1000, 10000), 204);
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
	cr_assert_eq(publish("t", 1, 100, 4000), 3 + (64 << 10) / 4018);
	cr_assert_eq(drain(&sub), 3);
	cr_assert_eq(peer_credit(&sub, 1000, 1 << 20), 204);
	cr_assert_eq(drain(&sub), (64 << 10) / 4018);
	finish();
}

Test(queue_bounds, messages_for_a_client_that_is_away)
{
	struct peer sub;

	setup_with(LIMIT, 1 << 20);
	sub = subscriber("s~w~sub", "t", 1, 1);
	cr_assert_eq(peer_detach(&sub, 3600, false), 204);
	cr_assert_eq(publish("t", 1, MANY, 1), MANY, "the oldest make room");
	cr_assert_eq(world_metric(SQ_M_DROPPED_ABANDONED), MANY - LIMIT);
	peer_connect(&sub);
	cr_assert_eq(drain(&sub), LIMIT);
	world_stop(&w);
}

/* What it was handed and not sent is in its queue again when it leaves, in order. */
Test(queue_bounds, a_client_that_leaves_and_comes_back)
{
	struct peer sub;

	setup_with(10, 1 << 20);
	sub = subscriber("s~w~sub", "t", 1, 10);
	sq_outlet_set_full(w.links[0], true);
	for (const char *c = "123"; *c != '\0'; c++)
		cr_assert_eq(peer_publish(&p, "t", (const char[]){*c, '\0'}, 1), 0);
	cr_assert_eq(peer_detach(&sub, 3600, false), 204);
	for (const char *c = "4567890"; *c != '\0'; c++)
		cr_assert_eq(peer_publish(&p, "t", (const char[]){*c, '\0'}, 1), 0);
	cr_assert_eq(world_metric(SQ_M_DROPPED_ABANDONED), 0);
	cr_assert_eq(peer_publish(&p, "t", "!", 1), 0);
	cr_assert_eq(
	    world_metric(SQ_M_DROPPED_ABANDONED), 1, "of the oldest, which was handed out");
	sub.link = 1;
	peer_connect(&sub);
	for (const char *c = "234567890!"; *c != '\0'; c++) {
		struct fake_delivery *d = peer_expect(&sub, (const char[]){*c, '\0'});

		cr_assert_not(d->redelivered);
		cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, d->delivery, 1), 204);
	}
	peer_expect_nothing(&sub);
	world_stop(&w);
}

Test(queue_bounds, messages_that_wait_for_a_full_link)
{
	struct peer sub;

	setup_with(LIMIT, 1 << 20);
	sub = subscriber("s~w~sub", "t", 1, 100);
	sq_outlet_set_full(w.links[0], true);
	cr_assert_eq(publish("t", 1, MANY, 1), LIMIT);
	link_opens();
	cr_assert_eq(drain(&sub), LIMIT);
	finish();
}

/* Both queues of a session answer its one free slot. */
Test(queue_bounds, two_queues_that_share_a_window)
{
	struct peer sub;
	unsigned own = 0, shared = 0;
	struct fake_delivery *d;

	setup_with(LIMIT, 1 << 20);
	sub = subscriber("s~w~sub", "own", 1, 1);
	cr_assert_eq(peer_subscribe(&sub, "$share/g/shared", 1), 1);
	cr_assert_eq(publish("own", 1, 1, 1), 1); /* this is out */
	cr_assert_eq(publish("own", 1, 20, 1), LIMIT);
	cr_assert_eq(publish("shared", 1, 20, 1), LIMIT);
	for (unsigned i = 0; (d = peer_next(&sub)) != NULL; i++) {
		cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, d->delivery, 1), 204);
		own += d->queue == 0;
		shared += d->queue != 0;
		if (i == 3)
			cr_assert(own > 1 && shared > 0, "both have their turn");
		cr_assert_leq(world_metric(SQ_M_QUEUED), 2 * LIMIT + 1 - i);
	}
	cr_assert_eq(own, 1 + LIMIT);
	cr_assert_eq(shared, LIMIT);
	finish();
}

/* One of two members takes nothing: the other has the rest. */
Test(queue_bounds, a_group_with_a_member_that_acknowledges_nothing)
{
	struct peer stuck, busy;

	setup_with(LIMIT, 1 << 20);
	stuck = subscriber("s~w~stuck", "$share/g/t", 1, 2);
	cr_assert_eq(publish("t", 1, 20, 1), 2 + LIMIT);
	busy = subscriber("s~w~busy", "$share/g/t", 1, 100);
	cr_assert_eq(drain(&busy), LIMIT);
	cr_assert_eq(publish("t", 1, 1, 1), 1);
	cr_assert_eq(drain(&busy), 1);
	cr_assert_eq(drain(&stuck), 2);
	finish();
}

Test(queue_bounds, a_window_that_is_full_lets_qos_0_pass)
{
	struct peer sub;

	setup_with(LIMIT, 1 << 20);
	sub = subscriber("s~w~sub", "t", 1, 1);
	cr_assert_eq(publish("t", 1, 1, 1), 1);
	cr_assert_not_null(peer_next(&sub));
	for (unsigned i = 0; i < 5; i++) {
		cr_assert_eq(publish("t", 0, 1, 1), 1);
		cr_assert_not_null(peer_next(&sub));
	}
	cr_assert_eq(publish("t", 1, 1, 1), 1);
	cr_assert_null(peer_next(&sub));
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, 1, 1), 204);
	cr_assert_eq(drain(&sub), 1);
	finish();
}
