/* What arrives over a bridge: the promises of docs/bridges.md, on an inlet that does as the test says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/broker_world.h"
#include "../support/held_engine.h"
#include "../support/stored_engine.h"
#include "broker/auth/acl/acl.h"
#include "broker/bridge/bridge.h"
#include "broker/bridge/carry.h"
#include "broker/bridge/cfg.h"
#include "broker/bridge/dedup.h"
#include "broker/bridge/inward.h"
#include "broker/bridge/told.h"
#include "broker/engine/engines/engines.h"
#include "broker/engine/record.h"
#include "broker/shard/shard.h"
#include "core/mem.h"
#include "core/memory.h"

#define PROPS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define US "here-0123456789abcdef"

enum {
	FOR_MS = 60000,
	MANY = 2048,
	WINDOW = 100,
	QUEUE_MAX = 400,
	WITHIN_MS = 1000,
	MANY_ARRIVALS = 20000
};

/* --- the inlet --- */

/* A message of the peer's. */
struct brought {
	struct sq_arrived arrived; /* first */
	char key[64], hops[2100], why[64];
	unsigned settled; /* how often */
	enum sq_arrival how;
};

static struct {
	struct sq_inlet inlet;
	const struct sq_bridge_env *env;
	struct brought v[MANY];
	size_t n;
	unsigned demand, closes;
	size_t order[MANY], n_settled; /* indices, as they were settled */
	bool fails, holds_close;
	void (*closed)(void *arg);
	void *arg;
} inlet;

static const struct sq_inlet_ops ops;

static struct sq_inlet *
inlet_open(const struct sq_bridge_env *env, const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	(void)c;
	if (inlet.fails) {
		sq_buf_printf(err, "no such file");
		return NULL;
	}
	inlet.env = env;
	inlet.inlet.ops = &ops;
	return &inlet.inlet;
}

static void
inlet_demand(struct sq_inlet *i, unsigned n)
{
	(void)i;
	inlet.demand = n;
}

static void
inlet_settled(struct sq_inlet *i, struct sq_arrived *a, enum sq_arrival how)
{
	struct brought *b = SQ_CONTAINER_OF(a, struct brought, arrived);

	(void)i;
	cr_assert_eq(inlet.closes, 0, "nothing is settled once it closes");
	b->settled++;
	b->how = how;
	inlet.order[inlet.n_settled++] = (size_t)(b - inlet.v);
}

static void
inlet_status(const struct sq_inlet *i, struct sq_buf *out)
{
	(void)i;
	sq_buf_printf(out, "\"consumers\":1");
}

static void
inlet_close(struct sq_inlet *i, unsigned within_ms, void (*closed)(void *arg), void *arg)
{
	(void)i;
	(void)within_ms;
	inlet.closes++;
	inlet.closed = closed;
	inlet.arg = arg;
	if (!inlet.holds_close)
		closed(arg);
}

static const struct sq_inlet_ops ops = {
    inlet_open, inlet_demand, inlet_settled, inlet_status, inlet_close};

/* --- the bridge --- */

static struct world w;
static struct peer sub;
static struct sq_dedups *dedups;
static struct sq_inward *in;
static struct sq_bridge_told told;
static bool closed;
static struct sq_bridge_in rules[2];
static struct sq_bridge_cfg cfg;
static struct sq_bridge_env env;

static void
inward_closed(void *arg)
{
	(void)arg;
	closed = true;
	in = NULL;
}

static void
open_bridge(bool paused)
{
	struct sq_inward_cfg c = {.shard = &w.broker->shards[0],
	    .ops = &ops,
	    .bridge = &cfg,
	    .env = &env,
	    .told = &told,
	    .dedups = dedups,
	    .paused = paused};
	struct sq_buf err = {0};

	for (size_t i = 0; i < inlet.n; i++)
		sq_msg_unref(&inlet.v[i].arrived.msg);
	memset(&inlet, 0, sizeof inlet);
	closed = false;
	in = sq_inward_open(&c, &err);
	cr_assert_not_null(in);
}

static void
close_bridge(void)
{
	if (in == NULL)
		return;
	sq_inward_close(in, WITHIN_MS, inward_closed, NULL);
	world_run();
	cr_assert(closed);
}

static void
begin(void)
{
	world_start(&w, 1);
	sub = peer_new(&w, "s~w~subscriber");
	sub.ordinal = 1;
	cr_assert_eq(peer_attach(&sub), 200); /* without credit */
	dedups = sq_dedups_new();
	cr_assert_eq(sq_dedups_load(dedups, w.broker->engine, fake_now()), SQ_OK);
	open_bridge(false);
}

static void
end(void)
{
	close_bridge();
	for (size_t i = 0; i < inlet.n; i++)
		sq_msg_unref(&inlet.v[i].arrived.msg);
	inlet.n = 0;
	sq_dedups_free(&dedups);
	world_stop(&w);
}

static void
configure(void)
{
	static char name[] = "rabbit", space[] = "s", tag[] = "blue";

	rules[0] = (struct sq_bridge_in){.qos = 1, .prefetch = WINDOW};
	rules[1] = (struct sq_bridge_in){.qos = 2, .tag = tag};
	cfg = (struct sq_bridge_cfg){.record = {.name = name},
	    .space = space,
	    .in = {rules, 2},
	    .max_hops = 3,
	    .dedup_for_ms = FOR_MS,
	    .dedup_max = 50};
	env = (struct sq_bridge_env){
	    .scope = "bridge/rabbit", .space = "s", .queue = "bridge.rabbit", .install = US};
}

static void
start(const struct sq_engine_ops *engine)
{
	stored_engine_reset();
	configure();
	sq_bridge_told_init(&told, "bridge/rabbit");
	world_init(&w);
	w.cfg.engine = engine;
	w.cfg.queue_max_msgs = QUEUE_MAX;
	begin();
}

static void
setup(void)
{
	start(&stored_engine);
}

static void
teardown(void)
{
	end();
	sq_bridge_told_fini(&told);
	stored_engine_reset();
}

TestSuite(inward, .init = setup, .fini = teardown);

/* --- what the peer does --- */

/* Makes the next message; it has not arrived. */
static struct brought *
make(const char *topic, const char *payload, const char *key)
{
	struct brought *b = &inlet.v[inlet.n++];
	struct entry e = {.topic = topic, .payload = payload, .qos = 1};

	cr_assert_leq(inlet.n, MANY);
	b->arrived.msg = entry_message(&e);
	snprintf(b->key, sizeof b->key, "%s", key != NULL ? key : "");
	b->arrived.key = sq_bytes_of(b->key);
	return b;
}

static void
arrive(struct brought *b, size_t n)
{
	struct sq_arrived *v[MANY];

	for (size_t i = 0; i < n; i++)
		v[i] = &b[i].arrived;
	inlet.env->arrived(inlet.env->owner, v, n);
}

/* One message arrives, and is settled. */
static enum sq_arrival
bring(const char *topic, const char *payload, const char *key)
{
	struct brought *b = make(topic, payload, key);

	arrive(b, 1);
	world_run();
	cr_assert_eq(b->settled, 1);
	return b->how;
}

static uint64_t
count(enum sq_bridge_outcome outcome)
{
	return atomic_load(&told.messages[SQ_BRIDGE_IN][outcome]);
}

/* The subscriber takes the next delivery. */
static void
take(const char *payload)
{
	const struct fake_delivery *d = peer_expect(&sub, payload);
	uint64_t delivery = d->delivery;

	if (d->qos == 2) {
		cr_assert_eq(peer_settle(&sub, SQ_SETTLE_RECEIVED, delivery, 1), 204);
		cr_assert_eq(peer_settle(&sub, SQ_SETTLE_COMPLETE, delivery, 1), 204);
	} else {
		cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, delivery, 1), 204);
	}
}

static void
subscribe(const char *filter)
{
	cr_assert_eq(peer_subscribe(&sub, filter, 2), 2);
}

static void
credit(void)
{
	cr_assert_eq(peer_credit(&sub, 1000, UINT32_MAX), 204);
	world_run();
}

/* The same broker again, after it was stopped or has crashed. */
static void
restart(void)
{
	end();
	begin();
	credit();
}

/* It arrives, and the broker dies when it is durable and before it is settled. */
static void
commit_and_crash(struct brought *b)
{
	stored_engine_hold(true);
	arrive(b, 1);
	world_run();
	stored_engine_release();
	cr_assert_eq(b->settled, 0);
	stored_engine_crash();
	restart();
}

/* --- what is published --- */

Test(inward, a_message_is_settled_after_its_commit)
{
	struct brought *b = make("t", "1", "o:1");

	subscribe("t");
	credit();
	stored_engine_hold(true);
	arrive(b, 1);
	world_run();
	cr_assert_eq(b->settled, 0);
	peer_expect_nothing(&sub);
	stored_engine_hold(false);
	stored_engine_release();
	world_run();
	cr_assert_eq(b->settled, 1);
	cr_assert_eq(b->how, SQ_ARRIVAL_TAKEN);
	take("1");
	cr_assert_eq(count(SQ_BRIDGE_OK), 1);
	cr_assert_eq(stored_engine_records(SQ_RECORD_BRIDGE_KEY), 1);
}

Test(inward, a_message_is_of_its_rule_and_without_options)
{
	struct brought *b = &inlet.v[inlet.n++];
	const struct fake_delivery *d;

	subscribe("$tag/blue/#");
	credit();
	b->arrived.msg = entry_message(&(struct entry){.topic = "t",
	    .payload = "1",
	    .qos = 0,
	    .props = PROPS("a", "1", "tag", "red", "sqmqos-key", "k", "SQMQOS-qos", "3",
		"sqmqos-delay", "60", "sqmqos-order-key", "o", "traceparent",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "b", "2")});
	b->arrived.rule = 1;
	b->arrived.hops = sq_bytes_of("there-fedcba9876543210/out");
	arrive(b, 1);
	world_run();
	cr_assert_eq(b->how, SQ_ARRIVAL_TAKEN);
	d = peer_expect(&sub, "1");
	cr_assert_eq(d->qos, 2);
	cr_assert_str_eq(delivery_prop(d, "a"), "1");
	cr_assert_str_eq(delivery_prop(d, "b"), "2");
	cr_assert_str_eq(delivery_prop(d, "tag"), "blue");
	cr_assert_str_eq(delivery_prop(d, "sqmqos-order-key"), "o");
	cr_assert_str_eq(delivery_prop(d, SQ_CARRY_HOPS), "there-fedcba9876543210/out");
	cr_assert_str_eq(delivery_prop(d, "traceparent"),
	    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	cr_assert_null(delivery_prop(d, "sqmqos-key"));
	cr_assert_null(delivery_prop(d, "sqmqos-delay"));
	cr_assert_null(delivery_prop(d, "SQMQOS-qos"));
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_RECEIVED, d->delivery, 1), 204);
}

Test(inward, messages_keep_their_order)
{
	char payload[16];

	subscribe("t");
	for (unsigned i = 0; i < 100; i++) {
		snprintf(payload, sizeof payload, "%u", i);
		make("t", payload, NULL);
	}
	for (unsigned i = 0; i < 100; i += 10)
		arrive(&inlet.v[i], 10);
	world_run();
	credit();
	for (unsigned i = 0; i < 100; i++) {
		snprintf(payload, sizeof payload, "%u", i);
		cr_assert_eq(inlet.order[i], i);
		take(payload);
	}
}

Test(inward, what_nobody_wants_is_taken)
{
	cr_assert_eq(bring("t", "1", "o:1"), SQ_ARRIVAL_TAKEN);
	cr_assert_eq(count(SQ_BRIDGE_OK), 1);
	cr_assert_eq(stored_engine_records(SQ_RECORD_BRIDGE_KEY), 0);
}

/* --- once --- */

Test(inward, a_copy_within_the_window_is_taken_and_not_published)
{
	subscribe("t");
	credit();
	cr_assert_eq(bring("t", "1", "o:1"), SQ_ARRIVAL_TAKEN);
	cr_assert_eq(bring("t", "1", "o:1"), SQ_ARRIVAL_TAKEN);
	take("1");
	peer_expect_nothing(&sub);
	cr_assert_eq(count(SQ_BRIDGE_DUPLICATE), 1);
	fake_set_now(fake_now() + FOR_MS);
	cr_assert_eq(bring("t", "1", "o:1"), SQ_ARRIVAL_TAKEN);
	take("1");
	cr_assert_eq(count(SQ_BRIDGE_OK), 2);
}

Test(inward, a_copy_that_comes_during_the_commit_is_settled_after_it)
{
	struct brought *first = make("t", "1", "o:1"), *copy;

	subscribe("t");
	credit();
	stored_engine_hold(true);
	arrive(first, 1);
	world_run();
	copy = make("t", "1", "o:1");
	arrive(copy, 1);
	world_run();
	cr_assert_eq(copy->settled, 0, "the first one is not durable");
	stored_engine_hold(false);
	stored_engine_release();
	world_run();
	cr_assert_eq(first->settled, 1);
	cr_assert_eq(copy->settled, 1);
	cr_assert_eq(copy->how, SQ_ARRIVAL_TAKEN);
	take("1");
	peer_expect_nothing(&sub);
}

Test(inward, copies_in_one_batch_are_published_once)
{
	struct brought *b = make("t", "1", "o:1");

	subscribe("t");
	credit();
	make("t", "1", "o:1");
	arrive(b, 2);
	world_run();
	cr_assert_eq(b[1].how, SQ_ARRIVAL_TAKEN);
	take("1");
	peer_expect_nothing(&sub);
}

Test(inward, what_was_committed_and_not_settled_is_known_after_a_crash)
{
	struct brought *b = make("t", "1", "o:1");

	subscribe("t");
	commit_and_crash(b);
	cr_assert_eq(bring("t", "1", "o:1"), SQ_ARRIVAL_TAKEN);
	cr_assert_eq(count(SQ_BRIDGE_DUPLICATE), 1);
	take("1");
	peer_expect_nothing(&sub);
}

Test(inward, what_was_not_committed_is_published_after_a_crash)
{
	struct brought *b = make("t", "1", "o:1");

	subscribe("t");
	stored_engine_hold(true);
	arrive(b, 1);
	world_run();
	stored_engine_crash();
	restart();
	cr_assert_eq(bring("t", "1", "o:1"), SQ_ARRIVAL_TAKEN);
	cr_assert_eq(count(SQ_BRIDGE_DUPLICATE), 0);
	take("1");
	peer_expect_nothing(&sub);
}

Test(inward, of_more_keys_than_there_may_be_the_oldest_is_forgotten_and_counted)
{
	char key[16];

	subscribe("t");
	for (unsigned i = 0; i <= cfg.dedup_max; i++) {
		snprintf(key, sizeof key, "o:%u", i);
		bring("t", key, key);
	}
	cr_assert_eq(atomic_load(&told.dedup_early), 1);
	bring("t", "o:1", "o:1");
	cr_assert_eq(count(SQ_BRIDGE_DUPLICATE), 1);
	bring("t", "o:0", "o:0");
	cr_assert_eq(count(SQ_BRIDGE_DUPLICATE), 1, "it is forgotten");
}

Test(inward, keys_may_be_switched_off)
{
	cfg.dedup = SQ_BRIDGE_DEDUP_NONE;
	subscribe("t");
	bring("t", "1", "o:1");
	bring("t", "1", "o:1");
	cr_assert_eq(count(SQ_BRIDGE_OK), 2);
	cr_assert_eq(stored_engine_records(SQ_RECORD_BRIDGE_KEY), 0);
}

/* A publisher's message with a key; its reason code. */
static uint8_t
send_key(struct peer *pub, unsigned i)
{
	char key[16];
	struct entry e = {.topic = "u",
	    .payload = "x",
	    .qos = 2,
	    .id = (uint16_t)(i + 1),
	    .props = PROPS("sqmqos-qos", "3", "sqmqos-key", key)};
	uint8_t code;

	snprintf(key, sizeof key, "k%u", i);
	code = peer_send(pub, &e);
	if (code < 0x80)
		cr_assert_eq(peer_send(pub, &(struct entry){.id = e.id}), 0);
	return code;
}

/* So many messages with new keys arrive, a window of them at a time, and are taken. */
static void
bring_many(unsigned n)
{
	for (unsigned i = 0; i < n; i += WINDOW) {
		inlet.n = inlet.n_settled = 0;
		for (unsigned k = 0; k < WINDOW; k++) {
			char key[16];

			snprintf(key, sizeof key, "o:%u", i + k);
			make("t", "1", key)->settled = 0;
		}
		arrive(inlet.v, WINDOW);
		world_run();
		for (unsigned k = 0; k < WINDOW; k++) {
			cr_assert_eq(inlet.v[k].settled, 1);
			cr_assert_eq(inlet.v[k].how, SQ_ARRIVAL_TAKEN);
			sq_msg_unref(&inlet.v[k].arrived.msg);
		}
	}
	inlet.n = 0;
}

Test(inward, many_arrivals_take_nothing_from_publishers_keys)
{
	struct peer pub = peer_new(&w, "s~w~publisher~pod");
	struct peer other = peer_new(&w, "s~w~other");
	unsigned n = (unsigned)w.cfg.max_keys;

	peer_connect(&pub);
	peer_connect(&other);
	cr_assert_eq(peer_subscribe(&other, "u", 2), 2);
	rules[0].qos = 0;
	subscribe("t");
	for (unsigned i = 0; i + 1 < n; i++)
		cr_assert_eq(send_key(&pub, i), 0);
	bring_many(MANY_ARRIVALS);
	cr_assert_eq(count(SQ_BRIDGE_OK), MANY_ARRIVALS);
	cr_expect_eq(stored_engine_records(SQ_RECORD_KEY), n - 1);
	cr_expect_eq(send_key(&pub, n - 1), 0, "there is room for as many as before");
	cr_expect_eq(send_key(&pub, n), 0x97, "and for no more");
	bring_many(MANY_ARRIVALS);
	cr_assert_eq(count(SQ_BRIDGE_OK), 2 * MANY_ARRIVALS, "they need no room there");
	for (unsigned i = 0; i < n; i++)
		cr_expect_eq(send_key(&pub, i), 0, "%u", i);
	cr_expect_eq(stored_engine_records(SQ_RECORD_KEY), n);
	for (unsigned i = 0; i < n; i++) /* once each */
		(void)peer_expect(&other, "x");
	peer_expect_nothing(&other);
}

/* --- loops --- */

Test(inward, what_has_passed_this_installation_is_dropped_at_once)
{
	struct brought *b = make("t", "1", "o:1");

	subscribe("t");
	credit();
	b->arrived.hops = sq_bytes_of("renamed-0123456789abcdef/out,there-fedcba9876543210/out");
	arrive(b, 1);
	world_run();
	cr_assert_eq(b->how, SQ_ARRIVAL_TAKEN);
	peer_expect_nothing(&sub);
	cr_assert_eq(count(SQ_BRIDGE_LOOP), 1);
	cr_assert_eq(stored_engine_items(), 0, "it is no dead letter");
}

/* --- dead letters --- */

static void
expect_letter(const char *payload, const char *topic, const char *reason, const char *detail)
{
	const struct fake_delivery *d = peer_expect(&sub, payload);

	cr_assert_str_eq(d->topic, topic);
	cr_assert_str_eq(delivery_prop(d, "sqmqos-dead-reason"), reason);
	cr_assert_str_eq(delivery_prop(d, "sqmqos-dead-queue"), "queue~s~bridge.rabbit");
	cr_assert_not_null(strstr(delivery_prop(d, "sqmqos-dead-detail"), detail), "%s",
	    delivery_prop(d, "sqmqos-dead-detail"));
	cr_assert_eq(peer_settle(&sub, SQ_SETTLE_ACK, d->delivery, 1), 204);
}

static void
bring_letter(struct brought *b)
{
	uint64_t before = count(SQ_BRIDGE_DEAD);

	arrive(b, 1);
	world_run();
	cr_assert_eq(b->settled, 1);
	cr_assert_eq(b->how, SQ_ARRIVAL_TAKEN);
	cr_assert_eq(count(SQ_BRIDGE_DEAD), before + 1);
}

Test(inward, what_can_not_be_published_is_a_dead_letter)
{
	struct brought *b;

	subscribe("$dead/#");
	credit();
	b = make("t", "1", NULL);
	b->arrived.unmappable = "{header:x} is empty";
	bring_letter(b);
	expect_letter("1", "$dead/t", "unmappable", "{header:x} is empty");
	cr_assert_str_eq(told.state[SQ_BRIDGE_IN].error, "{header:x} is empty");

	b = make("a/#", "2", NULL);
	bring_letter(b);
	expect_letter("2", "$dead/bridge.rabbit", "unmappable", "");

	b = make("$SYS/x", "3", NULL);
	bring_letter(b);
	expect_letter("3", "$dead/$SYS/x", "unmappable", "$SYS");

	b = make("t", "", NULL);
	sq_msg_unref(&b->arrived.msg);
	b->arrived.msg = entry_message(
	    &(struct entry){.topic = "t", .qos = 1, .payload_len = 4 * w.cfg.max_packet});
	bring_letter(b);
	expect_letter("", "$dead/t", "too-large", "limits.max-packet");

	b = make("t", "", NULL);
	b->arrived.unmappable = "it has 1234567 bytes";
	b->arrived.too_large = true;
	bring_letter(b);
	expect_letter("", "$dead/t", "too-large", "1234567");

	b = make("t", "4", NULL);
	b->arrived.hops = sq_bytes_of(
	    "a-1111111111111111/b,a-2222222222222222/b,a-3333333333333333/b,"
	    "a-4444444444444444/b");
	bring_letter(b);
	expect_letter("4", "$dead/t", "loop", "max-hops");
}

Test(inward, a_letter_is_made_once_over_a_crash)
{
	struct brought *b = make("t", "1", "o:1");

	subscribe("$dead/#");
	b->arrived.unmappable = "why not";
	commit_and_crash(b);
	bring("t", "1", "o:1");
	cr_assert_eq(count(SQ_BRIDGE_DUPLICATE), 1);
	expect_letter("1", "$dead/t", "unmappable", "why not");
	peer_expect_nothing(&sub);
}

Test(inward, rules_hold_for_the_bridge)
{
	char *verb = (char[]){"publish"}, *topic = (char[]){"no/#"};
	struct sq_acl_rule rule = {.deny = {&verb, 1},
	    .topics = {&topic, 1},
	    .identity = "bridge:s/rabbit",
	    .where = "broker.yaml:1"};
	struct sq_buf err = {0};

	subscribe("#");
	subscribe("$dead/#");
	credit();
	sq_broker_set_acl(w.broker, sq_acl_new(&rule, 1, false, &err));
	cr_assert_eq(bring("ok/t", "1", NULL), SQ_ARRIVAL_TAKEN);
	take("1");
	cr_assert_eq(bring("no/t", "2", NULL), SQ_ARRIVAL_TAKEN);
	expect_letter("2", "$dead/no/t", "refused", "not authorized");
	peer_expect_nothing(&sub);
	cr_assert_eq(count(SQ_BRIDGE_DEAD), 1);
}

/* --- no room --- */

static void
fill(const char *topic)
{
	for (unsigned i = 0; i < QUEUE_MAX; i++)
		make(topic, "x", NULL);
	arrive(inlet.v, QUEUE_MAX);
	world_run();
	for (unsigned i = 0; i < QUEUE_MAX; i++)
		cr_assert_eq(inlet.v[i].how, SQ_ARRIVAL_TAKEN);
}

Test(inward, what_a_full_queue_refuses_comes_again_in_order)
{
	struct brought *b;

	subscribe("t");
	fill("t");
	b = make("t", "1", "o:1");
	make("t", "2", "o:2");
	make("other", "3", "o:3");
	make("t", "3", "o:4");
	arrive(b, 4);
	world_run();
	cr_assert_not_null(strstr(told.state[SQ_BRIDGE_IN].error, "is full"), "%s",
	    told.state[SQ_BRIDGE_IN].error);
	cr_assert_eq(b[0].how, SQ_ARRIVAL_LATER);
	cr_assert_eq(b[1].how, SQ_ARRIVAL_LATER);
	cr_assert_eq(b[2].how, SQ_ARRIVAL_TAKEN, "of another lane");
	cr_assert_eq(b[3].how, SQ_ARRIVAL_LATER);
	cr_assert_eq(stored_engine_records(SQ_RECORD_BRIDGE_KEY), 0);
	credit();
	for (unsigned i = 0; i < QUEUE_MAX; i++)
		take("x");
	cr_assert_eq(bring("t", "1", "o:1"), SQ_ARRIVAL_TAKEN);
	cr_assert_eq(bring("t", "2", "o:2"), SQ_ARRIVAL_TAKEN);
	take("1");
	take("2");
	cr_assert_eq(count(SQ_BRIDGE_LATER), 3);
}

Test(inward, those_behind_it_come_again_though_there_is_room_now)
{
	struct brought *first, *second;

	subscribe("t");
	fill("t");
	atomic_store(&sq_memory_level_now, SQ_MEMORY_PACED); /* so that its batch waits */
	first = make("t", "1", NULL);
	arrive(first, 1);
	world_run();
	cr_assert_eq(first->settled, 0);
	credit();
	for (unsigned i = 0; i < QUEUE_MAX; i++)
		take("x");
	second = make("t", "2", NULL); /* the inlet has not heard */
	arrive(second, 1);
	world_pass(&w, 300);
	atomic_store(&sq_memory_level_now, SQ_MEMORY_FREE);
	cr_assert_eq(first->how, SQ_ARRIVAL_LATER);
	cr_assert_eq(second->settled, 1);
	cr_assert_eq(second->how, SQ_ARRIVAL_LATER, "behind the first one");
	cr_assert_eq(bring("t", "1", NULL), SQ_ARRIVAL_TAKEN);
	cr_assert_eq(bring("t", "2", NULL), SQ_ARRIVAL_TAKEN);
	take("1");
	take("2");
}

Test(inward, a_store_or_memory_without_room_has_it_come_again)
{
	struct brought *b;

	subscribe("t");
	credit();
	stored_engine_full(true);
	cr_assert_eq(bring("t", "1", "o:1"), SQ_ARRIVAL_LATER);
	stored_engine_full(false);
	atomic_store(&sq_memory_level_now, SQ_MEMORY_REFUSED);
	b = make("t", "1", "o:1");
	arrive(b, 1);
	world_run();
	cr_assert_eq(b->settled, 0, "it is slowed down");
	world_pass(&w, 200);
	cr_assert_eq(b->how, SQ_ARRIVAL_LATER);
	atomic_store(&sq_memory_level_now, SQ_MEMORY_FREE);
	cr_assert_eq(bring("t", "1", "o:1"), SQ_ARRIVAL_TAKEN);
	take("1");
	cr_assert_eq(count(SQ_BRIDGE_LATER), 2);
}

Test(inward, a_letter_waits_for_room_in_the_store)
{
	struct brought *b = make("t", "1", "o:1");

	b->arrived.unmappable = "why not";
	stored_engine_full(true);
	arrive(b, 1);
	world_run();
	cr_assert_eq(b->how, SQ_ARRIVAL_LATER, "it would be lost");
	stored_engine_full(false);
}

/* --- the turns of the worker --- */

Test(inward, what_matches_much_goes_on_in_later_turns)
{
	enum { N = 300, SESSIONS = 40 };
	static char names[SESSIONS][32];
	size_t settled;

	for (unsigned i = 0; i < SESSIONS; i++) {
		struct peer p;

		snprintf(names[i], sizeof names[i], "s~w~many%u~pod", i);
		p = peer_new(&w, names[i]);
		peer_connect(&p);
		cr_assert_lt(peer_subscribe(&p, "t/#", 0), 0x80);
	}
	for (unsigned i = 0; i < N; i++)
		make("t/1", "x", NULL);
	arrive(inlet.v, N);
	fake_run_turn();
	fake_run_turn();
	fake_run_turn();
	settled = inlet.n_settled;
	cr_assert_gt(settled, 0);
	cr_assert_lt(settled, N, "others have their turn");
	world_run();
	cr_assert_eq(inlet.n_settled, N);
}

Test(inward, what_fits_into_no_transaction_together_is_split)
{
	end();
	w.cfg.txn_items = 8;
	begin();
	subscribe("t");
	for (unsigned i = 0; i < 50; i++) {
		char key[16];

		snprintf(key, sizeof key, "o:%u", i);
		make("t", key, key);
	}
	arrive(inlet.v, 50);
	world_run();
	cr_assert_eq(inlet.n_settled, 50);
	cr_assert_eq(stored_engine_items(), 50);
	cr_assert_gt(stored_engine_commits(), 5);
}

/* --- the demand --- */

Test(inward, less_is_asked_for_while_there_is_less_room)
{
	cr_assert_eq(inlet.demand, WINDOW);
	sq_inward_pause(in, true);
	cr_assert_eq(inlet.demand, 0);
	cr_assert_eq(bring("t", "1", NULL), SQ_ARRIVAL_TAKEN, "it had been asked for");
	sq_inward_pause(in, false);
	cr_assert_eq(inlet.demand, WINDOW);
	atomic_store(&sq_memory_level_now, SQ_MEMORY_PACED);
	sq_inward_tick(in, fake_now());
	cr_assert_gt(inlet.demand, 0);
	cr_assert_lt(inlet.demand, WINDOW / 2);
	atomic_store(&sq_memory_level_now, SQ_MEMORY_REFUSED);
	sq_inward_tick(in, fake_now());
	cr_assert_eq(inlet.demand, 0);
	atomic_store(&sq_memory_level_now, SQ_MEMORY_FREE);
	atomic_store(
	    &sq_memory_fair_now, 10 * (uint64_t)sq_image_size(inlet.v[0].arrived.msg.image));
	sq_inward_tick(in, fake_now());
	cr_assert_eq(inlet.demand, 10, "%u", inlet.demand);
	atomic_store(&sq_memory_fair_now, 1);
	sq_inward_tick(in, fake_now());
	cr_assert_eq(inlet.demand, 1);
	atomic_store(&sq_memory_fair_now, UINT64_MAX);
	close_bridge();
	open_bridge(true);
	cr_assert_eq(inlet.demand, 0);
}

/* --- the end --- */

Test(inward, the_end_waits_for_commits_and_hands_the_rest_back)
{
	struct brought *b = make("t", "1", "o:1"), *late;

	subscribe("t");
	stored_engine_hold(true);
	arrive(b, 1);
	world_run();
	late = make("t", "2", "o:2");
	arrive(late, 1);
	sq_inward_close(in, WITHIN_MS, inward_closed, NULL);
	world_run();
	cr_assert_eq(inlet.demand, 0);
	cr_assert_eq(inlet.closes, 0, "a commit is on its way");
	stored_engine_hold(false);
	stored_engine_release();
	world_run();
	cr_assert_eq(b->settled, 1);
	cr_assert_eq(late->settled, 0);
	cr_assert(closed);
	cr_assert_eq(inlet.closes, 1);
}

Test(inward, the_inlet_is_closed_in_time_though_the_store_stands)
{
	struct brought *b = make("t", "1", "o:1");

	subscribe("t");
	stored_engine_hold(true);
	arrive(b, 1);
	world_run();
	sq_inward_close(in, WITHIN_MS, inward_closed, NULL);
	fake_set_now(fake_now() + WITHIN_MS);
	sq_inward_tick(in, fake_now());
	world_run();
	cr_assert_eq(inlet.closes, 1);
	cr_assert_not(closed);
	stored_engine_hold(false);
	stored_engine_release();
	world_run();
	cr_assert(closed);
	cr_assert_eq(b->settled, 0, "it went back");
	open_bridge(false);
	credit();
	cr_assert_eq(bring("t", "1", "o:1"), SQ_ARRIVAL_TAKEN);
	take("1");
	peer_expect_nothing(&sub);
}

Test(inward, an_inlet_that_closes_slowly_is_waited_for)
{
	inlet.holds_close = true;
	sq_inward_close(in, WITHIN_MS, inward_closed, NULL);
	world_run();
	cr_assert_not(closed);
	inlet.closed(inlet.arg);
	world_run();
	cr_assert(closed);
}

Test(inward, an_inlet_that_does_not_open_is_an_error)
{
	struct sq_inward_cfg c = {.shard = &w.broker->shards[0],
	    .ops = &ops,
	    .bridge = &cfg,
	    .env = &env,
	    .told = &told,
	    .dedups = dedups};
	struct sq_buf err = {0};

	close_bridge();
	inlet.fails = true;
	cr_assert_null(sq_inward_open(&c, &err));
	cr_assert_eq(memcmp(sq_buf_data(&err), "no such file", 12), 0);
	sq_buf_fini(&err);
}

Test(inward, the_status_has_the_inlets_words)
{
	struct sq_buf out = {0};

	subscribe("t");
	bring("t", "1", "o:1");
	sq_inward_status(in, &out);
	sq_buf_u8(&out, '\0');
	cr_assert_str_eq((const char *)sq_buf_data(&out), "\"consumers\":1,\"keys\":1");
	sq_buf_fini(&out);
}

/* --- commits that fail --- */

static void
setup_held(void)
{
	start(&held_engine);
}

TestSuite(inward_fails, .init = setup_held, .fini = teardown);

Test(inward_fails, what_was_not_committed_comes_again_and_so_do_its_copies)
{
	struct brought *b = make("t", "1", "o:1"), *copy, *loop;

	subscribe("t");
	held_engine_hold(true);
	arrive(b, 1);
	world_run();
	copy = make("t", "1", "o:1");
	loop = make("t", "2", "o:2");
	loop->arrived.hops = sq_bytes_of(US "/out");
	arrive(copy, 2);
	world_run();
	held_engine_hold(false);
	held_engine_release(SQ_EIO);
	while (held_engine_waiting() > 0)
		held_engine_release(SQ_OK);
	world_run();
	cr_assert_eq(b->how, SQ_ARRIVAL_LATER);
	cr_assert_eq(b->settled, 1);
	cr_assert_eq(copy->how, SQ_ARRIVAL_LATER, "there is no first one");
	cr_assert_eq(loop->how, SQ_ARRIVAL_TAKEN);
	cr_assert_eq(bring("t", "1", "o:1"), SQ_ARRIVAL_TAKEN);
	cr_assert_eq(count(SQ_BRIDGE_DUPLICATE), 0);
	cr_assert_eq(count(SQ_BRIDGE_OK), 1);
}
