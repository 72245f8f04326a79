#include "broker/group/purge.h"

#include "broker/route/sink.h"
#include "broker/shard/source.h"

enum {
	SLICE_MSGS = 512, /* in one transaction, */
	SLICE_BYTES = 1 << 20,
};

/* Settles an item, which it takes. */
static void
purge_item(const struct sq_purge *p, struct sq_item *item)
{
	struct sq_txn *txn = p->txn(p->arg);

	if (item->qos > 0) {
		p->burial->purged(p->sink->source, txn, item, p->letters);
		p->sink->engine->ops->txn.settle(txn, p->sink->queue, item, SQ_DONE);
	}
	sq_item_fini(item);
}

uint64_t
sq_purge_slice(const struct sq_purge *p, int *err)
{
	uint64_t n = 0, bytes = 0;

	*err = SQ_OK;
	while (n < SLICE_MSGS && bytes < SLICE_BYTES && n < p->most) {
		struct sq_item item;

		*err = p->sink->engine->ops->queue.draw(p->sink->queue, 0, p->upto, &item);
		if (*err != SQ_OK)
			break;
		bytes += sq_image_size(item.msg.image);
		purge_item(p, &item);
		n++;
	}
	return n;
}
