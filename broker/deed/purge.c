#include "broker/deed/purge.h"

#include "broker/deed/find.h"
#include "broker/deed/work.h"
#include "broker/shard/source.h"
#include "core/fault.h"

enum {
	SLICE_MSGS = 512, /* in one transaction, */
	SLICE_BYTES = 1 << 20,
};

/* Settles an item, which it takes. */
static void
purge_item(struct sq_deed *d, struct sq_sink *sink, struct sq_item *item)
{
	struct sq_txn *txn = sq_deed_txn(d);

	if (item->qos > 0) {
		d->work.broker->burial->purged(sink->source, txn, item, d->bury);
		sink->engine->ops->txn.settle(txn, sink->queue, item, SQ_DONE);
	}
	sq_item_fini(item);
}

/* Puts the next items into a transaction; returns how many, and why there are no more. */
static uint64_t
purge_slice(struct sq_deed *d, struct sq_sink *sink, int *err)
{
	uint64_t n = 0, bytes = 0;

	*err = SQ_OK;
	while (n < SLICE_MSGS && bytes < SLICE_BYTES && d->n + n < d->most) {
		struct sq_item item;

		*err = sink->engine->ops->queue.draw(sink->queue, 0, d->at.upto, &item);
		if (*err != SQ_OK)
			break;
		bytes += sq_image_size(item.msg.image);
		purge_item(d, sink, &item);
		n++;
	}
	return n;
}

static void
purge_step(struct sq_deed *d)
{
	struct sq_sink *sink = sq_deed_sink(d);
	struct sq_queue_state q;
	uint64_t n;
	int err;

	if (sink == NULL) { /* with all that it had */
		sq_deed_end(d, SQ_DEED_DONE, NULL);
		return;
	}
	if (d->at.upto == 0) {
		sink->engine->ops->queue.state(sink->queue, &q);
		d->at.upto = q.last;
	}
	if (d->work.begun)
		SQ_FAULT("broker-purge-committed");
	d->more = d->n >= d->most || sq_deed_over(d);
	if (d->more) {
		sq_deed_end(d, SQ_DEED_DONE, NULL);
		return;
	}
	n = purge_slice(d, sink, &err);
	if (n > 0) {
		d->work.begun = true;
		d->n += n;
		sq_count(d->work.broker, SQ_M_PURGED, (int64_t)n);
		SQ_FAULT("broker-purge");
		sq_deed_commit(d);
	} else if (err == SQ_EAGAIN) {
		sq_deed_wait(d);
	} else {
		d->more = err == SQ_ENOMEM;
		sq_deed_end(d, SQ_DEED_DONE, NULL);
	}
}

void
sq_deed_purge(struct sq_deed *d)
{
	sq_deed_find_queue(d, purge_step);
}
