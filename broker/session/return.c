#include "broker/session/return.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/session/background_txn.h"
#include "broker/session/call_txn.h"
#include "broker/session/member_item.h"
#include "broker/session/session.h"
#include "broker/session/traced.h"

enum sq_settle_how
sq_return_how(const struct sq_slot *slot, enum sq_return how, bool broke)
{
	bool own = sq_queue_ref_own(&slot->from);

	if (!own && slot->state == SQ_OPEN_QOS1)
		return broke ? SQ_REQUEUE : SQ_UNTRIED;
	if (slot->state == SQ_OPEN_QOS2 && (!own || slot->item.assured))
		return SQ_UNFINISHED;
	return own && how == SQ_RETURN_ALL ? SQ_UNTRIED : SQ_DONE;
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
returns_stays(const struct returns *to, const struct sq_item *item, const struct sq_queue_ref *from)
{
	return to->how == SQ_RETURN_CLOSE && item->qos > 0 &&
	    sq_persist_announced(to->session, from);
}

/* Takes the item out of the counts of this broker, because the next one counts it. */
static void
return_uncount(const struct returns *to, const struct sq_item *item)
{
	struct sq_broker *b = to->session->shard->broker;

	sq_count(b, SQ_M_QUEUED, -1);
	sq_count(b, SQ_M_QUEUED_BYTES, -(int64_t)sq_image_size(item->msg.image));
}

static void
return_slot(struct returns *to, struct sq_slot *slot)
{
	const struct sq_engine_ops *ops = to->session->sink.engine->ops;
	enum sq_settle_how how = sq_return_how(slot, to->how, to->session->at.broke);
	bool give_back = how == SQ_REQUEUE || how == SQ_UNTRIED;
	bool stays = returns_stays(to, &slot->item, &slot->from);

	if (to->how == SQ_RETURN_GROUPS && !give_back)
		return;
	if (slot->traced_us != 0)
		sq_traced_settled(to->session, slot, 0, "unsettled");
	if (slot->item.msg.image != NULL && stays) {
		return_uncount(to, &slot->item);
	} else if (slot->item.msg.image != NULL) {
		ops->txn.settle(returns_txn(to),
		    sq_item_sink(&to->session->sink, &slot->from)->queue, &slot->item, how);
		if (give_back)
			sq_slot_returned(slot);
	}
	if (to->how != SQ_RETURN_CLOSE && slot->stored)
		sq_persist_finished(to->session, returns_txn(to), slot);
	sq_member_item_left(to->session, &slot->from);
	sq_slot_free(&to->session->window, slot);
}

/* Gives a pending item back to its queue. */
static void
return_item(struct returns *to, struct sq_pending *p)
{
	struct sq_session *s = to->session;

	if (sq_queue_ref_own(&p->from))
		sq_window_old_back(&s->window, p->item.seq);
	s->sink.engine->ops->txn.settle(
	    returns_txn(to), sq_item_sink(&s->sink, &p->from)->queue, &p->item, SQ_UNTRIED);
	sq_member_item_left(s, &p->from);
	sq_queue_ref_release(&p->from);
}

void
sq_return_pending(struct sq_session *s, enum sq_return how)
{
	struct returns to = {s, how, NULL, NULL};
	struct sq_pending_row all = sq_pending_take_all(&s->window.pending);

	for (uint32_t i = all.n; i > 0; i--) {
		struct sq_pending *p = sq_pending_at(&all, i - 1);

		if (sq_queue_ref_own(&p->from) && how == SQ_RETURN_GROUPS)
			sq_pending_unpop(&s->window.pending, p);
		else
			return_item(&to, p);
	}
	free(all.ring);
	sq_window_charge(&s->window);
	sq_background_commit(&to.background);
}

void
sq_return_open(struct sq_session *s, enum sq_return how, struct sq_txn *txn)
{
	struct returns to = {s, how, txn, NULL};

	assert(s->window.pending.n == 0); /* it is not attached */
	for (uint32_t i = 0; i < s->window.cap_slots; i++) {
		if (s->window.slots[i].state != 0)
			return_slot(&to, &s->window.slots[i]);
	}
	sq_background_commit(&to.background);
}
