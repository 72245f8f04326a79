#include "broker/publish/buried.h"

#include "broker/publish/assured.h"
#include "broker/publish/own.h"

/* Who has no lock of a space, and may have no other occasion, publishes receipts at once. */
static void
buried_receipts(struct sq_txn *txn, const struct sq_source *source)
{
	struct sq_broker *b = sq_source_broker(source);

	if (!sq_router_locked())
		sq_own_receipts(&b->shards[sq_worker_index(txn->worker)], txn);
}

static void
buried_item(void *source, struct sq_txn *txn, const struct sq_item *item, enum sq_death why)
{
	sq_assured_buried(source, txn, item, why);
	buried_receipts(txn, source);
}

static void
buried_ended(
    struct sq_source *source, struct sq_txn *txn, const struct sq_item *item, const char *reason)
{
	sq_assured_ended(source, txn, item, reason);
	buried_receipts(txn, source);
}

static void
buried_settled(struct sq_source *source, struct sq_txn *txn, const struct sq_item *item)
{
	sq_assured_settled(source, txn, item);
	buried_receipts(txn, source);
}

const struct sq_burial sq_buried = {
    .item = buried_item, .ended = buried_ended, .settled = buried_settled};
