#include "broker/publish/buried.h"

#include "broker/publish/assured.h"
#include "broker/group/message_view.h"
#include "broker/publish/own.h"
#include "broker/publish/receipts.h"
#include "broker/recent/gone.h"
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

/* Notes for the view which message left. */
static void
buried_see(const struct sq_source *source, const struct sq_txn *txn, const struct sq_item *item,
    const char *why)
{
	struct sq_shard *sh = &sq_source_broker(source)->shards[sq_worker_index(txn->worker)];
	char origin[SQ_ORIGIN_TEXT_MAX];
	struct sq_gone_seen seen = {
	    .space = sq_tenant_name(sq_source_tenant(source)),
	    .queue = sq_source_name(source),
	    .topic = sq_image_topic(item->msg.image),
	    .why = why,
	    .key = sq_message_key(item->msg.image),
	    .origin = sq_message_origin(&item->origin, origin),
	    .attempts = item->attempts,
	};

	sq_gone_note(sh->gone, &seen);
}

static void
buried_item(void *source, struct sq_txn *txn, const struct sq_item *item, enum sq_death why)
{
	buried_see(source, txn, item, sq_death_said(why, txn->note));
	buried_receipt(txn, source, sq_assured_buried(source, txn, item, why));
}

static void
buried_ended(
    struct sq_source *source, struct sq_txn *txn, const struct sq_item *item, const char *reason)
{
	buried_see(source, txn, item, reason);
	buried_receipt(txn, source, sq_assured_ended(source, txn, item, reason));
}

static void
buried_purged(struct sq_source *source, struct sq_txn *txn, const struct sq_item *item, bool letter)
{
	if (item->assured && letter) {
		buried_ended(source, txn, item, "purged");
		return;
	}
	buried_see(source, txn, item, "purged");
	if (item->assured)
		buried_receipt(txn, source, sq_assured_purged(source, item));
}

static void
buried_settled(struct sq_source *source, struct sq_txn *txn, const struct sq_item *item)
{
	buried_receipt(txn, source, sq_assured_settled(source, item));
}

const struct sq_burial sq_buried = {
    .item = buried_item, .ended = buried_ended, .purged = buried_purged, .settled = buried_settled};
