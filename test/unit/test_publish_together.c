/* Messages that are published together: all of them, or none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/fake_publish.h"
#include "../support/stored_engine.h"
#include "broker/engine/record.h"
#include "broker/publish/together.h"
#include "broker/publish/publish.h"
#include "broker/shard/shard.h"
#include "broker/shard/system_txn.h"
#include "core/mem.h"

static const struct sq_tenant_grant grants[] = {{"reader", "s", "shown/#"}};

static struct world w;
static struct peer sub;
static struct publisher http;

#define PROPS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define KEY(key) .qos = 2, .props = PROPS("sqmqos-key", key)

static void
begin(const struct sq_engine_ops *engine)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = engine;
	w.cfg.grants = grants;
	w.cfg.n_grants = SQ_ARRAY_LEN(grants);
	w.cfg.max_keys = 2;
	w.cfg.retained_max_msgs = 2;
	w.cfg.delayed_max_msgs = 2;
	world_start(&w, 2);
	sub = peer_new(&w, "s~w~subscriber");
	sub.link = 1;
	peer_connect(&sub);
	http = (struct publisher){&w, sq_identity_nobody(), "s", .atomic = true};
}

static void
setup(void)
{
	begin(&stored_engine);
}

static void
teardown(void)
{
	sq_identity_unref(&http.who);
	world_stop(&w);
	stored_engine_reset();
}

TestSuite(publish_together, .init = setup, .fini = teardown);

enum { LIST_MAX = 5 };

/* Publishes the list, up to an entry without a topic; returns a copy of its outcomes. */
static const struct sq_published *
send(const struct entry *e)
{
	static struct sq_published out[LIST_MAX];
	struct fake_publish *p;
	uint16_t n = 0;

	while (n < LIST_MAX && e[n].topic != NULL)
		n++;
	p = publisher_post(&http, e, n);
	memcpy(out, publish_outcomes(p), n * sizeof *out);
	publish_free(&p);
	return out;
}

#define SEND(...) send((const struct entry[LIST_MAX]){__VA_ARGS__})

/* The list was refused for this one of its 'n' messages, and nothing is stored. */
static void
expect_refused(const struct sq_published *is, unsigned n, unsigned culprit,
    enum sq_published_how how, enum sq_refusal refusal)
{
	for (unsigned i = 0; i < n; i++) {
		if (i == culprit)
			continue;
		cr_assert_eq(is[i].how, SQ_PUBLISHED_NOT, "%u: %u", i, is[i].how);
		cr_assert_eq(is[i].refusal, SQ_REFUSAL_NONE);
		cr_assert_eq(is[i].matched, 0);
	}
	cr_assert_eq(is[culprit].how, how, "%u", is[culprit].how);
	cr_assert_eq(is[culprit].refusal, refusal, "%s", sq_refusal_name(is[culprit].refusal));
	peer_expect_nothing(&sub);
	cr_assert_eq(stored_engine_items(), 0);
}

static void
take(const char *payload)
{
	const struct fake_delivery *d = peer_expect(&sub, payload);
	uint64_t delivery = d->delivery;

	if (d->qos == 2)
		cr_assert_eq(peer_settle(&sub, SQ_SETTLE_RECEIVED, delivery, 1), 204);
	if (d->qos > 0)
		cr_assert_eq(peer_settle(&sub, d->qos == 2 ? SQ_SETTLE_COMPLETE : SQ_SETTLE_ACK,
				 delivery, 1),
		    204);
}

Test(publish_together, a_list_is_one_commit_in_its_order)
{
	const struct entry list[] = {{.topic = "t/1", .payload = "1", .qos = 1},
	    {.topic = "t/2", .payload = "2", KEY("a")}, {.topic = "u", .payload = "3", .qos = 1},
	    {.topic = "t/4", .payload = "4"}};
	const struct sq_published *is;
	struct fake_publish *p;

	cr_assert_eq(peer_subscribe(&sub, "t/#", 2), 2);
	stored_engine_hold(true);
	p = publisher_post(&http, list, SQ_ARRAY_LEN(list));
	world_run();
	cr_assert_eq(p->answers, 0);
	cr_assert_eq(stored_engine_waiting(), 1);
	stored_engine_release();
	stored_engine_hold(false);
	is = publish_outcomes(p);
	cr_assert_eq(is[0].how, SQ_PUBLISHED_STORED);
	cr_assert_eq(is[0].matched, 1);
	cr_assert_eq(is[1].how, SQ_PUBLISHED_STORED);
	cr_assert_eq(is[2].how, SQ_PUBLISHED_NO_MATCH);
	cr_assert_eq(is[3].how, SQ_PUBLISHED_ACCEPTED);
	cr_assert_neq(memcmp(is[0].id, is[2].id, sizeof is[0].id), 0);
	publish_free(&p);
	take("4"); /* needs no commit */
	take("1");
	take("2");
	cr_assert_eq(world_metric(SQ_M_RECEIVED_QOS0), 1);
	cr_assert_eq(world_metric(SQ_M_RECEIVED_QOS1), 2);
	cr_assert_eq(world_metric(SQ_M_RECEIVED_QOS2), 1);
}

Test(publish_together, one_that_is_refused_keeps_all_others_away)
{
	const struct {
		struct entry e;
		enum sq_refusal refusal;
	} rows[] = {
	    {{.topic = "t/#", .payload = "x", .qos = 1}, SQ_REFUSAL_TOPIC},
	    {{.topic = "$SYS/x", .payload = "x", .qos = 0}, SQ_REFUSAL_TOPIC},
	    {{.topic = "t", .payload = "x", .qos = 1, .props = PROPS("sqmqos-qos", "3")},
		SQ_REFUSAL_PROPERTY},
	    {{.topic = "t", .payload = "x", .qos = 1, .props = PROPS("sqmqos-delay", "9999")},
		SQ_REFUSAL_PROPERTY},
	    {{.topic = "t", .payload_len = 200000, .qos = 1}, SQ_REFUSAL_QUOTA},
	};

	cr_assert_eq(peer_subscribe(&sub, "#", 2), 2);
	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		const struct sq_published *is = SEND({.topic = "t", .payload = "1", .qos = 1},
		    {.topic = "t", .payload = "2", KEY("k")},
		    {.topic = "r", .payload = "3", .qos = 1, .retain = true}, rows[i].e,
		    {.topic = "t", .payload = "5", .props = PROPS("sqmqos-delay", "1")});

		expect_refused(is, 5, 3, SQ_PUBLISHED_REFUSED, rows[i].refusal);
		cr_assert_eq(is[3].note.len > 0, true);
		cr_assert_eq(stored_engine_records(SQ_RECORD_KEY), 0);
		cr_assert_eq(stored_engine_records(SQ_RECORD_RETAINED), 0);
		cr_assert_eq(stored_engine_records(SQ_RECORD_DELAYED), 0);
		cr_assert_eq(world_metric(SQ_M_REFUSED), (int64_t)i + 1);
	}
	cr_assert_eq(world_metric(SQ_M_RECEIVED_QOS1), 0);
	world_pass(&w, 2000);
	peer_expect_nothing(&sub);
}

Test(publish_together, who_wants_matches_gets_all_or_none)
{
	http.require_match = true;
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	expect_refused(SEND({.topic = "t", .payload = "1", .qos = 1},
			   {.topic = "u", .payload = "2", .qos = 1}),
	    2, 1, SQ_PUBLISHED_REFUSED, SQ_REFUSAL_UNMATCHED);
}

Test(publish_together, a_key_comes_once)
{
	const struct sq_published *is;

	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	expect_refused(SEND({.topic = "t", .payload = "1", KEY("a")},
			   {.topic = "t", .payload = "2", KEY("a")}),
	    2, 1, SQ_PUBLISHED_KEY_REUSED, SQ_REFUSAL_PROPERTY);
	is = SEND({.topic = "t", .payload = "1", KEY("a")},
	    {.topic = "t", .payload = "1", KEY("a")}, {.topic = "t", .payload = "2", .qos = 1});
	cr_assert_eq(is[0].how, SQ_PUBLISHED_STORED);
	cr_assert_eq(is[1].how, SQ_PUBLISHED_REPLAYED);
	cr_assert_arr_eq(is[0].id, is[1].id, sizeof is[0].id);
	cr_assert_eq(is[2].how, SQ_PUBLISHED_STORED);
	take("1");
	take("2");
	peer_expect_nothing(&sub);
	cr_assert_eq(world_metric(SQ_M_DUPLICATES), 1);
	is = SEND(
	    {.topic = "t", .payload = "1", KEY("a")}, {.topic = "t", .payload = "3", .qos = 1});
	cr_assert_eq(is[0].how, SQ_PUBLISHED_REPLAYED);
	take("3");
	expect_refused(SEND({.topic = "t", .payload = "4", .qos = 1},
			   {.topic = "t", .payload = "2", KEY("a")}),
	    2, 1, SQ_PUBLISHED_KEY_REUSED, SQ_REFUSAL_PROPERTY);
}

/* What nobody has is not stored: its key neither. */
Test(publish_together, a_key_of_what_is_nowhere_is_not_known)
{
	const struct sq_published *is = SEND(
	    {.topic = "t", .payload = "1", KEY("a")}, {.topic = "t", .payload = "1", KEY("a")});

	cr_assert_eq(is[0].how, SQ_PUBLISHED_NO_MATCH);
	cr_assert_eq(is[1].how, SQ_PUBLISHED_NO_MATCH);
	cr_assert_eq(stored_engine_records(SQ_RECORD_KEY), 0);
}

/* Two of each fit. */
Test(publish_together, messages_of_a_list_count_against_each_other)
{
	const struct entry lists[][3] = {
	    {{.topic = "t", .payload = "1", KEY("1")}, {.topic = "t", .payload = "2", KEY("2")},
		{.topic = "t", .payload = "3", KEY("3")}},
	    {{.topic = "r/1", .payload = "1", .qos = 1, .retain = true},
		{.topic = "r/2", .payload = "2", .qos = 1, .retain = true},
		{.topic = "r/3", .payload = "3", .retain = true}},
	    {{.topic = "t", .payload = "1", .props = PROPS("sqmqos-delay", "9")},
		{.topic = "t", .payload = "2", .props = PROPS("sqmqos-delay", "9")},
		{.topic = "t", .payload = "3", .props = PROPS("sqmqos-delay", "9")}},
	};
	const struct sq_published *is;

	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
	for (size_t i = 0; i < SQ_ARRAY_LEN(lists); i++) {
		is = SEND(lists[i][0], lists[i][1], lists[i][2]);
		expect_refused(is, 3, 2, SQ_PUBLISHED_REFUSED, SQ_REFUSAL_QUOTA);
		is = SEND(lists[i][0], lists[i][1]); /* the look gives back what it takes */
		cr_assert_lt(is[0].code, 0x80);
		cr_assert_lt(is[1].code, 0x80);
		if (i == 0) {
			take("1");
			take("2");
		}
	}
}

/* A durable queue of that length, with a member. */
static void
declare(const char *group, const char *filter, uint32_t max_length)
{
	struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 1,
	    .flags = SQ_SUB_DECLARED | SQ_SUB_DURABLE,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .max_length = max_length,
	    .queue_expiry_s = 3600,
	    .group = text(group + 4),
	    .filter = text(filter)};
	struct peer p = peer_new(&w, group);

	p.ordinal = 1;
	cr_assert_eq(peer_attach(&p), 200); /* without credit */
	cr_assert_lt(peer_sub(&p, &s), 0x80);
}

Test(publish_together, two_for_a_queue_with_room_for_one_are_refused)
{
	const struct sq_published *is;

	declare("s~w~small", "q/#", 1);
	declare("s~w~large", "q/2", 2);
	expect_refused(SEND({.topic = "q/1", .payload = "1", .qos = 1},
			   {.topic = "t", .payload = "2", .qos = 1},
			   {.topic = "q/2", .payload = "3", .qos = 1}),
	    3, 2, SQ_PUBLISHED_REFUSED, SQ_REFUSAL_QUEUE_FULL);
	is = SEND({.topic = "q/2", .payload = "1", .qos = 1});
	cr_assert_eq(is[0].how, SQ_PUBLISHED_STORED);
	cr_assert_eq(is[0].matched, 2);
	cr_assert_eq(stored_engine_items(), 2);
}

/* Another worker fills the queue, after the look. */
static void
fill_meanwhile(void *arg, struct sq_publish *p, uint8_t code, uint16_t i)
{
	struct sq_space *space = sq_tenant_space(p->tenant);
	const struct sq_engine_ops *ops = p->broker->engine->ops;
	unsigned *outcomes = arg, filled = 0;
	struct sq_system_txn *own = NULL;
	struct sq_binding **v;
	size_t n;

	cr_assert_eq(code, 0, "%u: 0x%02x", i, code);
	if ((*outcomes)++ > 0)
		return;
	v = sq_router_match(p->home->routes, space, p->msg->image, &n);
	cr_assert_eq(n, 1);
	fake_self(1);
	while (!ops->queue.full(v[0]->sink->queue, 1)) {
		struct sq_item item = {.qos = 1, .origin = *p->origin, .msg = sq_msg_ref(*p->msg)};

		cr_assert_eq(ops->txn.put(sq_system_txn(&p->broker->shards[1], &own),
				 v[0]->sink->queue, &item),
		    SQ_OK);
		filled++;
	}
	sq_system_commit(&own);
	fake_self(0);
	cr_assert_gt(filled, 0);
}

Test(publish_together, what_has_found_room_is_stored_whoever_fills_the_queue_meanwhile)
{
	const struct entry e = {.topic = "q", .payload = "x", .qos = 1};
	struct sq_shard *sh = &w.broker->shards[0];
	struct sq_tenant *tenant = sq_tenant_get(w.broker->tenants, "s");
	struct sq_system_txn *own = NULL;
	struct sq_msg msgs[3];
	unsigned outcomes = 0;
	struct sq_publish p = {.broker = w.broker,
	    .home = sh,
	    .from = {.of = {.broker = w.broker, .space = "s", .name = "s"}, .told = true},
	    .tenant = tenant};
	struct sq_together list = {
	    .p = &p, .msgs = msgs, .n = 3, .outcome = fill_meanwhile, .arg = &outcomes};

	declare("s~w~group", "q", 4);
	for (unsigned i = 0; i < 3; i++)
		msgs[i] = entry_message(&e);
	p.txn = sq_system_txn(sh, &own);
	cr_assert_eq(sq_together_publish(&list), SQ_TOGETHER_TAKEN);
	sq_system_commit(&own);
	sq_publish_committed(&p);
	world_run();
	cr_assert_eq(outcomes, 3);
	cr_assert_eq(stored_engine_items(), 6, "three that filled it, and all of the list");
	for (unsigned i = 0; i < 3; i++)
		sq_msg_unref(&msgs[i]);
	sq_refused_fini(&p.refused);
	sq_tenant_unref(&tenant);
}

Test(publish_together, what_is_for_too_many_queues_is_too_large)
{
	enum { PEERS = 20, N = SQ_LOOK_COPIES_MAX / PEERS + 1 };
	static char keys[PEERS][32];
	static struct entry many[N];
	const struct sq_published *is;
	struct fake_publish *p;

	for (unsigned i = 0; i < PEERS; i++) {
		struct peer one;

		snprintf(keys[i], sizeof keys[i], "s~w~p%u~pod", i);
		one = peer_new(&w, keys[i]);
		peer_connect(&one);
		cr_assert_eq(peer_subscribe(&one, "wide", 1), 1);
	}
	for (uint8_t qos = 0; qos <= 1; qos++) {
		for (unsigned i = 0; i < N; i++)
			many[i] = (struct entry){.topic = "wide", .payload = "x", .qos = qos};
		p = publisher_post(&http, many, N);
		is = publish_outcomes(p);
		cr_assert_eq(is[N - 1].how, SQ_PUBLISHED_TOO_LARGE, "%u", is[N - 1].how);
		for (unsigned i = 0; i < N - 1; i++)
			cr_assert_eq(is[i].how, SQ_PUBLISHED_NOT);
		cr_assert_eq(world_metric(SQ_M_QUEUED), 0);
		publish_free(&p);
	}
	p = publisher_post(&http, many, N - 1);
	cr_assert_eq(publish_outcomes(p)[N - 2].how, SQ_PUBLISHED_STORED);
	publish_free(&p);
}

Test(publish_together, other_spaces_may_read_a_list)
{
	struct peer reader = peer_new(&w, "reader~w~c~pod");

	peer_connect(&reader);
	cr_assert_eq(peer_subscribe(&reader, "#", 1), 1);
	cr_assert_eq(peer_subscribe(&sub, "#", 1), 1);
	SEND({.topic = "shown/1", .payload = "1", .qos = 1},
	    {.topic = "hidden", .payload = "2", .qos = 1},
	    {.topic = "shown/3", .payload = "3", .qos = 1, .retain = true});
	take("1");
	take("2");
	take("3");
	peer_expect(&reader, "1");
	peer_expect(&reader, "3");
	peer_expect_nothing(&reader);
}
