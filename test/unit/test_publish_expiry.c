/* The message expiry that the configuration gives and cuts: live, retained, wills, QoS 3. */
#include "../support/broker_world.h"

static struct world w;
static struct peer pub, sub;

static void
begin(uint32_t default_s, uint32_t max_s)
{
	world_init(&w);
	w.cfg.expiry_default_s = default_s;
	w.cfg.expiry_max_s = max_s;
	world_start(&w, 1);
	pub = peer_new(&w, "s~w~publisher~pod");
	sub = peer_new(&w, "s~w~subscriber");
	peer_connect(&pub);
	peer_connect(&sub);
	cr_assert_eq(peer_subscribe(&sub, "t", 1), 1);
}

/* The expiry by which a message arrives that states 'expiry_s' (0: none). */
static uint32_t
arrives(uint32_t expiry_s)
{
	struct entry e = {.topic = "t", .payload = "x", .qos = 1, .expiry_s = expiry_s};

	cr_assert_eq(peer_send(&pub, &e), 0);
	return peer_expect(&sub, "x")->expiry_s;
}

Test(publish_expiry, without_a_configuration_it_is_as_the_message_says)
{
	begin(0, 0);
	cr_assert_eq(arrives(0), SQ_MSG_NO_EXPIRY);
	cr_assert_eq(arrives(7), 7);
	cr_assert_eq(arrives(SQ_MSG_NO_EXPIRY - 1), SQ_MSG_NO_EXPIRY - 1);
	world_stop(&w);
}

Test(publish_expiry, one_without_gets_the_default)
{
	begin(60, 0);
	cr_assert_eq(arrives(0), 60);
	cr_assert_eq(arrives(7), 7);
	cr_assert_eq(arrives(7000), 7000);
	world_stop(&w);
}

Test(publish_expiry, one_above_the_longest_gets_the_longest)
{
	begin(60, 100);
	cr_assert_eq(arrives(0), 60);
	cr_assert_eq(arrives(100), 100);
	cr_assert_eq(arrives(101), 100);
	world_stop(&w);
}

Test(publish_expiry, one_without_is_above_the_longest_where_there_is_no_default)
{
	begin(0, 100);
	cr_assert_eq(arrives(0), 100);
	world_stop(&w);
}

Test(publish_expiry, it_is_over_for_one_that_waits_and_what_is_left_is_told)
{
	begin(10, 0);
	cr_assert_eq(peer_detach(&sub, 3600, false), 204);
	cr_assert_eq(peer_publish(&pub, "t", "gone", 1), 0);
	world_pass(&w, 6000);
	cr_assert_eq(peer_publish(&pub, "t", "left", 1), 0);
	world_pass(&w, 6000);
	peer_connect(&sub);
	cr_assert_eq(peer_expect(&sub, "left")->expiry_s, 4);
	peer_expect_nothing(&sub);
	cr_assert_eq(world_metric(SQ_M_DROPPED_EXPIRED), 1);
	world_stop(&w);
}

Test(publish_expiry, a_retained_message_goes)
{
	begin(0, 10);
	cr_assert_eq(peer_retain(&pub, "kept", "x", 1), 0);
	world_pass(&w, 6000);
	cr_assert_eq(peer_subscribe(&sub, "kept", 1), 1);
	cr_assert_eq(peer_expect(&sub, "x")->expiry_s, 4);
	world_pass(&w, 6000);
	cr_assert_eq(world_metric(SQ_M_RETAINED), 0);
	cr_assert_eq(peer_subscribe(&sub, "kept", 1), 1);
	peer_expect_nothing(&sub);
	world_stop(&w);
}

Test(publish_expiry, a_will_has_it_from_when_it_is_published)
{
	struct peer p;

	begin(10, 0);
	cr_assert_eq(peer_subscribe(&sub, "will", 1), 1);
	p = peer_new(&w, "s~w~dying~pod");
	p.will = "gone";
	p.will_qos = 1;
	peer_connect(&p);
	world_pass(&w, 6000);
	cr_assert_eq(peer_detach(&p, 0, true), 204);
	cr_assert_eq(peer_expect(&sub, "gone")->expiry_s, 10);
	world_stop(&w);
}

Test(publish_expiry, one_of_qos_3_becomes_a_dead_letter_that_stays)
{
	static const char *const assured[] = {"sqmqos-qos", "3", NULL};
	struct entry e = {.topic = "t", .payload = "1", .qos = 2, .id = 1, .props = assured};
	struct peer u;

	begin(10, 10);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	cr_assert_eq(peer_detach(&sub, 3600, false), 204);
	cr_assert_eq(peer_send(&pub, &e), 0);
	world_pass(&w, 11000);
	peer_connect(&sub);
	peer_expect_nothing(&sub);
	cr_assert_eq(world_metric(SQ_M_DEAD_LETTERS), 1);
	world_pass(&w, 60000);
	u = peer_new(&w, "s~w~undertaker");
	peer_connect(&u);
	cr_assert_eq(peer_subscribe(&u, "$dead/#", 2), 2);
	cr_assert_eq(peer_expect(&u, "1")->expiry_s, SQ_MSG_NO_EXPIRY);
	world_stop(&w);
}
