/* What one space may read of another (spaces.NAME.reads), and that nothing else crosses. */
#include "../support/broker_world.h"
#include "broker/shard/tenant.h"

static const struct sq_tenant_grant grants[] = {
    {"shop", "prices", "eu/#"},
    {"shop", "prices", "+/de"}, /* overlaps */
    {"prices", "weather", "#"},
};

static struct world w;
static struct peer shop, prices, weather;

static void
setup(void)
{
	world_init(&w);
	w.cfg.queue_max_msgs = 5;
	w.cfg.grants = grants;
	w.cfg.n_grants = sizeof grants / sizeof *grants;
	world_start(&w, 2);
	shop = peer_new(&w, "shop~w~c~pod");
	prices = peer_new(&w, "prices~w~c~pod");
	weather = peer_new(&w, "weather~w~c~pod");
	peer_connect(&shop);
	peer_connect(&prices);
	peer_connect(&weather);
}

static void
teardown(void)
{
	world_stop(&w);
}

TestSuite(route_grants, .init = setup, .fini = teardown);

Test(route_grants, a_reader_gets_what_is_granted_once_and_nothing_else)
{
	cr_assert_eq(peer_subscribe(&shop, "#", 1), 1);
	cr_assert_eq(peer_publish(&prices, "eu/de", "granted twice", 1), 0x10);
	peer_expect(&shop, "granted twice");
	cr_assert_eq(peer_publish(&prices, "us/de", "by the other filter", 1), 0x10);
	peer_expect(&shop, "by the other filter");
	cr_assert_eq(peer_publish(&prices, "us/ca", "hidden", 1), 0x10);
	cr_assert_eq(peer_publish(&weather, "eu/de", "of a third space", 1), 0x10);
	peer_expect_nothing(&shop);
	cr_assert_eq(peer_publish(&shop, "eu/de", "own", 1), 0);
	peer_expect(&shop, "own");
	peer_expect_nothing(&shop);
}

Test(route_grants, nothing_goes_the_other_way_or_further)
{
	cr_assert_eq(peer_subscribe(&prices, "#", 1), 1);
	cr_assert_eq(peer_subscribe(&weather, "#", 1), 1);
	cr_assert_eq(peer_subscribe(&shop, "#", 1), 1);
	cr_assert_eq(peer_publish(&shop, "eu/de", "of the reader", 1), 0);
	peer_expect(&shop, "of the reader");
	peer_expect_nothing(&prices);
	cr_assert_eq(peer_retain(&shop, "eu/fr", "kept", 1), 0);
	peer_expect(&shop, "kept");
	cr_assert_eq(peer_subscribe(&prices, "+/fr", 1), 1);
	peer_expect_nothing(&prices);
	/* A grant of a grant is none. */
	cr_assert_eq(peer_publish(&weather, "eu/de", "rain", 1), 0);
	peer_expect(&weather, "rain");
	peer_expect(&prices, "rain");
	peer_expect_nothing(&shop);
}

Test(route_grants, retained_messages_come_as_far_as_they_are_granted)
{
	cr_assert_eq(peer_retain(&prices, "eu/de", "both filters", 1), 0);
	cr_assert_eq(peer_retain(&prices, "us/ca", "hidden", 1), 0);
	cr_assert_eq(peer_retain(&shop, "eu/at", "own", 1), 0);
	cr_assert_eq(peer_subscribe(&shop, "eu/#", 1), 1);
	peer_expect(&shop, "own");
	cr_assert(peer_expect(&shop, "both filters")->retain);
	peer_expect_nothing(&shop);
	cr_assert_eq(peer_subscribe(&shop, "us/+", 1), 1);
	peer_expect_nothing(&shop);
	cr_assert_eq(peer_subscribe(&shop, "+/de", 1), 1);
	peer_expect(&shop, "both filters");
	cr_assert_eq(peer_subscribe(&prices, "#", 1), 1);
	(void)peer_next(&prices);
	(void)peer_next(&prices);
	cr_assert_null(peer_next(&prices), "two of its own, and none of the reader's");
}

Test(route_grants, shares_and_tags_select_among_what_is_granted)
{
	static const char *const red[] = {"tag", "red", NULL};

	cr_assert_eq(peer_subscribe(&shop, "$share/g/eu/#", 1), 1);
	cr_assert_eq(peer_subscribe(&shop, "$tag/red", 1), 1);
	cr_assert_eq(peer_publish(&prices, "eu/x", "shared", 1), 0x10);
	peer_expect(&shop, "shared");
	cr_assert_eq(
	    peer_send(&prices,
		&(struct entry){.topic = "a/de", .payload = "tagged", .qos = 1, .props = red}),
	    0x10);
	peer_expect(&shop, "tagged");
	cr_assert_eq(
	    peer_send(&prices,
		&(struct entry){.topic = "a/b", .payload = "hidden", .qos = 1, .props = red}),
	    0x10);
	peer_expect_nothing(&shop);
}

Test(route_grants, a_full_queue_of_a_reader_is_not_its_publishers_matter)
{
	int64_t dropped = world_metric(SQ_M_DROPPED_FULL);

	cr_assert_eq(peer_subscribe(&shop, "#", 1), 1);
	cr_assert_eq(peer_attach(&shop), 200); /* without credit */
	for (int i = 0; i < 20; i++)
		cr_assert_eq(peer_publish(&prices, "eu/de", "x", 1), 0x10);
	cr_assert_gt(world_metric(SQ_M_DROPPED_FULL), dropped);
}
