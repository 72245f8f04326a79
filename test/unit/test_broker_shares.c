/* What tenants have of the broker's totals: what is refused, in whose name, and that all of it
 * is given back. */
#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "broker/share.h"
#include "broker/shard.h"
#include "broker/tenant.h"
#include "proto/mqtt/reason.h"

static struct world w;
static struct peer a, b;

#define PROPS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
begin(void)
{
	world_start(&w, 2);
	a = peer_new(&w, "a~w~one");
	b = peer_new(&w, "b~w~one");
	b.link = 1;
}

static void
setup(void)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = &stored_engine;
	w.cfg.spaces = 2;
	w.cfg.max_groups = 8;
	begin();
}

static void
teardown(void)
{
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(broker_shares, .init = setup, .fini = teardown);

static uint64_t
used(const char *tenant, enum sq_share_kind kind)
{
	struct sq_tenant *t = sq_tenant_get(w.broker->tenants, tenant);
	uint64_t n = sq_share_used(sq_tenant_account(t), kind);

	sq_tenant_unref(&t);
	return n;
}

static bool
shown(const char *line)
{
	struct sq_buf out = {0};
	bool found;

	sq_broker_write_queues(w.broker, &out);
	sq_buf_u8(&out, '\0');
	found = strstr((const char *)sq_buf_data(&out), line) != NULL;
	sq_buf_fini(&out);
	return found;
}

static uint8_t
share_group(struct peer *p, unsigned i)
{
	char filter[32];

	snprintf(filter, sizeof filter, "$share/g%u/t", i);
	return peer_subscribe(p, filter, 1);
}

Test(broker_shares, groups_of_one_leave_room_for_those_of_another)
{
	unsigned n = 0;

	peer_connect(&a);
	peer_connect(&b);
	while (n < 8 && share_group(&a, n) == 1)
		n++;
	cr_assert_eq(n, 6, "%u: three quarters of 8", n);
	cr_assert_eq(share_group(&a, n), SQ_MQTT_RC_QUOTA_EXCEEDED);
	cr_assert_eq(share_group(&a, 0), 1, "one that is there");
	cr_assert_eq(share_group(&b, 0), 1);
	cr_assert_eq(used("a", SQ_SHARE_GROUPS), 6);
	cr_assert(shown("sqmqos_broker_share_used{kind=\"groups\",space=\"a\"} 6\n"));
	cr_assert_lt(peer_unsubscribe(&a, "$share/g1/t"), 0x80);
	cr_assert_eq(share_group(&a, 7), 1);
}

Test(broker_shares, all_that_a_tenant_had_is_given_back_and_it_is_forgotten)
{
	peer_connect(&a);
	cr_assert_eq(peer_subscribe(&a, "t", 1), 1);
	cr_assert_eq(share_group(&a, 0), 1);
	cr_assert_eq(peer_retain(&a, "r", "1", 1), 0);
	cr_assert_eq(peer_publish(&a, "t", "2", 1), 0);
	cr_assert_eq(
	    peer_send(&a,
		&(struct entry){
		    .topic = "t", .payload = "3", .qos = 1, .props = PROPS("sqmqos-delay", "5")}),
	    0);
	cr_assert_eq(used("a", SQ_SHARE_SESSIONS), 1);
	cr_assert_eq(used("a", SQ_SHARE_SUBSCRIPTIONS), 3, "the group's filter, too");
	cr_assert_eq(used("a", SQ_SHARE_DELAYED), 1);
	cr_assert(shown("sqmqos_broker_share_used{kind=\"retained\",space=\"a\"} 1\n"));
	world_pass(&w, 6000);
	cr_assert_lt(peer_retain(&a, "r", "", 1), 0x80);
	cr_assert_eq(peer_disconnect(&a, 0), 204);
	world_pass(&w, 6000);
	cr_assert_not(shown("space=\"a\""));
	for (int kind = 0; kind < SQ_SHARE_KINDS; kind++) {
		if (kind != SQ_SHARE_RETAINED && kind != SQ_SHARE_RETAINED_BYTES)
			cr_assert_eq(used("a", (enum sq_share_kind)kind), 0, "kind %d", kind);
	}
}

Test(broker_shares, keys_of_a_store_count_whoever_has_written_them)
{
	struct entry e = {.topic = "t",
	    .payload = "1",
	    .qos = 2,
	    .id = 7,
	    .props = PROPS("sqmqos-qos", "3", "sqmqos-key", "k")};

	peer_connect(&a);
	cr_assert_eq(peer_subscribe(&a, "t", 2), 2);
	cr_assert_lt(peer_send(&a, &e), 0x80);
	cr_assert_eq(used("a", SQ_SHARE_KEYS), 1);
	world_stop(&w);
	begin();
	cr_assert_eq(used("a", SQ_SHARE_KEYS), 1);
	cr_assert_eq(used("a", SQ_SHARE_SESSIONS), 1);
	cr_assert_eq(used("a", SQ_SHARE_SUBSCRIPTIONS), 1);
}
