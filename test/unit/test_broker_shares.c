/* What tenants have of the broker's totals: what is refused, in whose name, and that all of it
 * is given back. */
#include <stdio.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "broker/share/share.h"
#include "broker/shard/shard.h"
#include "broker/shard/tenant.h"
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

/* A subscription to them is two, and each has its binding. */
Test(broker_shares, a_subscription_to_dead_letters_is_refused_or_whole)
{
	world_stop(&w);
	w.cfg.spaces = 1;
	w.cfg.max_subs = 5;
	begin();
	peer_connect(&a);
	cr_assert_eq(peer_subscribe(&a, "1", 1), 1);
	cr_assert_eq(peer_subscribe(&a, "2", 1), 1);
	cr_assert_eq(peer_subscribe(&a, "$dead/#", 1), SQ_MQTT_RC_QUOTA_EXCEEDED);
	cr_assert_eq(used("a", SQ_SHARE_SUBSCRIPTIONS), 2);
	cr_assert_lt(peer_unsubscribe(&a, "2"), 0x80);
	cr_assert_eq(peer_subscribe(&a, "$dead/#", 1), 1);
	cr_assert_eq(used("a", SQ_SHARE_SUBSCRIPTIONS), 5);
	cr_assert_eq(peer_subscribe(&a, "3", 1), SQ_MQTT_RC_QUOTA_EXCEEDED);
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
	world_relink(&w);
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

/* Dead letters, on an engine that counts what waits. */

enum { LETTERS = 64, LETTERS_FLOOR = 4, LETTERS_PART = LETTERS - 4 * LETTERS_FLOOR };

static void
letters_setup(void)
{
	world_init(&w);
	w.cfg.spaces = 4;
	w.cfg.dead_total_msgs = LETTERS;
	begin();
}

static void
letters_teardown(void)
{
	world_stop(&w);
}

TestSuite(broker_letters, .init = letters_setup, .fini = letters_teardown);

/* A tenant with a queue whose client refuses all, so that all become dead letters. */
struct mortal {
	char names[3][48];
	struct peer pub, sub, undertaker;
};

static void
mortal_begin(struct mortal *m, const char *tenant)
{
	struct peer *const peers[] = {&m->pub, &m->sub, &m->undertaker};
	static const char *const rest[] = {"pub~pod", "sub", "undertaker~pod"};

	for (int i = 0; i < 3; i++) {
		snprintf(m->names[i], sizeof m->names[i], "%s~w~%s", tenant, rest[i]);
		*peers[i] = peer_new(&w, m->names[i]);
		if (i < 2)
			peer_connect(peers[i]);
	}
	cr_assert_eq(peer_subscribe(&m->sub, "t", 2), 2);
}

/* Makes a dead letter of a message of QoS 1 or 3; false: it was refused. */
static bool
mortal_letter(struct mortal *m, bool assured, uint32_t len)
{
	static const char *const qos_3[] = {"sqmqos-qos", "3", NULL};
	static uint16_t id;
	struct entry e = {.topic = "t", .payload = "x", .payload_len = len, .qos = 1};
	uint8_t code;

	if (assured) {
		e.qos = 2;
		e.id = ++id;
		e.props = qos_3;
	}
	code = peer_send(&m->pub, &e);
	cr_assert(code == 0 || code == SQ_MQTT_RC_QUOTA_EXCEEDED, "0x%02x", code);
	if (code != 0)
		return false;
	if (assured)
		cr_assert_eq(peer_send(&m->pub, &(struct entry){.id = e.id}), 0);
	cr_assert_eq(peer_settle(&m->sub, SQ_SETTLE_REJECT, peer_next(&m->sub)->delivery, 1), 204);
	return true;
}

/* Takes all letters that there are; returns how many. */
static unsigned
mortal_bury(struct mortal *m)
{
	struct fake_delivery *d;
	unsigned n = 0;

	peer_connect(&m->undertaker);
	cr_assert_eq(peer_subscribe(&m->undertaker, "$dead/#", 1), 1);
	for (; (d = peer_next(&m->undertaker)) != NULL; n++)
		cr_assert_eq(peer_settle(&m->undertaker, SQ_SETTLE_ACK, d->delivery, 1), 204);
	return n;
}

static void
mortal_leave(struct mortal *m)
{
	cr_assert_eq(peer_disconnect(&m->pub, 0), 204);
	cr_assert_eq(peer_disconnect(&m->sub, 0), 204);
	cr_assert_eq(peer_disconnect(&m->undertaker, 0), 204);
}

Test(broker_letters, those_of_one_leave_room_for_those_of_others)
{
	struct mortal greedy, others[2];
	unsigned n = 0;

	mortal_begin(&greedy, "a");
	while (n < LETTERS && mortal_letter(&greedy, true, 0))
		n++;
	cr_assert(n > LETTERS_PART / 2 && n <= LETTERS_PART, "%u", n);
	cr_assert_eq(used("a", SQ_SHARE_DEAD_LETTERS), n);
	cr_assert(shown("sqmqos_broker_share_refused_total{kind=\"dead-letters\"} 1\n"));
	for (unsigned i = 0; i < LETTERS; i++) /* is no reason to refuse a plain message */
		cr_assert(mortal_letter(&greedy, false, 0));
	cr_assert_leq(used("a", SQ_SHARE_DEAD_LETTERS), n + 1, "the oldest left for the newest");
	for (int i = 0; i < 2; i++) {
		mortal_begin(&others[i], i == 0 ? "b" : "c");
		for (int k = 0; k < LETTERS_FLOOR; k++)
			cr_assert(mortal_letter(&others[i], (k + i) % 2 == 0, 0));
	}
	for (int i = 0; i < 2; i++)
		cr_assert_eq(mortal_bury(&others[i]), LETTERS_FLOOR, "all of %d are kept", i);
	cr_assert_leq(mortal_bury(&greedy), n + 1);
	cr_assert(mortal_letter(&greedy, true, 0), "there is room again");
}

Test(broker_letters, bytes_have_a_share_too)
{
	struct mortal greedy;
	unsigned n = 0;

	world_stop(&w);
	w.cfg.dead_total_bytes = 256 << 10;
	begin();
	mortal_begin(&greedy, "a");
	while (n < LETTERS && mortal_letter(&greedy, true, 10000))
		n++;
	cr_assert(n >= 10 && n <= 20, "%u", n);
	cr_assert(shown("sqmqos_broker_share_refused_total{kind=\"dead-letters-bytes\"} 1\n"));
	cr_assert(mortal_letter(&greedy, true, 10), "a small one fits");
}

static bool
holders(unsigned n)
{
	char line[64];

	snprintf(line, sizeof line, "sqmqos_broker_share_holders{of=\"tenant\"} %u\n", n);
	return shown(line);
}

/* Their queues, records and floors go with the last letter. */
static void
come_and_go(unsigned times)
{
	char name[16];
	struct mortal m;

	for (unsigned i = 0; i < times; i++) {
		snprintf(name, sizeof name, "n%u", i);
		mortal_begin(&m, name);
		cr_assert(mortal_letter(&m, i % 2 == 0, 0));
		cr_assert_eq(peer_disconnect(&m.pub, 0), 204);
		cr_assert_eq(peer_disconnect(&m.sub, 0), 204);
		world_pass(&w, 4000);
		cr_assert(holders(1), "%s has a letter", name);
		cr_assert_eq(mortal_bury(&m), 1);
		cr_assert_eq(peer_disconnect(&m.undertaker, 0), 204);
		world_relink(&w);
		world_pass(&w, 4000);
		cr_assert(holders(0), "%s has gone", name);
		cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
	}
}

Test(broker_letters, a_tenant_that_has_none_any_more_is_forgotten)
{
	come_and_go(1000);
}

Test(broker_shares, dead_letter_queues_leave_nothing_in_the_store)
{
	come_and_go(3);
	cr_assert_eq(stored_engine_queues(), 0);
	cr_assert_eq(stored_engine_records(0), 0);
}

Test(broker_shares, dead_letter_queues_that_a_start_has_found_go_too)
{
	struct mortal m;

	mortal_begin(&m, "a");
	cr_assert(mortal_letter(&m, true, 0));
	world_stop(&w);
	begin();
	world_pass(&w, 4000);
	cr_assert_eq(stored_engine_items(), 1);
	mortal_begin(&m, "a");
	cr_assert_eq(mortal_bury(&m), 1);
	mortal_leave(&m);
	world_relink(&w);
	world_pass(&w, 4000);
	cr_assert(holders(0));
	cr_assert_eq(stored_engine_records(0), 0);
	cr_assert_eq(stored_engine_queues(), 0);
}
