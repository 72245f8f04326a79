#include "broker/engine/embedded/build.h"

#include "broker/engine/embedded/oplog.h"
#include "broker/engine/queue/queue.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/wallclock.h"

/* The hard limits of a transaction.  The distance to the limits of its puts leaves room for a
 * message that was begun, and for items that the puts force out. */
enum {
	END_BYTES = SQ_LOG_ENTRY_MAX - (1 << 20),
	END_ITEMS = (1 << SQ_SEQ_BITS) - 1,
};

/* Gives the item a message of its own, the same as that of the put before where it
 * is the same message: it may wait for long, and would keep its whole batch. */
static void
put_own(struct sq_build *b, struct sq_item *item, bool same)
{
	const struct sq_put *before;
	struct sq_msg own;

	if (same) {
		before = (const struct sq_put *)(void *)(sq_buf_data(&b->puts) +
		    sq_buf_len(&b->puts) - sizeof *before);
		own = sq_msg_ref(before->item.msg);
	} else {
		own = sq_msg_clone(&item->msg);
	}
	sq_msg_unref(&item->msg);
	item->msg = own;
}

/* When the item expires, as wall-clock: the same in all puts of a message, which have it once. */
static uint64_t
put_expires_ms(struct sq_build *b, const struct sq_item *item)
{
	if (item->expires_ms == 0)
		return 0;
	if (b->wall_ahead == 0)
		b->wall_ahead = sq_wallclock_ahead(sq_clock_ms());
	return item->expires_ms + (uint64_t)b->wall_ahead;
}

/* When an item arrives: at the time of the first one, which is written once. */
static uint64_t
put_arrived_ms(const struct sq_build *b)
{
	return b->arrived_ms != 0 ? b->arrived_ms : sq_clock_wall_ms();
}

uint64_t
sq_build_bytes(const struct sq_txn *txn)
{
	return sq_buf_len(&sq_build_of(txn)->log);
}

static uint64_t
build_items(const struct sq_build *b)
{
	return sq_buf_len(&b->puts) / sizeof(struct sq_put);
}

bool
sq_build_room(
    const struct sq_txn *txn, const struct sq_build_limits *most, uint64_t items, uint64_t bytes)
{
	return build_items(sq_build_of(txn)) + items <= most->items &&
	    sq_build_bytes(txn) + SQ_OPLOG_MESSAGE + items * SQ_OPLOG_OP + bytes <= most->bytes;
}

int
sq_build_put(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item)
{
	struct sq_build *b = sq_build_of(txn);
	struct sq_put put;
	int err;

	if (sq_buf_len(&b->log) + sq_image_size(item->msg.image) > END_BYTES ||
	    build_items(b) >= END_ITEMS) { /* nobody has asked for room */
		SQ_ERROR(
		    "store", "a transaction is too large: a message for %s is lost", q->cfg.name);
		sq_metric_add(q->metrics, SQ_M_DROPPED_FULL, 1);
		sq_item_fini(item);
		return SQ_ENOMEM;
	}
	item->stored = false;
	item->arrived_ms = q->cfg.timed ? put_arrived_ms(b) : 0;
	err = sq_queue_offer(q, txn, item);
	if (err != SQ_OK)
		return err;
	if (q->id == 0 || item->qos == 0) {
		sq_queue_arrive(q, item);
		return SQ_OK;
	}
	put_own(
	    b, item, !sq_oplog_message(&b->log, &b->last_message, item, put_expires_ms(b, item)));
	sq_oplog_put(&b->log, &b->arrived_ms, q->id, item);
	b->pressing = true;
	put = (struct sq_put){sq_queue_ref(q), *item};
	sq_buf_append(&b->puts, &put, sizeof put);
	return SQ_OK;
}

bool
sq_build_pass(struct sq_txn *txn, struct sq_consumer *c, struct sq_item *item)
{
	(void)txn;
	item->stored = false;
	return sq_queue_pass(c, item);
}

static void
settle_gone(struct sq_txn *txn, struct sq_queue *q, struct sq_item *item)
{
	if (item->stored)
		sq_oplog_settle(&sq_build_of(txn)->log, q->id, item->seq);
	if (item->qos > 0)
		sq_queue_settled(q, item);
}

static void
settle_attempts(struct sq_txn *txn, const struct sq_queue *q, const struct sq_item *item)
{
	if (item->stored)
		sq_oplog_attempts(&sq_build_of(txn)->log, q->id, item->seq, item->attempts);
}

void
sq_build_settle(
    struct sq_txn *txn, struct sq_queue *q, struct sq_item *item, enum sq_settle_how how)
{
	switch (how) {
	case SQ_DONE:
		settle_gone(txn, q, item);
		return;
	case SQ_REJECT:
	case SQ_EXHAUSTED:
	case SQ_EXPIRED:
	case SQ_UNFINISHED:
		sq_queue_dead_how(q, txn, item, how);
		settle_gone(txn, q, item);
		return;
	case SQ_TRIED:
		(void)sq_queue_tried(q, item);
		settle_attempts(txn, q, item);
		return;
	case SQ_REQUEUE:
		if (sq_queue_tried(q, item)) {
			sq_queue_dead(q, txn, item, SQ_DEAD_ATTEMPTS);
			settle_gone(txn, q, item);
			sq_item_fini(item);
			return;
		}
		settle_attempts(txn, q, item);
		break;
	case SQ_UNTRIED:
		break;
	}
	sq_queue_back(q, item);
}

void
sq_build_record(struct sq_txn *txn, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_build *b = sq_build_of(txn);

	b->pressing = true;
	sq_oplog_record(&b->log, key, value);
}

void
sq_build_queue_open(struct sq_txn *txn, uint64_t queue, const char *name)
{
	struct sq_build *b = sq_build_of(txn);

	b->pressing = true;
	sq_oplog_queue_open(&b->log, queue, name);
}

void
sq_build_queue_delete(struct sq_txn *txn, uint64_t queue)
{
	struct sq_build *b = sq_build_of(txn);

	b->pressing = true;
	sq_oplog_queue_delete(&b->log, queue);
}

bool
sq_build_is_durable(const struct sq_txn *txn)
{
	return sq_build_bytes(txn) > 0;
}

struct sq_log_entry *
sq_build_entry(struct sq_txn *txn)
{
	struct sq_build *b = sq_build_of(txn);

	/* A settlement that is lost is a delivery once more: nobody waits for its sync. */
	b->entry.patient = !b->pressing;
	b->entry.data = sq_buf_bytes(&b->log);
	return &b->entry;
}

void
sq_build_fini(struct sq_txn *txn)
{
	struct sq_build *b = sq_build_of(txn);

	sq_buf_fini(&b->log);
	sq_buf_fini(&b->puts);
}
