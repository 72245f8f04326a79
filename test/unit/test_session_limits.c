/* Limits that the broker tells to sidecars, and what it does of those that ask for more. */
#include <stdio.h>
#include <string.h>

#include "../support/broker_world.h"
#include "proto/link/key.h"

static struct world w;

static void
begin(struct sq_limits limits)
{
	world_init(&w);
	w.cfg.limits = limits;
	world_start(&w, 1);
}

/* The key of a client whose id has 'n' bytes. */
static const char *
key(size_t n, bool durable)
{
	static char text[SQ_KEY_CLIENT_MAX + 32];

	snprintf(text, sizeof text, "s~w~%0*d%s", (int)n, 1, durable ? "" : "~pod");
	return text;
}

/* A peer that has not attached yet. */
static struct peer
fresh(const char *of)
{
	struct peer p = peer_new(&w, of);

	p.ordinal = 1;
	return p;
}

/* The limits of the answer to the peer's attach. */
static struct sq_limits
told(struct peer *p, unsigned version)
{
	struct fake_call *c = peer_put(p);
	struct sq_attached a;

	world_run();
	cr_assert_eq(fake_call_status(c), 200);
	cr_assert_eq(
	    sq_attached_decode(sq_buf_data(&c->answer), sq_buf_len(&c->answer), version, &a),
	    SQ_OK);
	cr_assert_eq(peer_attached(p, &c), 200);
	return a.limits;
}

Test(session_limits, are_told_by_an_answer_to_an_attach)
{
	struct sq_limits limits = {.topic_levels = 3, .client_id = 40, .max_qos = 1, .off = 5};
	struct sq_limits got;
	struct peer p;

	begin(limits);
	p = fresh("s~w~c");
	got = told(&p, 2);
	cr_assert_eq(memcmp(&got, &limits, sizeof got), 0);
	fake_link_set_version(w.links[1], 1);
	p = fresh("s~w~old");
	p.link = 1;
	got = told(&p, 1);
	cr_assert_eq(memcmp(&got, &sq_limits_unsaid, sizeof got), 0);
	world_stop(&w);
}

Test(session_limits, without_a_configuration_are_those_of_version_1)
{
	struct sq_limits got;
	struct peer p;

	begin((struct sq_limits){0});
	p = fresh("s~w~c");
	got = told(&p, 2);
	cr_assert_eq(memcmp(&got, &sq_limits_unsaid, sizeof got), 0);
	world_stop(&w);
}

Test(session_limits, a_client_id_above_makes_no_session_and_costs_nothing)
{
	begin((struct sq_limits){.topic_levels = 3, .client_id = 40, .max_qos = 2});
	for (int durable = 0; durable < 2; durable++) {
		struct peer p = fresh(key(41, durable != 0));

		cr_assert_eq(peer_attach(&p), 422);
		p = fresh(key(SQ_KEY_CLIENT_MAX, durable != 0));
		cr_assert_eq(peer_attach(&p), 422);
		p = fresh(key(40, durable != 0));
		cr_assert_eq(peer_attach(&p), 200);
		cr_assert_eq(peer_detach(&p, 0, false), 204);
	}
	cr_assert_eq(world_metric(SQ_M_REFUSED_BY_QUOTA), 4);
	world_stop(&w);
}

Test(session_limits, levels_of_names_and_filters)
{
	struct peer p;

	begin((struct sq_limits){.topic_levels = 3, .client_id = 40, .max_qos = 2});
	p = peer_new(&w, "s~w~c");
	peer_connect(&p);
	cr_assert_eq(peer_subscribe(&p, "a/b/c", 1), 1);
	cr_assert_eq(peer_subscribe(&p, "a/b/c/d", 1), 0x8f);
	cr_assert_eq(peer_subscribe(&p, "$share/g/a/+/#", 1), 1);
	cr_assert_eq(peer_subscribe(&p, "$share/g/a/+/c/#", 1), 0x8f);
	cr_assert_eq(peer_unsubscribe(&p, "a/b/c/d"), 0x11);
	cr_assert_eq(peer_publish(&p, "a/b/c", "x", 1), 0);
	cr_assert_eq(peer_publish(&p, "a/b/c/", "x", 1), 0x90);
	cr_assert_eq(peer_publish(&p, "a/b/c/", "x", 0), 0x90);
	world_stop(&w);
}
