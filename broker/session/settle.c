/* What the sidecar says of deliveries (docs/link.md, "a delivery at the broker"),
 * and what becomes of them when nobody will say anything. */
#include <assert.h>
#include <stdlib.h>

#include "broker/group/group.h"
#include "broker/publish/dead_letters.h"
#include "broker/session/persist.h"
#include "broker/session/session.h"
#include "broker/session/txn.h"
#include "broker/session/window.h"
#include "core/fault.h"
#include "proto/mqtt/reason.h"

/* The client has it. */
static void
settle_done(struct sq_session *s, struct sq_txn *txn, struct sq_slot *slot)
{
	const struct sq_sink *sink = slot->group != NULL ? &slot->group->sink : &s->flow.sink;

	s->flow.sink.engine->ops->txn.settle(txn, sink->queue, &slot->item, SQ_DONE);
	if (slot->item.assured)
		sq_dead_settled(sink->source, txn, &slot->item);
}

/* The client has said that it does not want it, or can't be sent it. */
static bool
settle_refused(const struct sq_settle *e)
{
	return e->kind == SQ_SETTLE_REJECT ||
	    (e->kind == SQ_SETTLE_ACK && sq_mqtt_reason_failed(e->reason));
}

static void
settle_one(
    struct sq_session *s, struct sq_txn *txn, struct sq_slot *slot, const struct sq_settle *e)
{
	const struct sq_engine_ops *ops = s->flow.sink.engine->ops;
	struct sq_queue *q = sq_window_queue(s, slot->group);
	bool has_item = slot->item.msg.image != NULL;

	if (slot->expected) { /* finished before its message came again */
		if (e->kind == SQ_SETTLE_ACK)
			sq_window_acked(s, slot);
		sq_slot_free(s, slot);
		return;
	}
	if (!has_item && e->kind != SQ_SETTLE_COMPLETE)
		return; /* received or an orphan: the client holds the id until PUBCOMP */
	switch ((enum sq_settle_kind)e->kind) {
	case SQ_SETTLE_RECEIVED:
		if (slot->state != SQ_OPEN_QOS2)
			return;
		settle_done(s, txn, slot);
		sq_item_fini(&slot->item);
		sq_slot_weigh(s, slot);
		slot->state = SQ_OPEN_RECEIVED;
		if (slot->stored)
			sq_persist_open(s, txn, slot);
		return;
	case SQ_SETTLE_REQUEUE:
		ops->txn.settle(txn, q, &slot->item, SQ_REQUEUE);
		slot->item.msg = (struct sq_msg){0};
		slot->item.subs = NULL;
		break;
	case SQ_SETTLE_ACK:
	case SQ_SETTLE_COMPLETE:
	case SQ_SETTLE_REJECT:
		if (has_item && settle_refused(e))
			ops->txn.settle(txn, q, &slot->item, SQ_REJECT);
		else if (has_item)
			settle_done(s, txn, slot);
		break;
	}
	sq_persist_finished(s, txn, slot);
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
	struct sq_call_txn *op;

	if (sq_settlements_decode(c->body->bytes, c->body->size, &body) != SQ_OK ||
	    !settle_bounded(body.entries)) {
		sq_call_answer(c, SQ_VERDICT_MALFORMED, "malformed settlements");
		return;
	}
	if (body.credit_msgs > s->flow.credit_msgs)
		s->flow.credit_msgs = body.credit_msgs;
	if (body.credit_bytes > s->flow.credit_bytes)
		s->flow.credit_bytes = body.credit_bytes;
	op = sq_call_txn_new(s, c);
	while (sq_settle_next(&body.entries, &e)) {
		for (uint16_t i = 0; i < e.n; i++) {
			struct sq_slot *slot = sq_slot_find(s, e.delivery + i);

			if (slot == NULL || slot->unsent) /* settled before, or never sent */
				continue;
			op->receives |= slot->state >= SQ_OPEN_QOS2;
			settle_one(s, op->txn, slot, &e);
		}
	}
	if (op->receives)
		SQ_FAULT("broker-settlement-admitted");
	sq_call_txn_commit(op);
	sq_deliver_pump(s);
}

/* Where a transaction is not given, one is made. */
struct returns {
	struct sq_session *session;
	enum sq_return how;
	struct sq_txn *txn;
	struct sq_background_txn *background;
};

static struct sq_txn *
returns_txn(struct returns *to)
{
	return to->txn != NULL ? to->txn : sq_background_txn(to->session, &to->background);
}

/* The broker ends, and the item waits in the store. */
static bool
returns_stays(const struct returns *to, const struct sq_item *item, const struct sq_group *g)
{
	return to->how == SQ_RETURN_CLOSE && item->qos > 0 && sq_persist_announced(to->session, g);
}

/* It is the next broker's to count. */
static void
return_uncount(const struct returns *to, const struct sq_item *item)
{
	struct sq_broker *b = to->session->shard->broker;

	sq_count(b, SQ_M_QUEUED, -1);
	sq_count(b, SQ_M_QUEUED_BYTES, -(int64_t)sq_image_size(item->msg.image));
}

/* How a delivery that is out and not finished is settled, when the client will not say.  One of
 * QoS 2 may have reached the client, so nobody else may get it (MQTT 5.0 §4.8.2): from a
 * group, or of QoS 3, it is a dead letter.  What else is the session's own is its queue's
 * again, which ends with it. */
static enum sq_settle_how
return_how(const struct returns *to, const struct sq_slot *slot)
{
	if (slot->group != NULL && slot->state == SQ_OPEN_QOS1)
		return to->session->at.broke ? SQ_REQUEUE : SQ_UNTRIED;
	if (slot->state == SQ_OPEN_QOS2 && (slot->group != NULL || slot->item.assured))
		return SQ_UNFINISHED;
	return slot->group == NULL && to->how == SQ_RETURN_ALL ? SQ_UNTRIED : SQ_DONE;
}

static void
return_slot(struct returns *to, struct sq_slot *slot)
{
	const struct sq_engine_ops *ops = to->session->flow.sink.engine->ops;
	enum sq_settle_how how = return_how(to, slot);
	bool give_back = how == SQ_REQUEUE || how == SQ_UNTRIED;
	bool stays = returns_stays(to, &slot->item, slot->group);

	if (to->how == SQ_RETURN_GROUPS && !give_back)
		return;
	if (slot->item.msg.image != NULL && stays) {
		return_uncount(to, &slot->item);
	} else if (slot->item.msg.image != NULL) {
		ops->txn.settle(
		    returns_txn(to), sq_window_queue(to->session, slot->group), &slot->item, how);
		if (give_back) {
			slot->item.msg = (struct sq_msg){0};
			slot->item.subs = NULL;
		}
	}
	if (to->how != SQ_RETURN_CLOSE && slot->stored)
		sq_persist_finished(to->session, returns_txn(to), slot);
	sq_slot_free(to->session, slot);
}

/* Gives a ready item back to its queue. */
static void
return_ready(struct returns *to, struct sq_pending *r)
{
	struct sq_session *s = to->session;

	s->window.pending.bytes -= sq_image_size(r->item.msg.image);
	if (r->group == NULL && (s->window.old.items > 0 || r->item.seq <= s->window.old.last_seq))
		s->window.old.items++;
	s->flow.sink.engine->ops->txn.settle(
	    returns_txn(to), sq_window_queue(s, r->group), &r->item, SQ_UNTRIED);
	sq_window_left(s, r->group);
	sq_group_unref(&r->group);
}

void
sq_settle_return_pending(struct sq_session *s, enum sq_return how)
{
	struct returns to = {s, how, NULL, NULL};
	uint32_t kept = 0, n = s->window.pending.n;

	/* From the last on: a queue puts each before what came back from the same place. */
	for (uint32_t i = n; i > 0; i--) {
		struct sq_pending r = *sq_pending_at(s, i - 1);

		if (r.group == NULL && how == SQ_RETURN_GROUPS)
			*sq_pending_at(s, n - ++kept) = r;
		else
			return_ready(&to, &r);
	}
	sq_pending_drop(s, n - kept);
	sq_window_charge(s);
	sq_background_commit(&to.background);
}

void
sq_settle_return(struct sq_session *s, enum sq_return how, struct sq_txn *txn)
{
	struct returns to = {s, how, txn, NULL};

	assert(s->window.pending.n == 0); /* it is not attached */
	for (uint32_t i = 0; i < s->window.cap_slots; i++) {
		if (s->window.slots[i].state != 0)
			return_slot(&to, &s->window.slots[i]);
	}
	sq_background_commit(&to.background);
}
