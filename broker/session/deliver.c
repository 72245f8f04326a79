/* Messages to a client: from queues through the window to the link.
 *
 * A QoS 2 delivery from a durable queue is announced before it leaves: its slot is committed, so
 * that a restarted broker knows the packet id.  Until then the delivery waits in the row of unsent
 * slots, and later deliveries of QoS 1 wait behind it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/traced.h"
#include "broker/group/group.h"
#include "broker/session/background_txn.h"
#include "broker/session/demand.h"
#include "broker/session/linked.h"
#include "broker/session/member_item.h"
#include "broker/session/persist.h"
#include "broker/session/session.h"
#include "broker/session/traced.h"
#include "broker/session/window.h"
#include "broker/shard/pace.h"
#include "broker/shard/source.h"
#include "broker/shard/sys_counts.h"
#include "core/fault.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	TURN_MAX = 512, /* deliveries of one session in one turn */
};

static void
deliver_take_own(struct sq_consumer *c, struct sq_item *items, size_t n)
{
	struct sq_session *s = SQ_CONTAINER_OF(c, struct sq_session, flow.consumer);

	assert(s->state == SQ_SESSION_ATTACHED); /* else it asks for nothing */
	sq_demand_taken(&s->flow.demanded, items, n);
	for (size_t i = 0; i < n; i++) {
		sq_pending_push(&s->window.pending, &(struct sq_pending){.item = items[i]});
		sq_window_old_taken(&s->window, items[i].seq);
	}
	sq_window_charge(&s->window);
	sq_session_wake(s);
}

static void
deliver_cancelled(struct sq_consumer *c)
{
	sq_session_unpin(SQ_CONTAINER_OF(c, struct sq_session, flow.consumer));
}

/* Sending. */

static bool
deliver_expired(const struct sq_item *item, uint64_t now_ms)
{
	return item->expires_ms != 0 && item->expires_ms <= now_ms;
}

static uint32_t
deliver_expiry_s(const struct sq_item *item, uint64_t now_ms)
{
	if (item->expires_ms == 0)
		return SQ_MSG_NO_EXPIRY;
	return item->expires_ms > now_ms ? (uint32_t)((item->expires_ms - now_ms + 999) / 1000) : 1;
}

static void
deliver_charge(struct sq_session *s, const struct sq_item *item)
{
	s->flow.used_msgs++;
	s->flow.used_bytes += sq_image_size(item->msg.image);
}

/* Writes one delivery, which was charged; 'slot' is NULL at QoS 0. */
static void
deliver_send(struct sq_session *s, const struct sq_item *item, const struct sq_queue_ref *from,
    const struct sq_slot *slot, uint8_t qos, bool retain, const struct sq_block *subs, bool again)
{
	struct sq_target t = {
	    .epoch = s->at.epoch,
	    .delivery = slot != NULL ? slot->delivery : 0,
	    .queue = from->id,
	    .packet_id = slot != NULL ? sq_slot_packet_id(&s->window, slot) : 0,
	    .flags = (uint8_t)(qos | (retain ? SQ_TARGET_RETAIN : 0) |
		(again ? SQ_TARGET_REDELIVERED : 0)),
	    .n_subs = (uint8_t)(subs != NULL ? subs->size / sizeof(uint32_t) : 0),
	};

	sq_outlet_deliver(s->at.outlet, &item->msg, qos > 0 ? &item->origin : NULL,
	    deliver_expiry_s(item, sq_worker_now_ms(s->shard->worker)), &t,
	    subs != NULL ? (const uint32_t *)(const void *)subs->bytes : NULL);
	sq_count(s->shard->broker, SQ_M_SENT_QOS0 + qos, 1);
}

/* Whether the client gets the item with the retain flag. */
static bool
deliver_retain(const struct sq_pending *p)
{
	return p->item.retain && (p->member == NULL || p->member->as_published);
}

/* The subscription identifiers that the client gets with the item. */
static struct sq_block *
deliver_subs(const struct sq_pending *p)
{
	return p->member != NULL ? p->member->subs : p->item.subs;
}

static void
deliver_slot_now(struct sq_session *s, struct sq_slot *slot, bool again)
{
	if (sq_traced_maybe(slot->item.msg.image))
		sq_traced_sends(s, slot);
	deliver_send(s, &slot->item, &slot->from, slot, slot->qos, slot->retain, slot->subs, again);
}

/* A message that the client expects again has come. */
static void
deliver_expected(struct sq_session *s, struct sq_slot *slot)
{
	deliver_charge(s, &slot->item);
	sq_slot_sent(&s->window, slot);
	deliver_slot_now(s, slot, true);
}

/* A commit that lets slots leave. */
struct announce {
	struct sq_txn txn;
	struct sq_session *session;
	uint64_t number;
};

static void deliver_row(struct sq_session *s);

static void
announce_done(struct sq_txn *txn, int err)
{
	struct announce *an = SQ_CONTAINER_OF(txn, struct announce, txn);
	struct sq_session *s = an->session;

	(void)err; /* then the broker is about to end */
	SQ_FAULT("broker-announce-committed");
	s->flow.announced_done = an->number;
	free(an);
	if (s->state == SQ_SESSION_ATTACHED)
		deliver_row(s);
	sq_session_txn_end(s);
}

/* The transaction in which this turn announces. */
static struct sq_txn *
announce_txn(struct sq_session *s, struct announce **an)
{
	if (*an == NULL) {
		*an = sq_xcalloc(1, sizeof **an);
		(*an)->session = s;
		(*an)->number = ++s->flow.announced;
		sq_session_txn_begin(&(*an)->txn, s, announce_done);
	}
	return &(*an)->txn;
}

/* Writes the unsent slots that may be sent now. */
static void
deliver_row(struct sq_session *s)
{
	struct sq_slot *slot;

	while ((slot = sq_unsent_first(&s->window)) != NULL &&
	    slot->announce <= s->flow.announced_done) {
		sq_unsent_pop(&s->window);
		deliver_slot_now(s, slot, false);
	}
}

/* The state of one turn of a session, committed at its end. */
struct turn {
	struct sq_background_txn *background;
	struct announce *announce;
	/* Items of one queue that have left the row of pending ones. */
	struct sq_sink *sent_of;
	uint32_t sent;
	uint64_t sent_bytes;
};

static void
turn_flush(struct sq_session *s, struct turn *turn)
{
	struct sq_sink *sink = turn->sent_of;

	turn->sent_of = NULL;
	if (sink == NULL)
		return;
	sink->engine->ops->consumer.sent(sink->queue, turn->sent, turn->sent_bytes);
	sq_pace_taken(s->shard, sink);
}

/* Takes the first ready item, which waits no longer. */
static struct sq_pending
turn_pop(struct sq_session *s, struct turn *turn)
{
	struct sq_pending r = sq_pending_pop(&s->window.pending);
	struct sq_sink *sink = sq_item_sink(&s->sink, &r.from);

	if (turn->sent_of != sink) {
		turn_flush(s, turn);
		turn->sent_of = sink;
		turn->sent = 0;
		turn->sent_bytes = 0;
	}
	turn->sent++;
	turn->sent_bytes += sq_image_size(r.item.msg.image);
	r.item.unsent = false;
	return r;
}

/* Settles an item that needs no answer, or no longer has anybody to give one. */
static void
deliver_drop(struct sq_session *s, struct sq_background_txn **background, struct sq_pending *r)
{
	if (r->item.qos > 0)
		s->sink.engine->ops->txn.settle(sq_background_txn(s, background),
		    sq_item_sink(&s->sink, &r->from)->queue, &r->item, SQ_DONE);
	sq_item_fini(&r->item);
	sq_member_item_left(s, &r->from);
	sq_queue_ref_release(&r->from);
}

/* Writes an item that has credit and, above QoS 0, room for a slot; or lets it wait for
 * its commit.  Takes it. */
static void
deliver_item(struct sq_session *s, struct turn *turn, struct sq_pending *r, uint8_t qos)
{
	bool retain = deliver_retain(r);
	struct sq_block *subs = deliver_subs(r);
	struct sq_slot *slot;

	if (sq_traced_maybe(r->item.msg.image))
		sq_traced_taken(s, &r->item, &r->from);
	if (qos == 0) {
		deliver_charge(s, &r->item);
		deliver_send(s, &r->item, &r->from, NULL, 0, retain, subs, false);
		if (sq_traced_maybe(r->item.msg.image))
			sq_traced_sent(s, &r->item, &r->from);
		deliver_drop(s, &turn->background, r);
		return;
	}
	if (s->window.old.n_expected > 0 && qos == 1 &&
	    (slot = sq_window_expected(&s->window, r, retain, subs)) != NULL) {
		deliver_expected(s, slot);
		return;
	}
	slot = sq_slot_open(&s->window, r, qos, retain, subs);
	deliver_charge(s, &slot->item);
	sq_slot_sent(&s->window, slot);
	if (qos == 2 && sq_persist_announced(s, &slot->from)) {
		sq_persist_open(s, announce_txn(s, &turn->announce), slot);
		sq_unsent_push(&s->window, slot, s->flow.announced);
	} else if (s->window.unsent_first != 0) {
		sq_unsent_push(&s->window, slot, 0);
	} else {
		deliver_slot_now(s, slot, false);
	}
}

/* Sends the first ready item; false if it must wait. */
static bool
deliver_next(struct sq_session *s, struct turn *turn)
{
	struct sq_pending *first = sq_pending_at(&s->window.pending, 0), r;
	uint8_t qos = sq_pending_qos(first);
	uint64_t now_ms = sq_worker_now_ms(s->shard->worker);

	if (sq_queue_ref_own(&first->from) && sq_order_holds(&s->order, &first->item)) {
		r = sq_pending_pop(&s->window.pending); /* it goes on waiting */
		sq_order_hold(s, &r);
		return true;
	}
	if (deliver_expired(&first->item, now_ms)) {
		r = turn_pop(s, turn);
		sq_count(s->shard->broker, SQ_M_DROPPED_EXPIRED, 1);
		if (r.item.assured)
			s->shard->broker->burial->item(sq_item_sink(&s->sink, &r.from)->source,
			    sq_background_txn(s, &turn->background), &r.item, SQ_DEAD_EXPIRED);
		deliver_drop(s, &turn->background, &r);
		return true;
	}
	if (s->window.old.n_acked > 0 && sq_window_was_acked(&s->window, first)) {
		r = turn_pop(s, turn);
		deliver_drop(s, &turn->background, &r);
		return true;
	}
	if (!sq_may_leave(s, qos))
		return false;
	r = turn_pop(s, turn);
	deliver_item(s, turn, &r, qos);
	return true;
}

static bool
deliver_again(struct sq_session *s)
{
	struct sq_slot *slot = sq_resend_first(&s->window);

	/* Finished since, or sent when it came again: see sq_window_expected(). */
	if ((slot->state == SQ_OPEN_QOS1 || slot->state == SQ_OPEN_QOS2) && !slot->expected &&
	    !slot->sent) {
		if (!sq_has_credit(s) || !sq_has_window(s))
			return false;
		deliver_charge(s, &slot->item);
		sq_slot_sent(&s->window, slot);
		if (s->window.old.reordered)
			sq_slot_reorder(&s->window, slot);
		deliver_slot_now(s, slot, true);
	}
	sq_resend_pop(&s->window);
	return true;
}

/* The first ready item of the own queue, or NULL. */
static const struct sq_item *
deliver_first_own(const struct sq_session *s)
{
	for (uint32_t i = 0; i < s->window.pending.n; i++) {
		const struct sq_pending *r = sq_pending_at(&s->window.pending, i);

		if (sq_queue_ref_own(&r->from))
			return &r->item;
	}
	return NULL;
}

/* After a restart, deliveries are sent again in the queue's order with the items that wait there
 * again (docs/link.md, NO_QUEUE_ORDER).  Whether such an item precedes the next slot; 'wait': it
 * has not come yet. */
static bool
deliver_older(struct sq_session *s, struct turn *turn, bool *wait)
{
	const struct sq_slot *slot = sq_resend_first(&s->window);
	const struct sq_item *own;

	*wait = false;
	if (!s->window.old.reordered || !sq_queue_ref_own(&slot->from) ||
	    slot->item.msg.image == NULL)
		return false;
	own = deliver_first_own(s);
	if (own == NULL && s->window.old.items > 0) {
		turn_flush(s, turn);
		if (s->sink.engine->ops->queue.depth(s->sink.queue) == 0)
			sq_window_old_gone(&s->window); /* some have expired */
	}
	*wait = own == NULL && s->window.old.items > 0;
	return own != NULL && own->seq < slot->item.seq;
}

/* One delivery; false: no more now. */
static bool
deliver_step(struct sq_session *s, struct turn *turn)
{
	bool wait = false;

	if (s->window.resend.n > 0 && !deliver_older(s, turn, &wait))
		return !wait && deliver_again(s);
	return s->window.pending.n > 0 && deliver_next(s, turn);
}

/* Counts the messages and bytes charged since 'msgs' and 'bytes'. */
static void
deliver_count(struct sq_session *s, uint64_t msgs, uint64_t bytes)
{
	sq_sys_add(s->id.sys, SQ_SYS_SENT, (int64_t)(s->flow.used_msgs - msgs));
	sq_sys_add(s->id.sys, SQ_SYS_SENT_BYTES, (int64_t)(s->flow.used_bytes - bytes));
}

static void
deliver_some(struct sq_session *s)
{
	uint64_t msgs = s->flow.used_msgs, bytes = s->flow.used_bytes;
	struct turn turn = {0};
	int n = 0;

	while (n++ < TURN_MAX) {
		if ((n & 31) == 1 && !sq_outlet_writable(s->at.outlet)) {
			sq_linked_block(s);
			break;
		}
		if (!deliver_step(s, &turn))
			break;
	}
	if (n > TURN_MAX)
		sq_session_wake(s);
	if (turn.announce != NULL) {
		SQ_FAULT("broker-announce");
		s->sink.engine->ops->txn.commit(&turn.announce->txn);
	}
	sq_background_commit(&turn.background);
	turn_flush(s, &turn);
	sq_window_charge(&s->window);
	deliver_count(s, msgs, bytes);
	sq_demand_update(s);
}

/* Sends the item now if nothing stands before it and the session has credit: so a message goes
 * to all sessions of a link in one frame, and not through their queues. */
bool
sq_deliver_pass(struct sq_sink *sink, struct sq_txn *txn, struct sq_item *item)
{
	struct sq_session *s = SQ_CONTAINER_OF(sink, struct sq_session, sink);
	struct turn turn = {0}; /* what passes needs no commit of its own */
	uint64_t msgs = s->flow.used_msgs, bytes = s->flow.used_bytes;
	struct sq_pending r;

	if (s->state != SQ_SESSION_ATTACHED || s->window.pending.n > 0 || s->window.resend.n > 0 ||
	    deliver_expired(item, sq_worker_now_ms(s->shard->worker)) ||
	    s->order.told != s->order.round || /* what comes now comes behind an answer */
	    (s->window.unsent_first != 0 && item->qos > 0) || !sq_may_leave(s, item->qos) ||
	    !sq_outlet_writable(s->at.outlet) ||
	    !s->sink.engine->ops->txn.pass(txn, &s->flow.consumer, item))
		return false;
	sq_demand_taken(&s->flow.demanded, item, 1);
	sq_pace_passed(s->shard, sink);
	r = (struct sq_pending){.item = *item};
	deliver_item(s, &turn, &r, item->qos);
	assert(turn.announce == NULL && turn.background == NULL);
	deliver_count(s, msgs, bytes);
	sq_demand_update(s);
	return true;
}

void
sq_deliver_soon(const struct sq_sink *sink)
{
	sq_slot_take_soon(&SQ_CONTAINER_OF(sink, const struct sq_session, sink)->window);
}

void
sq_deliver_run(struct sq_session *s)
{
	assert(sq_worker_self() == s->shard->worker);
	if (!sq_list_empty(&s->order.answers) && sq_order_flush(s) && !sq_list_empty(&s->waiting))
		s->hooks->ran(s);
	if (s->state == SQ_SESSION_ATTACHED && s->kept == SQ_KEPT_DUE)
		sq_kept_tell(s);
	if (s->state == SQ_SESSION_ATTACHED)
		deliver_some(s);
}

void
sq_deliver_init(struct sq_session *s)
{
	s->flow.consumer.worker = s->shard->worker;
	s->flow.consumer.take = deliver_take_own;
	s->flow.consumer.cancelled = deliver_cancelled;
	sq_list_init(&s->flow.consumer.node);
	sq_session_pin(s);
	s->sink.engine->ops->consumer.consume(s->sink.queue, &s->flow.consumer);
}

void
sq_deliver_begin(struct sq_session *s)
{
	s->flow.used_msgs = s->flow.used_bytes = 0;
	s->flow.credit_msgs = s->flow.credit_bytes = 0;
}

void
sq_deliver_credit(struct sq_session *s, uint64_t msgs, uint64_t bytes)
{
	if (msgs > s->flow.credit_msgs)
		s->flow.credit_msgs = msgs;
	if (bytes > s->flow.credit_bytes)
		s->flow.credit_bytes = bytes;
}

bool
sq_deliver_idle(const struct sq_session *s)
{
	return s->window.pending.n == 0 && s->window.n_slots == 0 &&
	    s->sink.engine->ops->queue.depth(s->sink.queue) == 0;
}
