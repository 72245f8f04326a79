#include "broker/publish/buried.h"

#include "broker/publish/assured.h"
#include "broker/publish/own.h"
#include "broker/publish/receipts.h"
#include "web/worker.h"

/* Publishes the receipt at once if no space is locked, since there may be no later occasion. */
static void
buried_receipt(struct sq_txn *txn, const struct sq_source *source, struct sq_msg receipt)
{
	struct sq_shard *sh = &sq_source_broker(source)->shards[sq_worker_index(txn->worker)];

	if (receipt.image == NULL)
		return;
	if (sq_router_locked())
		sq_receipts_add(sh->receipts, sq_source_tenant(source), receipt);
	else
		sq_own_receipt(sh, txn, sq_source_tenant(source), receipt);
}

static void
buried_item(void *source, struct sq_txn *txn, const struct sq_item *item, enum sq_death why)
{
	buried_receipt(txn, source, sq_assured_buried(source, txn, item, why));
}

static void
buried_ended(
    struct sq_source *source, struct sq_txn *txn, const struct sq_item *item, const char *reason)
{
	buried_receipt(txn, source, sq_assured_ended(source, txn, item, reason));
}

static void
buried_settled(struct sq_source *source, struct sq_txn *txn, const struct sq_item *item)
{
	buried_receipt(txn, source, sq_assured_settled(source, item));
}

const struct sq_burial sq_buried = {
    .item = buried_item, .ended = buried_ended, .settled = buried_settled};
