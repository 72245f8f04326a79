/* What a client had and did not settle when it went: who gets it next, and whether
 * that counts as an attempt. */
#include "../support/broker_world.h"

static struct world w;
static struct peer p, a, b, dead;

static void
declare(struct peer *of, uint8_t flags)
{
	struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 2,
	    .flags = (uint8_t)(SQ_SUB_DECLARED | SQ_SUB_DURABLE | flags),
	    .max_attempts = 1,
	    .group = text("g"),
	    .filter = text("t")};

	cr_assert_eq(peer_sub(of, &s), 2);
}

static void
setup(void)
{
	world_init(&w);
	world_start(&w, 2);
	p = peer_new(&w, "s~w~publisher~pod");
	a = peer_new(&w, "s~w~a~pod");
	b = peer_new(&w, "s~w~bb~pod");
	dead = peer_new(&w, "s~w~dead~pod");
	a.link = 1;
	peer_connect(&p);
	peer_connect(&dead);
	cr_assert_eq(peer_subscribe(&dead, "$dead/#", 2), 2);
	peer_connect(&a);
	declare(&a, SQ_SUB_CONSUME);
}

static void
teardown(void)
{
	world_stop(&w);
}

TestSuite(session_attempts, .init = setup, .fini = teardown);

static void
publish(unsigned n, uint8_t qos)
{
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(peer_publish(&p, "t", (const char[]){(char)('0' + i), '\0'}, qos), 0);
}

static void
expect_three(struct peer *of)
{
	peer_expect(of, "0");
	peer_expect(of, "1");
	peer_expect(of, "2");
}

/* The next member gets all three, in their order, and none is a dead letter. */
static void
expect_untried(void)
{
	peer_connect(&b);
	declare(&b, SQ_SUB_CONSUME);
	expect_three(&b);
	peer_expect_nothing(&dead);
	cr_assert_eq(world_metric(SQ_M_DROPPED_ATTEMPTS), 0);
}

Test(session_attempts, what_a_client_has_when_it_disconnects_is_not_tried)
{
	publish(3, 1);
	expect_three(&a);
	cr_assert_eq(peer_disconnect(&a, 0), 204);
	expect_untried();
}

/* A packet id that was free again has a newer message than those with higher ids. */
Test(session_attempts, what_goes_back_has_its_old_place_whatever_its_packet_id)
{
	struct fake_delivery *d;

	publish(1, 1);
	d = peer_expect(&a, "0");
	cr_assert_eq(peer_publish(&p, "t", "1", 1), 0);
	peer_expect(&a, "1");
	cr_assert_eq(peer_settle(&a, SQ_SETTLE_ACK, d->delivery, 1), 204);
	cr_assert_eq(peer_publish(&p, "t", "2", 1), 0);
	peer_expect(&a, "2");
	cr_assert_eq(peer_disconnect(&a, 0), 204);
	peer_connect(&b);
	declare(&b, SQ_SUB_CONSUME);
	peer_expect(&b, "1");
	peer_expect(&b, "2");
	peer_expect_nothing(&b);
	peer_expect_nothing(&dead);
}

Test(session_attempts, what_goes_back_to_a_group_that_has_ended_ends_with_it)
{
	struct peer c = peer_new(&w, "s~w~c~pod");

	peer_connect(&c);
	cr_assert_eq(peer_subscribe(&c, "$share/gone/u", 1), 1);
	cr_assert_eq(peer_publish(&p, "u", "0", 1), 0);
	peer_expect(&c, "0");
	cr_assert_eq(world_metric(SQ_M_QUEUED), 1);
	cr_assert_eq(peer_unsubscribe(&c, "$share/gone/u"), 0);
	cr_assert_eq(peer_disconnect(&c, 0), 204);
	peer_expect_nothing(&dead);
	cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
	cr_assert_eq(world_metric(SQ_M_QUEUED_BYTES), 0);
}

Test(session_attempts, the_same_client_gets_it_again)
{
	for (int i = 0; i < 5; i++) {
		if (i == 0)
			publish(3, 1);
		expect_three(&a);
		cr_assert_eq(peer_disconnect(&a, 0), 204);
		peer_connect(&a);
		declare(&a, SQ_SUB_CONSUME);
	}
	expect_three(&a);
	peer_expect_nothing(&dead);
}

Test(session_attempts, a_durable_client_s_disconnect_is_not_tried_either)
{
	struct peer d = peer_new(&w, "s~w~d");

	cr_assert_eq(peer_disconnect(&a, 0), 204);
	peer_connect(&d);
	declare(&d, SQ_SUB_CONSUME);
	publish(3, 1);
	expect_three(&d);
	cr_assert_eq(peer_disconnect(&d, 100), 204);
	expect_untried();
}

Test(session_attempts, a_connection_that_breaks_counts)
{
	publish(3, 1);
	expect_three(&a);
	cr_assert_eq(peer_detach(&a, 0, false), 204);
	expect_three(&dead);
	cr_assert_eq(world_metric(SQ_M_DROPPED_ATTEMPTS), 3);
}

Test(session_attempts, a_sidecar_of_version_1_counts_as_before)
{
	fake_link_set_version(w.links[1], 1);
	publish(3, 1);
	expect_three(&a);
	cr_assert_eq(peer_disconnect(&a, 0), 204);
	expect_three(&dead);
}

Test(session_attempts, a_lost_link_does_not_count)
{
	publish(3, 1);
	expect_three(&a);
	world_close_link(&w, 1);
	world_pass(&w, 3000);
	expect_untried();
}

Test(session_attempts, a_sidecar_that_stays_away_does_not_count)
{
	publish(3, 1);
	expect_three(&a);
	world_close_link(&w, 1);
	world_pass(&w, 100000);
	expect_untried();
}

Test(session_attempts, a_takeover_does_not_count)
{
	struct peer other = peer_other(&a);

	publish(3, 1);
	expect_three(&a);
	other.link = 0;
	other.flags |= SQ_ATTACH_CLEAN_START;
	peer_connect(&other);
	expect_untried();
}

Test(session_attempts, a_break_is_forgotten_when_the_client_is_back)
{
	struct peer d = peer_new(&w, "s~w~d");

	cr_assert_eq(peer_disconnect(&a, 0), 204);
	d.link = 1;
	peer_connect(&d);
	declare(&d, SQ_SUB_CONSUME);
	cr_assert_eq(peer_detach(&d, 100, false), 204);
	peer_connect(&d);
	publish(3, 1);
	expect_three(&d);
	world_close_link(&w, 1);
	world_pass(&w, 3000);
	expect_untried();
}

Test(session_attempts, an_unfinished_qos_2_delivery_of_a_session_that_ends_is_a_dead_letter)
{
	struct fake_delivery *d;

	publish(1, 2);
	peer_expect(&a, "0");
	cr_assert_eq(peer_disconnect(&a, 0), 204);
	d = peer_expect(&dead, "0");
	cr_assert_str_eq(delivery_prop(d, "sqmqos-dead-reason"), "unfinished");
	cr_assert_eq(world_metric(SQ_M_DROPPED_UNFINISHED), 1);
	peer_connect(&b);
	declare(&b, SQ_SUB_CONSUME);
	peer_expect_nothing(&b);
}

Test(session_attempts, one_that_was_received_has_been_delivered)
{
	struct fake_delivery *d;

	publish(1, 2);
	d = peer_expect(&a, "0");
	cr_assert_eq(peer_settle(&a, SQ_SETTLE_RECEIVED, d->delivery, 1), 204);
	cr_assert_eq(peer_disconnect(&a, 0), 204);
	peer_expect_nothing(&dead);
	cr_assert_eq(world_metric(SQ_M_DROPPED_UNFINISHED), 0);
}

Test(session_attempts, an_unfinished_qos_2_delivery_waits_for_a_session_that_goes_on)
{
	struct peer d = peer_new(&w, "s~w~d");

	cr_assert_eq(peer_disconnect(&a, 0), 204);
	peer_connect(&d);
	declare(&d, SQ_SUB_CONSUME);
	publish(1, 2);
	peer_expect(&d, "0");
	cr_assert_eq(peer_disconnect(&d, 100), 204);
	peer_expect_nothing(&dead);
	peer_connect(&d);
	peer_expect(&d, "0");
	cr_assert_eq(peer_disconnect(&d, 10), 204);
	world_pass(&w, 11000);
	peer_expect(&dead, "0");
}
