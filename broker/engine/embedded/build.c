/* What a transaction is built of: puts, settlements, records, and its bounds. */
#include "broker/engine/embedded/embedded.h"
#include "core/log.h"
#include "core/wallclock.h"

/* What a transaction ends at.  Between that and what is let into it is room for a message
 * that was begun, and for what its puts make leave. */
enum {
	END_BYTES = SQ_LOG_ENTRY_MAX - (1 << 20),
	END_ITEMS = (1 << SQ_SEQ_BITS) - 1,
};

/* Gives the item a message of its own, the same as that of the put before where it
 * is the same message: it may wait for long, and would keep its whole batch. */
static void
put_own(struct sq_txn *txn, struct sq_item *item, bool same)
{
	const struct sq_put *before;
	struct sq_msg own;

	if (same) {
		before = (const struct sq_put *)(void *)(sq_buf_data(&txn->ops) +
		    sq_buf_len(&txn->ops) - sizeof *before);
		own = sq_msg_ref(before->item.msg);
	} else {
		own = sq_msg_clone(&item->msg);
	}
	sq_msg_unref(&item->msg);
	item->msg = own;
}

/* When the item expires, as wall-clock: the same in all puts of a message, which have it once. */
static uint64_t
put_expires_ms(struct sq_txn *txn, const struct sq_item *item)
{
	if (item->expires_ms == 0)
		return 0;
	if (txn->wall_ahead == 0)
		txn->wall_ahead = sq_wallclock_ahead(sq_clock_ms());
	return item->expires_ms + (uint64_t)txn->wall_ahead;
}

static uint64_t
txn_items(const struct sq_txn *txn)
{
	return sq_buf_len(&txn->ops) / sizeof(struct sq_put);
}

bool
sq_embedded_txn_room(const struct sq_txn *txn, uint64_t items, uint64_t bytes)
{
	const struct sq_embedded *e = sq_embedded_of(txn->engine);

	return txn_items(txn) + items <= e->cfg.txn_items &&
	    sq_buf_len(&txn->log) + SQ_OPLOG_MESSAGE + items * SQ_OPLOG_OP + bytes <=
	    e->cfg.txn_bytes;
}

int
sq_embedded_put(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item)
{
	struct sq_put put;
	int err;

	if (sq_buf_len(&txn->log) + sq_image_size(item->msg.image) > END_BYTES ||
	    txn_items(txn) >= END_ITEMS) { /* nobody has asked for room */
		SQ_ERROR(
		    "store", "a transaction is too large: a message for %s is lost", q->cfg.name);
		sq_metric_add(&sq_embedded_of(q->engine)->metrics, SQ_M_DROPPED_FULL, 1);
		sq_item_fini(item);
		return SQ_ENOMEM;
	}
	item->stored = false;
	err = sq_queue_offer(q, txn, item);
	if (err != SQ_OK)
		return err;
	if (q->id == 0 || item->qos == 0) {
		sq_queue_arrive(q, item);
		return SQ_OK;
	}
	put_own(txn, item,
	    !sq_oplog_message(&txn->log, &txn->last_message, item, put_expires_ms(txn, item)));
	sq_oplog_put(&txn->log, q->id, item);
	txn->pressing = true;
	put = (struct sq_put){sq_queue_ref(q), *item};
	sq_buf_append(&txn->ops, &put, sizeof put);
	return SQ_OK;
}

bool
sq_embedded_pass(struct sq_txn *txn, struct sq_consumer *c, struct sq_item *item)
{
	(void)txn;
	item->stored = false;
	return sq_queue_pass(c, item);
}

static void
settle_gone(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item)
{
	if (item->stored)
		sq_oplog_settle(&txn->log, q->id, item->seq);
	if (item->qos > 0)
		sq_queue_settled(q, item);
}

void
sq_embedded_settle(
    struct sq_txn *txn, struct sq_queue *q, struct sq_item *item, enum sq_settle_how how)
{
	switch (how) {
	case SQ_DONE:
		settle_gone(txn, q, item);
		return;
	case SQ_REJECT:
		sq_queue_dead(q, txn, item, SQ_DEAD_REJECTED);
		settle_gone(txn, q, item);
		return;
	case SQ_UNFINISHED:
		sq_queue_dead(q, txn, item, SQ_DEAD_UNFINISHED);
		settle_gone(txn, q, item);
		return;
	case SQ_REQUEUE:
		if (sq_queue_tried(q, item)) {
			sq_queue_dead(q, txn, item, SQ_DEAD_ATTEMPTS);
			settle_gone(txn, q, item);
			sq_item_fini(item);
			return;
		}
		if (item->stored)
			sq_oplog_attempts(&txn->log, q->id, item->seq, item->attempts);
		break;
	case SQ_UNTRIED:
		break;
	}
	sq_queue_back(q, item);
}

void
sq_embedded_record(struct sq_txn *txn, const struct sq_record_key *key, struct sq_bytes value)
{
	txn->pressing = true;
	sq_oplog_record(&txn->log, key, value);
}

bool
sq_embedded_is_durable(const struct sq_txn *txn)
{
	return sq_buf_len(&txn->log) > 0;
}
