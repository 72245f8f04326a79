#include "broker/publish/receipts.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/shard/shard.h"
#include "core/log.h"
#include "core/mem.h"
#include "web/worker.h"

struct sq_receipts {
	struct sq_shard *shard;
	void (*left)(struct sq_shard *);
	struct sq_list waiting;
	unsigned n;
	struct sq_task task;
	bool posted;
};

struct sq_receipts *
sq_receipts_new(struct sq_shard *sh, void (*left)(struct sq_shard *))
{
	struct sq_receipts *rs = sq_xcalloc(1, sizeof *rs);

	rs->shard = sh;
	rs->left = left;
	sq_list_init(&rs->waiting);
	return rs;
}

void
sq_receipt_free(struct sq_receipt *r)
{
	sq_msg_unref(&r->msg);
	sq_tenant_unref(&r->tenant);
	free(r);
}

void
sq_receipts_free(struct sq_receipts **rp)
{
	struct sq_receipts *rs = *rp;
	struct sq_receipt *r;

	*rp = NULL;
	if (rs == NULL)
		return;
	assert(!rs->posted);
	while ((r = sq_receipts_take(rs)) != NULL)
		sq_receipt_free(r);
	free(rs);
}

static void
receipts_run(struct sq_task *t)
{
	struct sq_receipts *rs = SQ_CONTAINER_OF(t, struct sq_receipts, task);
	struct sq_broker *b = rs->shard->broker;

	rs->posted = false;
	if (rs->n > 0)
		rs->left(rs->shard);
	sq_broker_object(b, -1);
}

/* Those that nobody publishes in this turn are not forgotten. */
static void
receipts_post(struct sq_receipts *rs)
{
	if (rs->posted)
		return;
	rs->posted = true;
	sq_broker_object(rs->shard->broker, 1);
	rs->task.run = receipts_run;
	sq_worker_post(rs->shard->worker, &rs->task);
}

void
sq_receipts_add(struct sq_receipts *rs, struct sq_tenant *tenant, struct sq_msg m)
{
	struct sq_receipt *r;

	assert(sq_worker_self() == rs->shard->worker);
	if (m.image == NULL)
		return;
	if (rs->n == SQ_RECEIPTS_MAX) {
		SQ_WARN("broker", "too many receipts at a time");
		sq_msg_unref(&m);
		return;
	}
	r = sq_xcalloc(1, sizeof *r);
	r->tenant = sq_tenant_ref(tenant);
	r->msg = m;
	sq_list_push_back(&rs->waiting, &r->node);
	rs->n++;
	receipts_post(rs);
}

struct sq_receipt *
sq_receipts_take(struct sq_receipts *rs)
{
	struct sq_receipt *r = SQ_LIST_FIRST(&rs->waiting, struct sq_receipt, node);

	if (r == NULL)
		return NULL;
	sq_list_remove(&r->node);
	rs->n--;
	return r;
}
