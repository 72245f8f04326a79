/* Routing of one message: the sinks that get it, the outcome, and refusals. */
#include <criterion/criterion.h>
#include <string.h>

#include "../support/fake_worker.h"
#include "broker/engine/memory/memory.h"
#include "broker/metrics/metrics.h"
#include "broker/publish/route_message.h"
#include "broker/shard/source.h"
#include "proto/mqtt/reason.h"

enum { SINKS = 3, BINDINGS = 8 };

static struct sq_broker broker;
static struct sq_shard shard;
static struct sq_tenant *tenant;
static struct sq_sink sinks[SINKS];
static struct sq_binding bindings[BINDINGS];
static size_t n_bindings;
static struct sq_txn txn;
static unsigned done, passed, splits;
static struct sq_publish p;
static struct sq_msg msg;
static struct sq_origin origin = {1, 2, 3, 0};

static void
txn_done(struct sq_txn *t, int err)
{
	(void)t;
	cr_assert_eq(err, SQ_OK);
	done++;
}

static void
sink_open(struct sq_sink *sink, const char *name)
{
	struct sq_queue_cfg q = {.name = name,
	    .owner = fake_worker(0),
	    .max_msgs = 2,
	    .max_bytes = 1000,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH};

	*sink = (struct sq_sink){.shard = &shard,
	    .engine = broker.engine,
	    .source = sq_source_new(&broker, tenant, name, false),
	    .reject = true};
	sink->queue = broker.engine->ops->queue.open(broker.engine, NULL, &q);
}

static void
setup(void)
{
	static const char *const names[SINKS] = {"a", "b", "c"};
	struct sq_engine_cfg engine = {.metrics = &sq_broker_metrics, .n_workers = 1};
	struct sq_router_cfg router = {.metrics = &sq_broker_metrics};
	struct sq_shares_cfg totals = {0};
	struct sq_tenants_cfg tenants = {0};
	struct sq_buf err = {0};

	fake_workers_init(1);
	broker = (struct sq_broker){.cfg = {.queue_max_msgs = 2},
	    .metrics = sq_broker_metrics,
	    .engine = sq_engine_memory.open(&engine, &err),
	    .router = sq_router_new(&router),
	    .shares = sq_shares_new(&totals),
	    .shards = &shard,
	    .n_shards = 1};
	shard = (struct sq_shard){
	    .broker = &broker, .worker = fake_worker(0), .routes = sq_route_cache_new()};
	tenants.router = broker.router;
	tenants.shares = broker.shares;
	broker.tenants = sq_tenants_new(&tenants);
	tenant = sq_tenant_get(broker.tenants, "t");
	for (int i = 0; i < SINKS; i++)
		sink_open(&sinks[i], names[i]);
	n_bindings = 0;
	done = passed = splits = 0;
}

static void
teardown(void)
{
	sq_space_wrlock(sq_tenant_space(tenant));
	for (size_t i = 0; i < n_bindings; i++)
		sq_router_unbind(broker.router, &bindings[i]);
	sq_space_unlock(sq_tenant_space(tenant));
	for (int i = 0; i < SINKS; i++) {
		broker.engine->ops->queue.delete(NULL, sinks[i].queue);
		sq_source_free(&sinks[i].source, fake_worker(0));
	}
	cr_assert(fake_run());
	sq_tenant_unref(&tenant);
	sq_tenants_free(&broker.tenants);
	sq_router_free(&broker.router);
	sq_route_cache_free(&shard.routes);
	broker.engine->ops->close(broker.engine);
	sq_shares_free(&broker.shares);
	sq_msg_unref(&msg);
}

TestSuite(publish_route_message, .init = setup, .fini = teardown);

static struct sq_binding *
bind_to(struct sq_sink *sink, const char *filter, uint8_t qos)
{
	struct sq_binding *b = &bindings[n_bindings++];
	struct sq_topic_filter f;

	cr_assert_eq(sq_topic_filter_parse(sq_bytes_of(filter), &f, NULL), SQ_OK);
	*b = (struct sq_binding){.sink = sink, .max_qos = qos};
	sq_space_wrlock(sq_tenant_space(tenant));
	sq_router_bind(broker.router, sq_tenant_space(tenant), &f, b);
	sq_space_unlock(sq_tenant_space(tenant));
	return b;
}

/* Makes 'p' that of a client's message. */
static void
prepare(uint8_t qos)
{
	sq_msg_unref(&msg);
	msg = sq_msg_new(qos, false, sq_bytes_of("x/y"), (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY,
	    sq_bytes_of("payload"));
	txn = (struct sq_txn){.worker = fake_worker(0), .engine = broker.engine, .done = txn_done};
	p = (struct sq_publish){.broker = &broker,
	    .home = &shard,
	    .from = {.of = {.broker = &broker, .name = "client"}, .not_from = 42, .told = true},
	    .tenant = tenant,
	    .txn = &txn,
	    .msg = &msg,
	    .origin = &origin,
	    .qos = qos};
}

static uint8_t
route(void)
{
	uint8_t code = sq_route_message(&p);

	sq_route_unlock(&p);
	broker.engine->ops->txn.commit(&txn);
	cr_assert(fake_run());
	cr_assert_eq(done, 1);
	done = 0;
	return code;
}

static uint64_t
depth(int i)
{
	struct sq_queue_state q;

	broker.engine->ops->queue.state(sinks[i].queue, &q);
	return q.n;
}

Test(publish_route_message, goes_to_each_sink_that_matches_once)
{
	bind_to(&sinks[0], "x/y", 1);
	bind_to(&sinks[0], "x/#", 0);
	bind_to(&sinks[1], "+/y", 2);
	bind_to(&sinks[2], "z", 1);
	prepare(1);
	cr_assert_eq(route(), SQ_MQTT_RC_SUCCESS);
	cr_assert_eq(p.n, 2);
	cr_assert_eq(depth(0), 1, "overlapping bindings of a sink get one copy");
	cr_assert_eq(depth(1), 1);
	cr_assert_eq(depth(2), 0);
	cr_assert_null(p.locked);
}

Test(publish_route_message, says_that_nothing_matches)
{
	bind_to(&sinks[0], "z", 1);
	prepare(1);
	cr_assert_eq(route(), SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS);
	prepare(0);
	cr_assert_eq(route(), SQ_MQTT_RC_SUCCESS, "at QoS 0 nobody asks");
	cr_assert_eq(p.n, 0);
}

Test(publish_route_message, leaves_out_its_own_session)
{
	bind_to(&sinks[0], "x/y", 1)->not_from = 42;
	bind_to(&sinks[1], "x/y", 1)->not_from = 43;
	prepare(1);
	cr_assert_eq(route(), SQ_MQTT_RC_SUCCESS);
	cr_assert_eq(depth(0), 0);
	cr_assert_eq(depth(1), 1);
}

Test(publish_route_message, is_refused_by_one_full_queue_and_then_put_nowhere)
{
	bind_to(&sinks[0], "x/y", 1);
	for (int i = 0; i < 2; i++) {
		prepare(1);
		cr_assert_eq(route(), SQ_MQTT_RC_SUCCESS);
	}
	bind_to(&sinks[1], "x/#", 1);
	prepare(1);
	cr_assert_eq(route(), SQ_MQTT_RC_QUOTA_EXCEEDED);
	cr_assert_eq(p.refused.queue, &sinks[0]);
	cr_assert_eq(p.refused.refusal, SQ_REFUSAL_QUEUE_FULL);
	cr_assert_eq(depth(0), 2);
	cr_assert_eq(depth(1), 0);
	sq_refused_fini(&p.refused);
	prepare(1);
	p.from.own = true;
	cr_assert_eq(route(), SQ_MQTT_RC_SUCCESS, "the broker's own is refused by none");
	cr_assert_eq(depth(1), 1);
}

Test(publish_route_message, a_full_queue_does_not_matter_at_qos_0)
{
	bind_to(&sinks[0], "x/y", 0);
	bind_to(&sinks[1], "x/y", 0);
	for (int i = 0; i < 3; i++) {
		prepare(1);
		cr_assert_eq(route(), SQ_MQTT_RC_SUCCESS);
	}
}

static bool
pass(struct sq_sink *sink, struct sq_txn *t, struct sq_item *item)
{
	cr_assert_eq(sink, &sinks[0]);
	cr_assert_eq(t, &txn);
	cr_assert_eq(item->qos, 1);
	sq_item_fini(item);
	passed++;
	return true;
}

Test(publish_route_message, passes_by_the_queue_where_its_publisher_may)
{
	bind_to(&sinks[0], "x/y", 1);
	sinks[0].pass = pass;
	prepare(1);
	cr_assert_eq(route(), SQ_MQTT_RC_SUCCESS);
	cr_assert_eq(passed, 0);
	cr_assert_eq(depth(0), 1);
	prepare(1);
	p.copies.pass = true;
	cr_assert_eq(route(), SQ_MQTT_RC_SUCCESS);
	cr_assert_eq(passed, 1);
	cr_assert_eq(depth(0), 1);
	cr_assert_eq(p.n, 1);
}

static bool
no_room(const struct sq_txn *t, uint64_t items, uint64_t bytes)
{
	(void)items, (void)bytes;
	return t != &txn;
}

static struct sq_txn *
split(void *arg, uint64_t number)
{
	cr_assert_eq(number, origin.number);
	splits++;
	return arg;
}

Test(publish_route_message, asks_for_another_transaction_where_one_has_no_room)
{
	struct sq_engine_ops ops = *broker.engine->ops;
	const struct sq_engine_ops *real = broker.engine->ops;
	struct sq_txn second = {
	    .worker = fake_worker(0), .engine = broker.engine, .done = txn_done};

	ops.txn.room = no_room;
	bind_to(&sinks[0], "x/y", 1);
	prepare(1);
	broker.engine->ops = &ops;
	p.more = (struct sq_publish_more){.split = split, .arg = NULL};
	cr_assert_eq(sq_route_message(&p), SQ_MQTT_RC_QUOTA_EXCEEDED, "it fits into none");
	sq_refused_fini(&p.refused);
	p.refused = (struct sq_refused){0};
	p.more.arg = &second;
	cr_assert_eq(sq_route_message(&p), SQ_MQTT_RC_SUCCESS);
	cr_assert_eq(splits, 2);
	cr_assert_eq(p.txn, &second);
	sq_route_unlock(&p);
	broker.engine->ops = real;
	real->txn.commit(&txn);
	real->txn.commit(&second);
	cr_assert(fake_run());
	cr_assert_eq(depth(0), 1);
}
