/* What the sidecar says of deliveries (docs/link.md, "a delivery at the broker"),
 * and what becomes of them when nobody will say anything. */
#include <stdlib.h>

#include "broker/dead.h"
#include "broker/session/group.h"
#include "broker/session/window.h"

/* The client has it. */
static void
settle_done(struct sq_session *s, struct sq_txn *txn, struct sq_slot *slot)
{
	const struct sq_sink *sink = slot->group != NULL ? &slot->group->sink : &s->sink;

	s->sink.engine->ops->settle(txn, sink->queue, &slot->item, SQ_DONE);
	if (slot->item.assured)
		sq_dead_settled(sink->dead, txn, &slot->item);
}

/* The client has said that it does not want it, or can't be sent it. */
static bool
settle_refused(const struct sq_settle *e)
{
	return e->kind == SQ_SETTLE_REJECT || (e->kind == SQ_SETTLE_ACK && e->reason >= 0x80);
}

static void
settle_one(
    struct sq_session *s, struct sq_txn *txn, struct sq_slot *slot, const struct sq_settle *e)
{
	const struct sq_engine_ops *ops = s->sink.engine->ops;
	struct sq_queue *q = sq_window_queue(s, slot->group);
	bool has_item = slot->item.msg.image != NULL;

	if (!has_item && e->kind != SQ_SETTLE_COMPLETE)
		return; /* received or an orphan: the client holds the id until PUBCOMP */
	switch ((enum sq_settle_kind)e->kind) {
	case SQ_SETTLE_RECEIVED:
		if (slot->state != SQ_OPEN_QOS2)
			return;
		settle_done(s, txn, slot);
		sq_item_fini(&slot->item);
		slot->state = SQ_OPEN_RECEIVED;
		return;
	case SQ_SETTLE_REQUEUE:
		ops->settle(txn, q, &slot->item, SQ_REQUEUE);
		slot->item.msg = (struct sq_msg){0};
		slot->item.subs = NULL;
		break;
	case SQ_SETTLE_ACK:
	case SQ_SETTLE_COMPLETE:
	case SQ_SETTLE_REJECT:
		if (has_item && settle_refused(e))
			ops->settle(txn, q, &slot->item, SQ_REJECT);
		else if (has_item)
			settle_done(s, txn, slot);
		break;
	}
	sq_slot_free(s, slot);
}

/* A settlement names each open id once; more is work for nothing. */
static bool
settle_bounded(struct sq_bytes entries)
{
	struct sq_settle e;
	uint64_t n = 0;

	while (sq_settle_next(&entries, &e))
		n += e.n;
	return n <= 2 * SQ_DELIVERIES_MAX;
}

void
sq_settle_call(struct sq_session *s, struct sq_call *c)
{
	struct sq_settlements body;
	struct sq_settle e;
	struct sq_op *op;

	if (sq_settlements_decode(c->body->bytes, c->body->size, &body) != SQ_OK ||
	    !settle_bounded(body.entries)) {
		sq_call_answer(c, 400, "malformed settlements");
		return;
	}
	if (body.credit_msgs > s->credit_msgs)
		s->credit_msgs = body.credit_msgs;
	if (body.credit_bytes > s->credit_bytes)
		s->credit_bytes = body.credit_bytes;
	op = sq_op_new(s, c);
	while (sq_settle_next(&body.entries, &e)) {
		for (uint16_t i = 0; i < e.n; i++) {
			struct sq_slot *slot = sq_slot_find(s, e.delivery + i);

			if (slot != NULL) /* an unknown id was settled before */
				settle_one(s, &op->txn, slot, &e);
		}
	}
	sq_op_commit(op);
	sq_deliver_pump(s);
}

/* Gives a ready item back to its queue, or drops it. */
static void
return_ready(struct sq_session *s, struct sq_loose_txn **loose, struct sq_ready *r, bool drop)
{
	if (drop) {
		sq_window_drop(s, loose, r);
		return;
	}
	s->sink.engine->ops->settle(
	    sq_loose_txn(s, loose), sq_window_queue(s, r->group), &r->item, SQ_UNTRIED);
	sq_window_left(s, r->group);
	sq_group_unref(&r->group);
}

static void
return_slot(struct sq_session *s, struct sq_loose_txn **loose, struct sq_slot *slot, bool all)
{
	const struct sq_engine_ops *ops = s->sink.engine->ops;
	bool give_back = slot->group != NULL && slot->state == SQ_OPEN_QOS1;

	if (!all && !give_back)
		return;
	if (slot->item.msg.image != NULL) {
		ops->settle(sq_loose_txn(s, loose), sq_window_queue(s, slot->group), &slot->item,
		    give_back ? SQ_REQUEUE : SQ_DONE);
		if (give_back) {
			slot->item.msg = (struct sq_msg){0};
			slot->item.subs = NULL;
		}
	}
	sq_slot_free(s, slot);
}

void
sq_settle_return_ready(struct sq_session *s, bool all)
{
	struct sq_loose_txn *loose = NULL;

	for (uint32_t n = s->n_ready; n > 0; n--) {
		struct sq_ready r = sq_ready_pop(s);

		if (r.group == NULL && !all)
			*sq_ready_push(s) = r;
		else
			return_ready(s, &loose, &r, r.group == NULL);
	}
	sq_loose_commit(&loose);
}

void
sq_settle_return(struct sq_session *s, bool all)
{
	struct sq_loose_txn *loose = NULL;

	sq_settle_return_ready(s, all);
	for (uint32_t i = 0; i < s->cap_slots; i++) {
		if (s->slots[i].state != 0)
			return_slot(s, &loose, &s->slots[i], all);
	}
	sq_loose_commit(&loose);
}
