/* $SYS/broker: what is said, to whom, when, and what it leaves alone. */
#include <stdio.h>
#include <stdlib.h>

#include "../support/broker_world.h"
#include "../support/stored_engine.h"
#include "broker/engine/engines/engines.h"
#include "broker/shard/tenant.h"

enum { TOPICS = 24, INTERVAL_MS = 10000 };

static const struct sq_tenant_share shared[] = {{"a", "both", NULL}, {"b", "both", NULL}};

static struct world w;
static struct peer a, b, other; /* a and b share their topics */

static void
begin(unsigned workers)
{
	world_start(&w, workers);
	a = peer_new(&w, "a~w~c~pod");
	b = peer_new(&w, "b~w~c~pod");
	other = peer_new(&w, "other~w~c~pod");
	b.link = 1;
	peer_connect(&a);
	peer_connect(&b);
	peer_connect(&other);
}

static void
setup(void)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = &stored_engine;
	w.cfg.sys_interval_ms = INTERVAL_MS;
	w.cfg.shares = shared;
	w.cfg.n_shares = SQ_ARRAY_LEN(shared);
	begin(3);
}

static void
teardown(void)
{
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(publish_sys, .init = setup, .fini = teardown);

/* Takes all that the peer has got; returns the last value of $SYS/broker/'name', or NULL. */
static const char *
value(struct peer *p, const char *name, size_t *n)
{
	static char last[64];
	struct fake_delivery *d;
	bool found = false;

	*n = 0;
	while ((d = peer_next(p)) != NULL) {
		cr_assert_eq(d->qos, 0);
		cr_assert(strncmp(d->topic, "$SYS/broker/", 12) == 0, "%s", d->topic);
		++*n;
		if (strcmp(d->topic + 12, name) == 0) {
			strcpy(last, d->payload);
			found = true;
		}
	}
	return found ? last : NULL;
}

static void
drain(struct peer *p)
{
	size_t n;

	(void)value(p, "", &n);
}

/* What the tenant of 'p' is told now, by a subscription of its own. */
static const char *
now(struct peer *p, const char *name)
{
	char filter[80];
	struct fake_delivery *d;
	static char text_[64];

	snprintf(filter, sizeof filter, "$SYS/broker/%s", name);
	cr_assert_eq(peer_subscribe(p, filter, 0), 0);
	d = peer_next(p);
	cr_assert_not_null(d, "%s", filter);
	cr_assert(d->retain);
	cr_assert_str_eq(d->topic, filter);
	strcpy(text_, d->payload);
	peer_expect_nothing(p);
	cr_assert_eq(peer_unsubscribe(p, filter), 0);
	return text_;
}

Test(publish_sys, a_new_subscription_gets_all_values_at_once)
{
	size_t n = 0;
	struct fake_delivery *d;

	cr_assert_eq(peer_subscribe(&a, "$SYS/#", 2), 2);
	while ((d = peer_next(&a)) != NULL) {
		cr_expect(d->retain, "%s", d->topic);
		cr_expect_eq(d->qos, 0);
		n++;
	}
	cr_assert_eq(n, TOPICS);
	cr_assert_eq(peer_subscribe(&a, "$SYS/broker/+", 1), 1);
	drain(&a);
	cr_expect_str_eq(now(&a, "version"), "sqmqos version " SQ_VERSION);
	cr_expect_str_eq(now(&a, "uptime"), "0 seconds");
	world_pass(&w, 7000);
	cr_expect_str_eq(now(&a, "uptime"), "7 seconds");
}

Test(publish_sys, retain_handling_is_kept)
{
	cr_assert_eq(peer_subscribe(&a, "$SYS/broker/version", 2 << 4), 0);
	peer_expect_nothing(&a);
	cr_assert_eq(peer_subscribe(&a, "$SYS/broker/version", 1 << 4), 0);
	peer_expect_nothing(&a); /* it is not new */
	cr_assert_eq(peer_subscribe(&a, "$SYS/broker/version", 0), 0);
	cr_assert_not_null(peer_next(&a));
}

Test(publish_sys, what_has_changed_comes_each_interval)
{
	size_t n;

	cr_assert_eq(peer_subscribe(&a, "$SYS/#", 0), 0);
	drain(&a);
	world_pass(&w, INTERVAL_MS - 200);
	peer_expect_nothing(&a);
	world_pass(&w, 400);
	cr_assert_str_eq(value(&a, "uptime", &n), "10 seconds");
	cr_expect_lt(n, TOPICS, "what is the same is not said again");
	cr_assert_eq(peer_publish(&a, "t", "x", 1), 0x10);
	world_pass(&w, INTERVAL_MS);
	cr_assert_str_eq(value(&a, "publish/messages/received", &n), "1");
	world_pass(&w, INTERVAL_MS);
	cr_assert_null(value(&a, "publish/messages/received", &n));
	cr_assert_gt(n, 0);
	cr_assert_eq(peer_unsubscribe(&a, "$SYS/#"), 0);
	world_pass(&w, 3 * INTERVAL_MS);
	peer_expect_nothing(&a);
}

/* Who has subscribed later has heard another value than those before. */
Test(publish_sys, nobody_is_left_with_an_old_value)
{
	struct peer more = peer_new(&w, "a~w~more~pod");
	size_t n;

	cr_assert_eq(peer_subscribe(&a, "$SYS/broker/clients/connected", 0), 0);
	peer_expect(&a, "1");
	peer_connect(&more);
	cr_assert_eq(peer_subscribe(&other, "t", 0), 0);
	cr_assert_eq(peer_subscribe(&more, "$SYS/broker/clients/connected", 0), 0);
	peer_expect(&more, "2");
	cr_assert_eq(peer_subscribe(&a, "$SYS/broker/clients/total", 0), 0);
	peer_expect(&a, "2");
	world_pass(&w, INTERVAL_MS + 200);
	cr_assert_str_eq(value(&a, "clients/connected", &n), "2");
	cr_assert_eq(peer_disconnect(&more, 0), 204);
	world_pass(&w, INTERVAL_MS + 200);
	cr_assert_str_eq(value(&a, "clients/connected", &n), "1");
}

Test(publish_sys, wildcards_of_the_first_level_select_nothing_of_it)
{
	cr_assert_eq(peer_subscribe(&a, "#", 0), 0);
	cr_assert_eq(peer_subscribe(&a, "+/broker/uptime", 0), 0);
	cr_assert_eq(peer_subscribe(&a, "+/#", 0), 0);
	cr_assert_eq(peer_subscribe(&b, "$SYS/#", 0), 0);
	world_pass(&w, 3 * INTERVAL_MS);
	peer_expect_nothing(&a);
	drain(&b);
}

Test(publish_sys, a_subscription_to_the_sidecars_alone_gets_none_of_the_brokers)
{
	cr_assert_eq(peer_subscribe(&a, "$SYS/sidecar/#", 0), 0);
	world_pass(&w, 3 * INTERVAL_MS);
	peer_expect_nothing(&a);
}

Test(publish_sys, a_tenant_hears_of_itself_alone)
{
	struct peer two = peer_new(&w, "a~w~two");
	size_t n;

	cr_assert_eq(peer_subscribe(&b, "$SYS/#", 0), 0);
	drain(&b);
	peer_connect(&two);
	cr_assert_eq(peer_subscribe(&two, "t", 1), 1);
	cr_assert_eq(peer_publish(&a, "t", "x", 1), 0);
	world_run();
	cr_expect_str_eq(now(&a, "clients/connected"), "2");
	cr_expect_str_eq(now(&a, "clients/total"), "2");
	cr_expect_str_eq(now(&a, "publish/messages/received"), "1");
	cr_expect_str_eq(now(&other, "clients/connected"), "1");
	cr_expect_str_eq(now(&other, "messages/received"), "0");
	world_pass(&w, INTERVAL_MS + 200);
	cr_assert_not_null(value(&b, "uptime", &n));
	cr_assert_null(value(&b, "uptime", &n));
	cr_expect_str_eq(now(&b, "clients/connected"), "1", "its topics are shared, no more");
	cr_expect_str_eq(now(&b, "messages/received"), "0");
	cr_expect_str_eq(now(&b, "clients/total"), "1");
}

Test(publish_sys, sessions_are_counted_by_what_becomes_of_them)
{
	struct peer kept = peer_new(&w, "a~w~kept"), keeper = peer_new(&w, "a~w~%24keeper~pod");

	peer_connect(&keeper);
	peer_connect(&kept);
	kept.expiry_s = 100;
	cr_expect_str_eq(now(&a, "clients/connected"), "2", "a keeper is no client");
	cr_expect_str_eq(now(&a, "clients/active"), "2");
	cr_assert_eq(peer_disconnect(&kept, 100), 204);
	cr_expect_str_eq(now(&a, "clients/connected"), "1");
	cr_expect_str_eq(now(&a, "clients/disconnected"), "1");
	cr_expect_str_eq(now(&a, "clients/inactive"), "1");
	cr_expect_str_eq(now(&a, "clients/expired"), "0");
	world_pass(&w, 101000);
	cr_expect_str_eq(now(&a, "clients/disconnected"), "0");
	cr_expect_str_eq(now(&a, "clients/total"), "1");
	cr_expect_str_eq(now(&a, "clients/expired"), "1");
	cr_expect_str_eq(now(&a, "clients/maximum"), "2");
}

Test(publish_sys, subscriptions_and_retained_messages_are_counted)
{
	cr_assert_eq(peer_subscribe(&a, "x", 0), 0);
	cr_assert_eq(peer_subscribe(&a, "y", 0), 0);
	cr_assert_eq(peer_subscribe(&a, "y", 1), 1);
	cr_assert_eq(peer_subscribe(&a, "$share/g/y", 1), 1);
	cr_assert_eq(peer_subscribe(&a, "$dead/#", 1), 1);
	cr_expect_str_eq(now(&a, "subscriptions/count"), "3", "that one included");
	cr_expect_str_eq(now(&a, "shared_subscriptions/count"), "2");
	cr_assert_eq(peer_unsubscribe(&a, "$dead/#"), 0);
	cr_assert_eq(peer_unsubscribe(&a, "$share/g/y"), 0);
	cr_assert_eq(peer_unsubscribe(&a, "x"), 0);
	cr_expect_str_eq(now(&a, "subscriptions/count"), "2");
	cr_expect_str_eq(now(&a, "shared_subscriptions/count"), "0");
	cr_assert_eq(peer_retain(&other, "kept", "12345", 1), 0);
	cr_expect_str_eq(now(&other, "retained messages/count"), "1");
	cr_expect_str_eq(now(&other, "messages/stored"), "1");
	cr_expect_str_eq(now(&other, "store/messages/count"), "1");
	cr_expect_gt(atoi(now(&other, "store/messages/bytes")), 5);
	cr_expect_str_eq(now(&a, "retained messages/count"), "0");
}

Test(publish_sys, messages_and_what_waits_are_counted)
{
	struct peer kept = peer_new(&w, "other~w~kept");

	peer_connect(&kept);
	cr_assert_eq(peer_subscribe(&kept, "t", 1), 1);
	cr_assert_eq(peer_publish(&other, "t", "x", 1), 0);
	peer_expect(&kept, "x");
	cr_expect_str_eq(now(&other, "publish/messages/received"), "1");
	cr_expect_gt(atoi(now(&other, "bytes/received")), 0);
	cr_assert_eq(peer_disconnect(&kept, 1000), 204);
	(void)now(&other, "version");
	for (int i = 0; i < 3; i++)
		cr_assert_eq(peer_publish(&other, "t", "x", 1), 0);
	world_pass(&w, 2500);
	cr_expect_str_eq(now(&other, "messages/stored"), "3");
	cr_expect_str_eq(now(&other, "publish/messages/dropped"), "0");
	cr_expect_gt(atoi(now(&other, "publish/messages/sent")), 0);
	cr_expect_gt(atoi(now(&other, "publish/bytes/sent")), 0);
}

Test(publish_sys, what_a_full_queue_drops_is_counted)
{
	struct peer slow;

	world_stop(&w);
	w.cfg.engine = &sq_engine_memory; /* whose queues are the store's, too */
	begin(1);
	slow = peer_new(&w, "other~w~slow~pod");
	slow.ordinal = 1;
	cr_assert_eq(peer_attach(&slow), 200); /* no credit */
	cr_assert_eq(peer_subscribe(&slow, "t", 0), 0);
	for (int i = 0; i < 1010; i++)
		(void)peer_publish(&other, "t", "x", 0);
	cr_expect_str_eq(now(&other, "publish/messages/dropped"), "10");
}

/* Nothing of it is kept: not for who is away, not in a group that nobody takes from, not as
 * a retained message, and no dead letter is made for it. */
Test(publish_sys, it_fills_nothing)
{
	struct peer away = peer_new(&w, "a~w~away"), full = peer_new(&w, "a~w~full");
	struct sq_sub declared = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 1,
	    .flags = SQ_SUB_DECLARED | SQ_SUB_DURABLE,
	    .max_length = 2,
	    .overflow = SQ_OVERFLOW_DROP_OLDEST,
	    .group = text("g"),
	    .filter = text("$SYS/#")};

	cr_assert_eq(peer_sub(&a, &declared), 1);
	peer_connect(&away);
	cr_assert_eq(peer_subscribe(&away, "$SYS/#", 1), 1);
	cr_assert_eq(peer_subscribe(&away, "t", 1), 1);
	drain(&away);
	cr_assert_eq(peer_disconnect(&away, 10000), 204);
	full.ordinal = 1;
	cr_assert_eq(peer_attach(&full), 200); /* no credit */
	cr_assert_eq(peer_subscribe(&full, "$SYS/#", 1 | 2 << 4), 1);
	world_pass(&w, 200 * INTERVAL_MS);
	cr_expect_leq(world_metric(SQ_M_QUEUED), 1000, "the limit of a queue");
	cr_expect_eq(world_metric(SQ_M_RETAINED), 0);
	cr_expect_eq(world_metric(SQ_M_DROPPED_FULL), 0);
	cr_expect_eq(world_metric(SQ_M_DEAD_LETTERS), 0);
	cr_assert_eq(peer_disconnect(&full, 0), 204);
	cr_expect_eq(world_metric(SQ_M_QUEUED), 0);
	peer_connect(&away);
	peer_expect_nothing(&away);
	world_pass(&w, INTERVAL_MS);
	cr_assert_not_null(peer_next(&away), "its subscription is there");
	drain(&away);
}

Test(publish_sys, who_shares_gets_each_once)
{
	struct peer two = peer_new(&w, "a~w~two~pod");
	size_t n, m;

	peer_connect(&two);
	cr_assert_eq(peer_subscribe(&a, "$share/g/$SYS/broker/uptime", 1), 1);
	cr_assert_eq(peer_subscribe(&two, "$share/g/$SYS/broker/uptime", 1), 1);
	peer_expect_nothing(&a); /* MQTT-4.8.2: no retained ones */
	world_pass(&w, INTERVAL_MS + 200);
	(void)value(&a, "uptime", &n);
	(void)value(&two, "uptime", &m);
	cr_assert_eq(n + m, 1);
}

Test(publish_sys, overlapping_subscriptions_get_one_copy_with_both_identifiers)
{
	struct fake_delivery *d;

	for (uint32_t i = 1; i <= 2; i++)
		cr_assert_eq(
		    peer_sub(&a,
			&(struct sq_sub){.op = SQ_SUB_SUBSCRIBE,
			    .sub_id = i,
			    .options = 2 << 4 | 8,
			    .filter = text(i == 1 ? "$SYS/broker/uptime" : "$SYS/broker/+")}),
		    0);
	world_pass(&w, INTERVAL_MS + 200);
	d = peer_next(&a);
	while (d != NULL && strcmp(d->topic, "$SYS/broker/uptime") != 0)
		d = peer_next(&a);
	cr_assert_not_null(d);
	cr_assert_eq(d->n_subs, 2);
	cr_assert(d->retain, "as published");
	drain(&a);
}

Test(publish_sys, durable_subscriptions_outlive_the_broker)
{
	struct peer kept = peer_new(&w, "other~w~kept");
	size_t n;

	peer_connect(&kept);
	cr_assert_eq(peer_subscribe(&kept, "$SYS/broker/#", 1), 1);
	drain(&kept);
	world_stop(&w);
	begin(2);
	peer_connect(&kept);
	cr_assert(kept.present);
	world_pass(&w, INTERVAL_MS + 200);
	cr_assert_not_null(value(&kept, "uptime", &n));
	cr_expect_str_eq(now(&other, "clients/total"), "2");
	cr_expect_str_eq(now(&other, "subscriptions/count"), "2");
	drain(&kept);
}

Test(publish_sys, without_an_interval_nothing_is_said)
{
	world_stop(&w);
	w.cfg.sys_interval_ms = 0;
	begin(1);
	cr_assert_eq(peer_subscribe(&a, "$SYS/#", 0), 0);
	world_pass(&w, 60000);
	peer_expect_nothing(&a);
}
