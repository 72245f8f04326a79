/* What was sent to a session and is not acknowledged is bounded by bytes, too: by its tenant's
 * share of memory and by what is free, whatever credit its sidecar gives. */
#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "broker/engine/engines/engines.h"
#include "broker/session/demand.h"
#include "broker/shard/shard.h"
#include "broker/shard/tenant.h"
#include "core/memory.h"

enum {
	LEN = 15 * 1024,           /* with what a message costs besides, four are SQ_OPEN_MIN */
	LEAST = SQ_OPEN_MIN / LEN, /* as the last may exceed it */
	SHARE = 256 * 1024,
	MANY = 60,
};

static struct world w;
static struct peer a, b, sub;

static struct sq_share_limits limits;
static const struct sq_tenant_share rows[] = {{"a", NULL, &limits}};

static void
begin(const struct sq_engine_ops *engine, uint64_t share)
{
	limits = sq_share_no_limits;
	limits.of[SQ_SHARE_MEMORY] = share;
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = engine;
	w.cfg.spaces = 4;
	w.cfg.shares = rows;
	w.cfg.n_shares = SQ_ARRAY_LEN(rows);
	w.cfg.queue_max_bytes = 8 << 20;
	world_start(&w, 2);
	a = peer_new(&w, "a~w~pub");
	b = peer_new(&w, "b~w~pub");
	peer_connect(&a);
	peer_connect(&b);
}

static void
teardown(void)
{
	sq_memory_limit_set(0);
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(session_demand, .fini = teardown);

static struct peer
subscriber(const char *key, uint8_t qos)
{
	struct peer p = peer_new(&w, key);

	peer_connect(&p);
	cr_assert_eq(peer_credit(&p, 100000, 64 << 20), 204);
	cr_assert_eq(peer_subscribe(&p, "t", qos), qos);
	return p;
}

/* Returns how many of them are taken. */
static unsigned
publish(struct peer *p, uint8_t qos, unsigned n)
{
	struct entry e = {.topic = "t", .qos = qos, .payload = "x", .payload_len = LEN};
	unsigned taken = 0;

	for (unsigned i = 0; i < n; i++) {
		e.id = qos == 2 ? (uint16_t)(i + 1) : 0;
		taken += peer_send(p, &e) == 0;
	}
	return taken;
}

/* Takes what comes, and says 'kind' of each; returns how many came. */
static unsigned
take(struct peer *p, int kind)
{
	struct fake_delivery *d;
	unsigned n = 0;

	for (; (d = peer_next(p)) != NULL; n++) {
		if (kind >= 0)
			cr_assert_eq(
			    peer_settle(p, (enum sq_settle_kind)kind, d->delivery, 1), 204);
	}
	return n;
}

enum { NOTHING = -1 };

static uint64_t
used(const char *tenant)
{
	struct sq_tenant *t = sq_tenant_get(w.broker->tenants, tenant);
	uint64_t n = sq_share_used(sq_tenant_account(t), SQ_SHARE_MEMORY);

	sq_tenant_unref(&t);
	return n;
}

Test(session_demand, has_its_tenant_s_share_and_the_rest_waits_in_the_store)
{
	unsigned n;

	begin(&stored_engine, SHARE);
	sub = subscriber("a~w~sub", 1);
	cr_assert_eq(publish(&a, 1, MANY), MANY);
	n = take(&sub, NOTHING);
	cr_assert(n > LEAST && n <= SHARE / LEN + 1, "%u are out", n);
	cr_assert(used("a") > 0 && used("a") <= SHARE, "%llu", (unsigned long long)used("a"));
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, 1, (uint16_t)n), 204);
	cr_assert_eq(take(&sub, SQ_SETTLE_ACK), MANY - n, "acknowledged, others come");
	cr_assert_eq(used("a"), 0);
}

Test(session_demand, of_one_tenant_takes_nothing_from_another)
{
	begin(&stored_engine, SHARE);
	sub = subscriber("a~w~sub", 1);
	cr_assert_eq(publish(&a, 1, MANY), MANY);
	cr_assert_lt(take(&sub, NOTHING), MANY);
	sub = subscriber("b~w~sub", 1);
	cr_assert_eq(publish(&b, 1, MANY), MANY);
	cr_assert_eq(take(&sub, NOTHING), MANY);
}

Test(session_demand, is_always_allowed_a_little)
{
	struct peer other;

	begin(&stored_engine, SHARE);
	sub = subscriber("a~w~sub", 1);
	other = subscriber("a~w~other", 1);
	cr_assert_eq(publish(&a, 1, MANY), MANY);
	(void)take(&sub, NOTHING);
	cr_assert_geq(take(&other, NOTHING), LEAST, "whoever has the share");
}

Test(session_demand, what_the_client_has_received_counts_no_more)
{
	unsigned n;

	begin(&stored_engine, SHARE);
	sub = subscriber("a~w~sub", 2);
	cr_assert_eq(publish(&a, 2, MANY), MANY);
	n = take(&sub, NOTHING);
	cr_assert(n > LEAST && n < MANY, "%u are out", n);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_RECEIVED, 1, (uint16_t)n), 204);
	cr_assert_eq(take(&sub, SQ_SETTLE_RECEIVED), MANY - n);
	cr_assert_eq(used("a"), 0);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_COMPLETE, 1, MANY), 204);
}

Test(session_demand, counts_while_the_client_is_away_and_over_a_restart)
{
	enum { FEW = 12 };

	begin(&stored_engine, SHARE);
	sub = subscriber("a~w~sub", 2);
	cr_assert_eq(publish(&a, 2, FEW), FEW);
	cr_assert_eq(take(&sub, NOTHING), FEW);
	cr_assert_eq(peer_detach(&sub, 3600, false), 204);
	cr_assert_gt(used("a"), FEW / 2 * LEN);
	world_stop(&w);
	world_start(&w, 2);
	cr_assert_gt(used("a"), FEW / 2 * LEN);
	peer_connect(&sub);
	cr_assert_eq(take(&sub, SQ_SETTLE_COMPLETE), FEW);
	cr_assert_eq(used("a"), 0);
}

Test(session_demand, goes_back_with_the_session)
{
	begin(&sq_engine_memory, SHARE);
	sub = subscriber("a~w~sub~pod", 1);
	(void)publish(&a, 1, MANY);
	cr_assert_gt(take(&sub, NOTHING), LEAST);
	cr_assert_gt(used("a"), 0);
	cr_assert_eq(peer_detach(&sub, 0, false), 204);
	cr_assert_eq(used("a"), 0);
}

Test(session_demand, has_a_part_of_what_is_free)
{
	unsigned n;

	begin(&stored_engine, SQ_SHARE_UNBOUNDED);
	sub = subscriber("a~w~sub", 1);
	cr_assert_eq(peer_detach(&sub, 3600, false), 204);
	cr_assert_eq(publish(&a, 1, MANY), MANY);
	sq_memory_limit_set(1 << 20);
	peer_connect(&sub);
	n = take(&sub, NOTHING);
	cr_assert(n >= LEAST && n < MANY, "%u are out", n);
	sq_memory_limit_set(0);
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, 1, 1), 204);
	cr_assert_eq(take(&sub, NOTHING), MANY - n);
}
