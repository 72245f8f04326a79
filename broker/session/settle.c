/* Settlements: the sidecar's reports on deliveries (docs/link.md, "a delivery at the broker"). */
#include <assert.h>
#include <stdlib.h>

#include "broker/group/group.h"
#include "broker/metrics/metrics.h"
#include "broker/session/call_txn.h"
#include "broker/session/member_item.h"
#include "broker/session/persist.h"
#include "broker/session/session.h"
#include "broker/session/traced.h"
#include "broker/session/window.h"
#include "broker/shard/source.h"
#include "core/fault.h"
#include "core/mem.h"
#include "proto/mqtt/reason.h"
#include "web/worker.h"

enum { SOON = 4 }; /* settlements ahead for which a slot is fetched */

/* The client has it. */
static void
settle_done(struct sq_session *s, struct sq_txn *txn, struct sq_slot *slot)
{
	const struct sq_sink *sink = sq_item_sink(&s->sink, &slot->from);

	s->sink.engine->ops->txn.settle(txn, sink->queue, &slot->item, SQ_DONE);
	if (slot->item.assured)
		s->shard->broker->burial->settled(sink->source, txn, &slot->item);
	if (slot->item.put_ms != 0)
		sq_metric_observe(&s->shard->broker->metrics, SQ_H_END_TO_END,
		    sq_item_age_ms(&slot->item, sq_worker_now_ms(s->shard->worker)));
}

/* The client has said that it does not want it, or can't be sent it. */
static bool
settle_refused(const struct sq_settle *e)
{
	return e->kind == SQ_SETTLE_REJECT ||
	    (e->kind == SQ_SETTLE_ACK && sq_mqtt_reason_failed(e->reason));
}

/* The delivery's span ends, with the first settlement of it. */
static void
settle_traced(struct sq_session *s, struct sq_slot *slot, const struct sq_settle *e)
{
	const char *why = e->kind == SQ_SETTLE_REQUEUE ? "returned"
	    : e->kind == SQ_SETTLE_REJECT              ? "rejected"
						       : NULL;

	sq_traced_settled(s, slot, e->kind == SQ_SETTLE_ACK ? e->reason : 0, why);
}

static void
settle_one(
    struct sq_session *s, struct sq_txn *txn, struct sq_slot *slot, const struct sq_settle *e)
{
	const struct sq_engine_ops *ops = s->sink.engine->ops;
	struct sq_queue *q = sq_item_sink(&s->sink, &slot->from)->queue;
	bool has_item = slot->item.msg.image != NULL;

	if (slot->expected) { /* finished before its message came again */
		if (e->kind == SQ_SETTLE_ACK)
			sq_window_acked(&s->window, slot);
		sq_slot_free(&s->window, slot);
		return;
	}
	if (slot->traced_us != 0)
		settle_traced(s, slot, e);
	if (!has_item && e->kind != SQ_SETTLE_COMPLETE)
		return; /* received or an orphan: the client holds the id until PUBCOMP */
	switch ((enum sq_settle_kind)e->kind) {
	case SQ_SETTLE_RECEIVED:
		if (slot->state != SQ_OPEN_QOS2)
			return;
		settle_done(s, txn, slot);
		sq_slot_received(&s->window, slot);
		if (slot->stored)
			sq_persist_open(s, txn, slot);
		return;
	case SQ_SETTLE_REQUEUE:
		ops->txn.settle(txn, q, &slot->item, SQ_REQUEUE);
		sq_slot_returned(slot);
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
	sq_member_item_left(s, &slot->from);
	sq_slot_free(&s->window, slot);
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

/* The transaction of a Settlements. */
struct settle_txn {
	struct sq_call_txn base;
	bool receives; /* it settles a QoS 2 delivery: received or complete */
};

static void
settle_txn_done(struct sq_call_txn *ct, int err)
{
	struct settle_txn *st = SQ_CONTAINER_OF(ct, struct settle_txn, base);
	struct sq_session *s = ct->session;

	if (st->receives)
		SQ_FAULT("broker-settlement-committed");
	sq_call_txn_answer(ct, err);
	free(st);
	sq_session_txn_end(s);
}

void
sq_settle_call(struct sq_session *s, struct sq_call *c)
{
	struct sq_settlements body = c->in.settle;
	struct sq_settle e;
	struct settle_txn *st;

	if (!settle_bounded(body.entries)) {
		sq_call_answer(c, SQ_VERDICT_MALFORMED, "malformed settlements");
		return;
	}
	sq_deliver_credit(s, body.credit_msgs, body.credit_bytes);
	st = sq_xcalloc(1, sizeof *st);
	sq_call_txn_init(&st->base, s, c, settle_txn_done);
	while (sq_settle_next(&body.entries, &e)) {
		for (uint16_t i = 0; i < e.n; i++) {
			struct sq_slot *slot = sq_slot_find(&s->window, e.delivery + i);

			sq_slot_find_soon(&s->window, e.delivery + i + SOON);
			if (slot == NULL || slot->unsent) /* settled before, or never sent */
				continue;
			st->receives |= slot->state >= SQ_OPEN_QOS2;
			settle_one(s, st->base.parts.txn, slot, &e);
		}
	}
	if (st->receives)
		SQ_FAULT("broker-settlement-admitted");
	sq_call_txn_commit(&st->base);
	sq_session_wake(s);
}
