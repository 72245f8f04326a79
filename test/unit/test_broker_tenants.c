/* Tenants that share a topic space: what is the space's, and what is each one's own. */
#include <stdio.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "broker/shard/shard.h"
#include "broker/shard/tenant.h"

static const struct sq_tenant_share shared[] = {{"a", "shared", NULL}, {"b", "shared", NULL}};

static struct world w;
static struct peer a, b, other; /* tenants a and b share, "shared" is one by itself */

#define PROPS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ASSURED "sqmqos-qos", "3"

static void
begin(void)
{
	world_start(&w, 2);
	a = peer_new(&w, "a~w~c~pod");
	b = peer_new(&w, "b~w~c~pod");
	other = peer_new(&w, "shared~w~c~pod");
	b.link = 1;
	peer_connect(&a);
	peer_connect(&b);
	peer_connect(&other);
}

static void
share(void)
{
	w.cfg.shares = shared;
	w.cfg.n_shares = SQ_ARRAY_LEN(shared);
}

static void
setup(void)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = &stored_engine;
	share();
	begin();
}

static void
teardown(void)
{
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(broker_tenants, .init = setup, .fini = teardown);

static void
restart(bool with_shares)
{
	world_stop(&w);
	w.cfg.shares = NULL;
	w.cfg.n_shares = 0;
	if (with_shares)
		share();
	begin();
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

static uint8_t
declare(struct peer *p, const char *filter, uint32_t max_length)
{
	return peer_sub(p,
	    &(struct sq_sub){.op = SQ_SUB_SUBSCRIBE,
		.options = 2,
		.flags = SQ_SUB_DECLARED | SQ_SUB_CONSUME | SQ_SUB_DURABLE,
		.overflow = SQ_OVERFLOW_REJECT_PUBLISH,
		.max_length = max_length,
		.max_attempts = 1,
		.queue_expiry_s = 3600,
		.group = text("g"),
		.filter = text(filter)});
}

static uint8_t
send_assured(struct peer *p, const char *payload, const char *key)
{
	static uint16_t id = 1000;
	struct entry e = {.topic = "t",
	    .payload = payload,
	    .qos = 2,
	    .id = ++id,
	    .props = PROPS(ASSURED, "sqmqos-key", key)};
	uint8_t code = peer_send(p, &e);

	if (code < 0x80)
		cr_assert_eq(peer_send(p, &(struct entry){.id = id}), 0);
	return code;
}

Test(broker_tenants, topics_are_the_spaces)
{
	cr_assert_eq(peer_subscribe(&a, "#", 1), 1);
	cr_assert_eq(peer_publish(&b, "t", "1", 1), 0);
	finish(&a, peer_expect(&a, "1"));
	cr_assert_eq(peer_subscribe(&b, "t", 1), 1);
	cr_assert_eq(peer_publish(&a, "t", "2", 1), 0);
	finish(&a, peer_expect(&a, "2"));
	finish(&b, peer_expect(&b, "2"));
}

Test(broker_tenants, retained_messages_are_the_spaces)
{
	cr_assert_eq(peer_retain(&a, "t", "1", 1), 0);
	cr_assert_eq(peer_subscribe(&b, "t", 1), 1);
	finish(&b, peer_expect(&b, "1"));
	cr_assert_eq(peer_retain(&b, "t", "", 1), 0);
	cr_assert_eq(world_metric(SQ_M_RETAINED), 0);
}

/* Nobody put it into the list. */
Test(broker_tenants, a_namespace_that_is_named_like_the_space_is_not_in_it)
{
	cr_assert_eq(peer_subscribe(&other, "#", 1), 1);
	cr_assert_eq(peer_subscribe(&a, "#", 1), 1);
	cr_assert_eq(peer_retain(&a, "t", "1", 1), 0);
	peer_expect_nothing(&other);
	finish(&a, peer_expect(&a, "1"));
	cr_assert_eq(peer_publish(&other, "t", "2", 1), 0);
	finish(&other, peer_expect(&other, "2"));
	peer_expect_nothing(&a);
	restart(true);
	cr_assert_eq(peer_subscribe(&other, "t", 1), 1);
	peer_expect_nothing(&other);
	cr_assert_eq(peer_subscribe(&b, "t", 1), 1);
	finish(&b, peer_expect(&b, "1"));
}

Test(broker_tenants, client_ids_are_each_ones_own)
{
	struct peer one = peer_new(&w, "a~w~x"), two = peer_new(&w, "b~w~x");

	peer_connect(&one);
	peer_connect(&two);
	cr_assert_eq(peer_detached_reason(&one, one.epoch), 0);
	cr_assert_neq(one.incarnation, two.incarnation);
}

Test(broker_tenants, shares_and_groups_are_each_ones_own)
{
	cr_assert_eq(peer_subscribe(&a, "$share/g/t", 1), 1);
	cr_assert_eq(peer_subscribe(&b, "$share/g/t", 1), 1);
	cr_assert_eq(declare(&a, "u", 1), 2);
	cr_assert_eq(declare(&b, "u", 7), 2);
	cr_assert_eq(world_metric(SQ_M_GROUPS), 4);
	cr_assert_eq(world_metric(SQ_M_GROUPS_DISAGREE), 0);
	cr_assert_eq(peer_publish(&a, "t", "1", 1), 0);
	finish(&a, peer_expect(&a, "1"));
	finish(&b, peer_expect(&b, "1"));
	cr_assert_eq(peer_publish(&b, "u", "2", 1), 0);
	finish(&a, peer_expect(&a, "2"));
	finish(&b, peer_expect(&b, "2"));
}

Test(broker_tenants, idempotency_keys_are_the_publishers)
{
	cr_assert_eq(peer_subscribe(&other, "t", 2), 2);
	cr_assert_eq(declare(&a, "t", 0), 2);
	cr_assert_eq(send_assured(&a, "1", "key"), 0);
	cr_assert_eq(send_assured(&b, "2", "key"), 0);
	cr_assert_eq(send_assured(&a, "copy", "key"), 0);
	finish(&a, peer_expect(&a, "1"));
	finish(&a, peer_expect(&a, "2"));
	peer_expect_nothing(&a);
}

/* They are of whose queue has given the message up, not of who has published it. */
Test(broker_tenants, dead_letters_are_the_queues_tenants)
{
	struct fake_delivery *d;

	cr_assert_eq(peer_subscribe(&a, "$dead/#", 2), 2);
	cr_assert_eq(peer_subscribe(&b, "$dead/#", 2), 2);
	cr_assert_eq(declare(&a, "t", 0), 2);
	cr_assert_eq(peer_publish(&b, "t", "1", 1), 0);
	d = peer_expect(&a, "1");
	cr_assert_eq(peer_settle(&a, SQ_SETTLE_REJECT, d->delivery, 1), 204);
	d = peer_expect(&a, "1");
	cr_assert_str_eq(d->topic, "$dead/t");
	peer_expect_nothing(&b);
}

/* A publish is refused while a letter of it would find no room, at whosever queue. */
Test(broker_tenants, full_dead_letters_of_a_tenant_stop_what_its_queues_would_get)
{
	struct fake_delivery *d;

	world_stop(&w);
	w.cfg.dead_max_msgs = 1;
	begin();
	cr_assert_eq(declare(&a, "t", 0), 2);
	cr_assert_eq(send_assured(&b, "1", "k1"), 0);
	d = peer_expect(&a, "1");
	cr_assert_eq(peer_settle(&a, SQ_SETTLE_REJECT, d->delivery, 1), 204);
	cr_assert_eq(send_assured(&b, "2", "k2"), 0x97);
	cr_assert_eq(peer_unsubscribe(&a, "t"), 0x11); /* it is declared, not subscribed to */
	cr_assert_eq(peer_subscribe(&b, "$share/g/t", 2), 2);
	cr_assert_eq(send_assured(&other, "3", "k3"), 0x10, "its own are not full");
}

/* --- another configuration after a restart --- */

/* What a tenant has follows it, what is in a space stays there. */
Test(broker_tenants, groups_go_with_their_tenant_where_that_goes)
{
	cr_assert_eq(declare(&a, "t", 0), 2);
	cr_assert_eq(peer_publish(&b, "t", "1", 1), 0);
	restart(false);
	cr_assert_eq(peer_publish(&b, "t", "no", 1), 0x10);
	cr_assert_eq(peer_publish(&a, "t", "2", 1), 0);
	cr_assert_eq(declare(&a, "t", 0), 2);
	finish(&a, peer_expect(&a, "1"));
	finish(&a, peer_expect(&a, "2"));
	restart(true);
	cr_assert_eq(peer_publish(&b, "t", "3", 1), 0);
	cr_assert_eq(declare(&a, "t", 0), 2);
	finish(&a, peer_expect(&a, "3"));
}

Test(broker_tenants, subscriptions_go_with_their_tenant)
{
	struct peer d = peer_new(&w, "a~w~d");

	peer_connect(&d);
	cr_assert_eq(peer_subscribe(&d, "t", 1), 1);
	cr_assert_eq(peer_publish(&b, "t", "1", 1), 0);
	restart(false);
	cr_assert_eq(peer_publish(&b, "t", "no", 1), 0x10);
	cr_assert_eq(peer_publish(&a, "t", "2", 1), 0);
	peer_connect(&d);
	cr_assert(d.present);
	finish(&d, peer_expect(&d, "1"));
	finish(&d, peer_expect(&d, "2"));
}

Test(broker_tenants, retained_messages_stay_in_the_space_that_they_were_published_in)
{
	cr_assert_eq(peer_retain(&a, "t", "shared", 1), 0);
	restart(false);
	cr_assert_eq(world_metric(SQ_M_RETAINED), 1);
	cr_assert_eq(peer_subscribe(&a, "t", 1), 1);
	peer_expect_nothing(&a);
	cr_assert_eq(peer_retain(&a, "t", "own", 1), 0);
	finish(&a, peer_expect(&a, "own"));
	restart(true);
	cr_assert_eq(peer_subscribe(&b, "t", 1), 1);
	finish(&b, peer_expect(&b, "shared"));
	peer_expect_nothing(&b);
}

Test(broker_tenants, spaces_go_with_the_last_that_was_in_them)
{
	enum { COMERS = 50 };
	size_t before = sq_router_spaces(w.broker->router);
	char key[COMERS][32];

	for (unsigned i = 0; i < COMERS; i++) {
		struct peer p;

		snprintf(key[i], sizeof key[i], "comer-%u~w~c~pod", i);
		p = peer_new(&w, key[i]);
		peer_connect(&p);
		cr_assert_eq(peer_subscribe(&p, "t/#", 1), 1);
		cr_assert_eq(peer_subscribe(&p, "$SYS/broker/uptime", 0), 0);
		if (i == 0)
			cr_assert_eq(peer_retain(&p, "t/kept", "x", 1), 0);
		cr_assert_eq(peer_detach(&p, 0, false), 204);
	}
	cr_assert_geq(sq_router_spaces(w.broker->router), before + COMERS);
	world_pass(&w, 60000);
	cr_assert_eq(sq_router_spaces(w.broker->router), before + 1, "one has a retained message");
}

Test(broker_tenants, delayed_messages_go_with_who_has_published_them)
{
	struct entry e = {
	    .topic = "t", .payload = "1", .qos = 1, .props = PROPS("sqmqos-delay", "2")};

	cr_assert_eq(peer_send(&a, &e), 0);
	restart(false);
	cr_assert_eq(peer_subscribe(&a, "t", 1), 1);
	cr_assert_eq(peer_subscribe(&b, "t", 1), 1);
	world_pass(&w, 3000);
	finish(&a, peer_expect(&a, "1"));
	peer_expect_nothing(&b);
}
