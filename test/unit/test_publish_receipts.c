/* Receipts that wait at a shard: in order, each once, and none forgotten. */
#include <criterion/criterion.h>

#include "../support/fake_worker.h"
#include "broker/metrics/metrics.h"
#include "broker/publish/receipts.h"
#include "broker/shard/shard.h"

static struct sq_engine engine = {.boot = 1};
static struct sq_broker broker;
static struct sq_shard shard;
static struct sq_receipts *receipts;
static struct sq_shares *shares;
static struct sq_tenant *tenant;
static unsigned left_calls, left_seen;

static struct sq_msg
message(unsigned number)
{
	unsigned char payload = (unsigned char)number;

	return sq_msg_new(1, false, sq_bytes_of("receipts"), (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY,
	    (struct sq_bytes){&payload, 1});
}

/* Takes the oldest; -1: there is none. */
static int
take(void)
{
	struct sq_receipt *r = sq_receipts_take(receipts);
	int number;

	if (r == NULL)
		return -1;
	cr_assert_eq(r->tenant, tenant);
	number = sq_image_payload(r->msg.image).p[0];
	sq_receipt_free(r);
	return number;
}

static void
left(struct sq_shard *sh)
{
	cr_assert_eq(sh, &shard);
	left_calls++;
	while (take() >= 0)
		left_seen++;
}

static void
setup(void)
{
	struct sq_router_cfg router = {.metrics = &sq_broker_metrics};
	struct sq_shares_cfg totals = {0};
	struct sq_tenants_cfg tenants = {0};

	fake_workers_init(1);
	shares = sq_shares_new(&totals);
	broker = (struct sq_broker){
	    .engine = &engine, .router = sq_router_new(&router), .shards = &shard, .n_shards = 1};
	sq_life_init(&broker);
	tenants.router = broker.router;
	tenants.shares = shares;
	broker.tenants = sq_tenants_new(&tenants);
	tenant = sq_tenant_get(broker.tenants, "t");
	shard = (struct sq_shard){.broker = &broker, .worker = fake_worker(0)};
	receipts = sq_receipts_new(&shard, left);
	left_calls = left_seen = 0;
}

static void
teardown(void)
{
	sq_receipts_free(&receipts);
	sq_tenant_unref(&tenant);
	sq_tenants_free(&broker.tenants);
	sq_router_free(&broker.router);
	sq_shares_free(&shares);
	sq_life_fini(&broker); /* no object is left */
}

TestSuite(publish_receipts, .init = setup, .fini = teardown);

Test(publish_receipts, leave_in_their_order)
{
	for (unsigned i = 0; i < 3; i++)
		sq_receipts_add(receipts, tenant, message(i));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(take(), i);
	cr_assert_eq(take(), -1);
	cr_assert(fake_run());
	cr_assert_eq(left_calls, 0, "all were published in their turn");
}

Test(publish_receipts, those_that_nobody_takes_are_left_at_the_end_of_the_turn)
{
	sq_receipts_add(receipts, tenant, message(0));
	sq_receipts_add(receipts, tenant, message(1));
	sq_receipts_add(receipts, tenant, message(2));
	cr_assert_eq(take(), 0);
	cr_assert(fake_run());
	cr_assert_eq(left_calls, 1);
	cr_assert_eq(left_seen, 2);
	sq_receipts_add(receipts, tenant, message(3));
	cr_assert(fake_run());
	cr_assert_eq(left_calls, 2, "in each turn anew");
}

Test(publish_receipts, hold_the_broker_and_their_tenant)
{
	uint64_t refs = sq_tenant_refs(tenant);

	sq_receipts_add(receipts, tenant, message(0));
	cr_assert_eq(broker.life.n_objects, 1);
	cr_assert_eq(sq_tenant_refs(tenant), refs + 1);
	cr_assert(fake_run());
	cr_assert_eq(broker.life.n_objects, 0);
	cr_assert_eq(sq_tenant_refs(tenant), refs);
}

Test(publish_receipts, are_bounded)
{
	int n = 0;

	for (unsigned i = 0; i < SQ_RECEIPTS_MAX + 2; i++)
		sq_receipts_add(receipts, tenant, message(i));
	while (take() >= 0)
		n++;
	cr_assert_eq(n, SQ_RECEIPTS_MAX);
	sq_receipts_add(receipts, tenant, message(7));
	cr_assert_eq(take(), 7, "there is room again");
	cr_assert(fake_run());
}
