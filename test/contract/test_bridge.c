/* Kinds of bridges (broker/bridge/bridge.h): what each does for a bridge, with its peer at the other side.
 * A peer that is not here is passed by: its address comes by the environment (test/e2e/test_bridge_amqp.py, test_bridge_sqs.py). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/bridge_peer.h"
#include "../support/bridge_user.h"
#include "../support/fake_bridge.h"
#include "../support/rabbit_bridge_peer.h"
#include "../support/sqs_bridge_peer.h"
#include "core/clock.h"

enum { MANY = 200, LANES = 7 };

static const struct bridge_peer *const all[] = {
    &fake_bridge_peer,
#ifdef SQ_BRIDGE_HAS_AMQP
    &rabbit_classic_bridge_peer,
    &rabbit_quorum_bridge_peer,
#endif
#ifdef SQ_BRIDGE_HAS_SQS
    &sqs_bridge_peer,
    &sqs_fifo_bridge_peer,
#endif
};

static const struct bridge_peer *peer;
static struct bridge_user u;
static struct peer_message got[BRIDGE_USER_MAX];
static size_t n_got, wanted;

static struct {
	struct sq_bridge_cfg cfg;
	struct sq_bridge_out out;
	struct sq_bridge_in in;
} c;

static void
configure(void)
{
	memset(&c, 0, sizeof c);
	c.cfg = (struct sq_bridge_cfg){.record = {.name = "b", .where = "test:1"},
	    .space = "s",
	    .connections = 1,
	    .window = 100,
	    .max_hops = 8,
	    .dedup_for_ms = 900000,
	    .dedup_max = 1000,
	    .heartbeat_ms = 10000,
	    .parallel = 2,
	    .max_size = 1 << 18,
	    .wait_ms = 1000,
	    .visibility_ms = 30000};
	c.out = (struct sq_bridge_out){.filter = "t/#", .qos = 1};
	c.in = (struct sq_bridge_in){.to = "in/t", .qos = 1, .prefetch = 100};
	peer->configure(&c.cfg, &c.out, &c.in);
}

/* Runs 'fn' with each peer that is there, which has no message. */
static void
in_each(void (*fn)(void))
{
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		const char *address;

		peer = all[i];
		address = peer->address != NULL ? getenv(peer->address) : "";
		if (address == NULL)
			continue;
		(void)fprintf(stderr, "with %s\n", peer->name);
		n_got = 0;
		peer->begin(address);
		configure();
		bridge_user_init(&u, peer->kind);
		if (peer->equip != NULL)
			peer->equip(&u);
		fn();
		bridge_user_fini(&u);
		peer->end();
	}
}

static void
open_half(enum sq_bridge_half half)
{
	/* A bridge that has one half has no rule of the other. */
	c.cfg.out = (struct sq_config_records){&c.out, half == SQ_BRIDGE_OUT ? 1 : 0};
	c.cfg.in = (struct sq_config_records){&c.in, half == SQ_BRIDGE_IN ? 1 : 0};
	bridge_user_open(&u, half, &c.cfg);
}

/* What the user waits for. */

static bool
is_up(struct bridge_user *x)
{
	return x->states > 0 && x->up;
}

static bool
is_down(struct bridge_user *x)
{
	return x->states > 0 && !x->up;
}

static bool
all_ended(struct bridge_user *x)
{
	for (size_t i = 0; i < x->n_offers; i++) {
		if (x->offers[i].ends == 0)
			return false;
	}
	return true;
}

/* 'wanted' messages are at the peer. */
static bool
all_got(struct bridge_user *x)
{
	(void)x;
	while (n_got < BRIDGE_USER_MAX && peer->next(&got[n_got]))
		n_got++;
	return n_got >= wanted;
}

static bool
all_arrived(struct bridge_user *x)
{
	return x->n_arrived >= wanted;
}

static bool
none_left(struct bridge_user *x)
{
	(void)x;
	return peer->left() == 0;
}

/* Out. */

static void
make_offers(size_t n, unsigned lanes)
{
	char topic[64], payload[64];

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(topic, sizeof topic, "t/%zu", i % lanes);
		(void)snprintf(payload, sizeof payload, "%zu", i);
		bridge_user_offer(&u, topic, payload, i % lanes);
	}
}

static void
expect_accepted(void)
{
	for (size_t i = 0; i < u.n_offers; i++) {
		cr_expect_eq(u.offers[i].ends, 1U, "%zu", i);
		cr_expect_eq((int)u.offers[i].end.how, (int)SQ_OFFER_ACCEPTED, "%zu: %s", i,
		    u.offers[i].why);
	}
}

/* The first copies of each lane, in which each of its messages is, are in order. */
static void
expect_order(size_t n, unsigned lanes)
{
	bool seen[BRIDGE_USER_MAX] = {false};
	size_t next[LANES] = {0}, different = 0;

	for (unsigned lane = 0; lane < lanes; lane++)
		next[lane] = lane;
	for (size_t i = 0; i < n_got; i++) {
		size_t k = strtoul(got[i].payload, NULL, 10);

		cr_assert_lt(k, n);
		if (seen[k])
			continue;
		seen[k] = true;
		different++;
		if (peer->ordered)
			cr_expect_eq(k, next[k % lanes], "%zu came too early", k);
		next[k % lanes] = k + lanes;
	}
	cr_expect_eq(different, n);
}

static void
accepts(void)
{
	open_half(SQ_BRIDGE_OUT);
	make_offers(3, 1);
	bridge_user_hand(&u, u.offers, 3);
	cr_assert(bridge_user_until(&u, all_ended));
	expect_accepted();
	wanted = 3;
	cr_assert(bridge_user_until(&u, all_got));
	expect_order(3, 1);
	for (size_t i = 0; i < 3 && peer->has_hops; i++) {
		size_t k = strtoul(got[i].payload, NULL, 10);

		cr_expect_str_eq(got[i].origin, u.offers[k].origin);
		cr_expect_str_eq(got[i].hops, "here-0011223344556677/b");
	}
	cr_expect(u.up);
	bridge_user_close(&u, SQ_BRIDGE_OUT, 1000);
}

Test(bridge, what_is_accepted_is_at_the_peer)
{
	in_each(accepts);
}

static void
accepts_many(void)
{
	open_half(SQ_BRIDGE_OUT);
	make_offers(MANY, LANES);
	bridge_user_hand(&u, u.offers, MANY);
	cr_assert(bridge_user_until(&u, all_ended));
	expect_accepted();
	wanted = MANY;
	cr_assert(bridge_user_until(&u, all_got));
	expect_order(MANY, LANES);
	cr_expect(!peer->ordered || n_got == MANY, "%zu came", n_got);
	bridge_user_close(&u, SQ_BRIDGE_OUT, 1000);
}

Test(bridge, lanes_reach_the_peer_in_their_order)
{
	in_each(accepts_many);
}

/* Offers what has ended otherwise than by ACCEPTED again, in order, until all is accepted. */
static void
offer_until_accepted(void)
{
	for (bool left = true; left;) {
		left = false;
		cr_assert(bridge_user_until(&u, all_ended));
		for (size_t i = 0; i < u.n_offers; i++) {
			if (u.offers[i].end.how == SQ_OFFER_ACCEPTED)
				continue;
			cr_assert_neq(
			    (int)u.offers[i].end.how, (int)SQ_OFFER_NEVER, "%s", u.offers[i].why);
			left = true;
			bridge_user_again(&u, &u.offers[i]);
			bridge_user_hand(&u, &u.offers[i], 1);
		}
	}
}

static void
survives_a_cut(void)
{
	if (peer->away == NULL)
		return;
	open_half(SQ_BRIDGE_OUT);
	cr_assert(bridge_user_until(&u, is_up));
	make_offers(MANY, LANES);
	bridge_user_hand(&u, u.offers, MANY / 2);
	peer->away(true);
	cr_assert(bridge_user_until(&u, is_down));
	cr_expect_eq(u.forwarder->ops->room(u.forwarder), 0U, "a peer that is away has no room");
	cr_expect_neq(u.why[0], '\0');
	for (size_t i = 0; i < MANY / 2; i++)
		cr_expect(u.offers[i].ends == 1 && u.offers[i].end.how != SQ_OFFER_NEVER, "%zu", i);
	peer->away(false);
	cr_assert(bridge_user_until(&u, is_up));
	bridge_user_hand(&u, &u.offers[MANY / 2], MANY / 2);
	offer_until_accepted();
	wanted = MANY;
	cr_assert(bridge_user_until(&u, all_got));
	bridge_user_close(&u, SQ_BRIDGE_OUT, 1000);
	bridge_user_run(&u);
	(void)all_got(&u);
	cr_expect_geq(n_got, (size_t)MANY);
}

Test(bridge, a_peer_that_was_away_gets_all, .timeout = 120)
{
	in_each(survives_a_cut);
}

static void
closes_with_offers(void)
{
	open_half(SQ_BRIDGE_OUT);
	make_offers(50, LANES);
	bridge_user_hand(&u, u.offers, 50);
	bridge_user_close(&u, SQ_BRIDGE_OUT, 1000);
	for (size_t i = 0; i < 50; i++) {
		cr_expect_eq(u.offers[i].ends, 1U, "%zu", i);
		cr_expect(u.offers[i].end.how == SQ_OFFER_ACCEPTED ||
			u.offers[i].end.how == SQ_OFFER_LATER,
		    "%zu: %d", i, (int)u.offers[i].end.how);
	}
}

Test(bridge, what_is_out_ends_before_it_has_closed)
{
	in_each(closes_with_offers);
}

static void
closes_while_away(void)
{
	if (peer->away == NULL)
		return;
	peer->away(true);
	open_half(SQ_BRIDGE_OUT);
	cr_assert(bridge_user_until(&u, is_down));
	bridge_user_close(&u, SQ_BRIDGE_OUT, 100);
	peer->away(false);
}

Test(bridge, one_whose_peer_never_was_there_closes)
{
	in_each(closes_while_away);
}

/* In. */

static void
put_some(size_t n)
{
	struct peer_message m = {.hops = ""};

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(m.payload, sizeof m.payload, "%zu", i);
		(void)snprintf(m.origin, sizeof m.origin, "8899aabbccddeeff-%032zx", i);
		(void)snprintf(m.hops, sizeof m.hops, "there-8899aabbccddeeff/x");
		peer->put(&m);
	}
}

static void
settle_all(enum sq_arrival how)
{
	for (size_t i = 0; i < u.n_arrived; i++) {
		if (u.arrived[i] != NULL)
			bridge_user_settle(&u, i, how);
	}
}

static void
brings(void)
{
	bool seen[20] = {false};

	put_some(20);
	open_half(SQ_BRIDGE_IN);
	cr_assert(bridge_user_until(&u, is_up));
	bridge_user_run(&u);
	cr_expect_eq(u.n_arrived, 0U, "nobody has asked");
	u.inlet->ops->demand(u.inlet, 5);
	wanted = 5;
	cr_assert(bridge_user_until(&u, all_arrived));
	bridge_user_run(&u);
	cr_expect_eq(u.n_arrived, 5U, "more than was asked for");
	u.inlet->ops->demand(u.inlet, 100);
	wanted = 20;
	cr_assert(bridge_user_until(&u, all_arrived));
	for (size_t i = 0; i < u.n_arrived; i++) {
		struct sq_bytes payload = sq_image_payload(u.arrived[i]->msg.image);
		char text[16] = "";

		cr_expect_null(u.arrived[i]->unmappable);
		cr_assert_lt(payload.len, sizeof text);
		memcpy(text, payload.p, payload.len);
		seen[strtoul(text, NULL, 10) % 20] = true;
		cr_expect(sq_bytes_are(sq_image_topic(u.arrived[i]->msg.image), "in/t"));
		if (peer->has_hops)
			cr_expect(sq_bytes_are(u.arrived[i]->hops, "there-8899aabbccddeeff/x"));
		cr_expect_gt(u.arrived[i]->key.len, 0U);
	}
	for (size_t i = 0; i < 20; i++)
		cr_expect(seen[i], "%zu did not come", i);
	settle_all(SQ_ARRIVAL_TAKEN);
	cr_assert(bridge_user_until(&u, none_left), "the peer still has what was taken");
	bridge_user_close(&u, SQ_BRIDGE_IN, 1000);
}

Test(bridge, an_inlet_brings_what_is_asked_for)
{
	in_each(brings);
}

/* Settles what has come with TAKEN; until nothing is left at the peer. */
static bool
taken_and_none_left(struct bridge_user *x)
{
	(void)x;
	settle_all(SQ_ARRIVAL_TAKEN);
	return peer->left() == 0;
}

static void
brings_again(void)
{
	put_some(5);
	open_half(SQ_BRIDGE_IN);
	u.inlet->ops->demand(u.inlet, 10);
	wanted = 5;
	cr_assert(bridge_user_until(&u, all_arrived));
	settle_all(SQ_ARRIVAL_LATER);
	cr_assert(bridge_user_until(&u, taken_and_none_left));
	cr_expect_geq(u.n_arrived, 10U, "what was not taken has to come again");
	bridge_user_close(&u, SQ_BRIDGE_IN, 1000);
}

Test(bridge, what_is_not_taken_comes_again, .timeout = 120)
{
	in_each(brings_again);
}

static void
hands_back(void)
{
	put_some(5);
	open_half(SQ_BRIDGE_IN);
	u.inlet->ops->demand(u.inlet, 10);
	wanted = 5;
	cr_assert(bridge_user_until(&u, all_arrived));
	bridge_user_close(&u, SQ_BRIDGE_IN, 1000);
	u.n_arrived = u.n_unsettled = 0;
	cr_expect_eq(peer->left(), 5U, "what nobody has settled is the peer's");
	open_half(SQ_BRIDGE_IN);
	u.inlet->ops->demand(u.inlet, 10);
	wanted = 5;
	cr_assert(bridge_user_until(&u, all_arrived));
	cr_assert(bridge_user_until(&u, taken_and_none_left));
	bridge_user_close(&u, SQ_BRIDGE_IN, 1000);
}

Test(bridge, what_an_inlet_has_when_it_closes_is_the_peers, .timeout = 120)
{
	in_each(hands_back);
}

/* Both. */

/* Members of an object, none of them named as one that the user puts beside them. */
static void
expect_own_members(struct sq_buf *b)
{
	static const char *const users[] = {"queue", "up", "inFlight", "since", "why", "messages",
	    "lastError", "lastErrorAt", "settling", "unsettled", "keys"};
	char name[32], *text = sq_buf_take_text(b);

	cr_expect(*text == '"' || *text == '\0');
	for (size_t i = 0; i < SQ_ARRAY_LEN(users); i++) {
		snprintf(name, sizeof name, "\"%s\":", users[i]);
		cr_expect_null(strstr(text, name), "%s", name);
	}
	free(text);
}

static void
tells(void)
{
	struct sq_buf b = {0};

	open_half(SQ_BRIDGE_OUT);
	u.forwarder->ops->status(u.forwarder, &b);
	expect_own_members(&b);
	bridge_user_close(&u, SQ_BRIDGE_OUT, 1000);
	sq_buf_fini(&b);
	open_half(SQ_BRIDGE_IN);
	u.inlet->ops->status(u.inlet, &b);
	expect_own_members(&b);
	bridge_user_close(&u, SQ_BRIDGE_IN, 1000);
	sq_buf_fini(&b);
}

Test(bridge, halves_tell_their_state)
{
	in_each(tells);
}
