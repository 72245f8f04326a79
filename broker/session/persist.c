#include "broker/session/persist.h"

#include <stdlib.h>
#include <string.h>

#include "broker/engine/now.h"
#include "broker/engine/record.h"
#include "broker/session/background_txn.h"
#include "broker/session/call_txn.h"
#include "broker/session/record.h"
#include "broker/session/session.h"
#include "broker/session/window.h"
#include "broker/shard/system_txn.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "core/wallclock.h"

/* A value that is there and empty. */
static const struct sq_bytes nothing = {(const unsigned char *)"", 0};

static void
stored_put(const struct sq_session *s, struct sq_txn *txn, uint8_t kind, uint64_t sub,
    struct sq_bytes value)
{
	struct sq_record_key key = {kind, s->id.incarnation, sub};

	s->sink.engine->ops->txn.record(txn, &key, value);
}

static void
stored_delete(const struct sq_session *s, struct sq_txn *txn, uint8_t kind, uint64_t sub)
{
	stored_put(s, txn, kind, sub, (struct sq_bytes){0});
}

static void
stored_put_buf(const struct sq_session *s, struct sq_txn *txn, uint8_t kind, uint64_t sub,
    struct sq_buf *value)
{
	stored_put(s, txn, kind, sub, sq_buf_bytes(value));
	sq_buf_fini(value);
}

/* When a timer of a detached session is due; 0: it isn't set. */
static uint64_t
stored_due(const struct sq_session *s, const struct sq_heap_node *timer)
{
	if (s->state != SQ_SESSION_DETACHED || timer->pos == 0)
		return 0;
	return sq_wallclock_from_mono(timer->due, sq_worker_now_ms(s->shard->worker));
}

static void
persist_base(struct sq_session *s, struct sq_txn *txn, bool with_will)
{
	bool detached = s->state == SQ_SESSION_DETACHED;
	const char *name = s->permit.identity != NULL ? s->permit.identity->name : "";
	struct sq_buf v = {0};
	uint8_t n = 0;

	if (!sq_persist_engine(s->shard->broker))
		return;
	s->stored.base = true;
	s->stored.instance = s->at.instance;
	s->stored.ordinal = s->at.ordinal;
	while (n < SQ_SUPERSEDED_MAX && s->at.superseded[n].instance != 0)
		n++;
	sq_buf_u8(&v, SQ_SESSION_RECORD_VERSION);
	sq_buf_u8(&v,
	    (uint8_t)((s->id.durable ? SQ_SESSION_DURABLE_FLAG : 0) |
		(s->at.left ? SQ_SESSION_LEFT_FLAG : 0) |
		(s->at.present ? SQ_SESSION_PRESENT_FLAG : 0) |
		(detached ? SQ_SESSION_DETACHED_FLAG : 0) |
		(name[0] != '\0' ? SQ_SESSION_NAMED_FLAG : 0)));
	sq_record_put_name(&v, s->id.key);
	sq_buf_u64(&v, s->at.owner);
	sq_buf_u32(&v, s->life.expiry_s);
	sq_buf_u64(&v, s->at.instance);
	sq_buf_u64(&v, s->at.ordinal);
	sq_buf_u32(&v, s->at.attempt);
	sq_buf_u64(&v, s->at.cleaned_instance);
	sq_buf_u64(&v, s->at.cleaned_ordinal);
	sq_buf_u64(&v, stored_due(s, &s->life.timer));
	sq_buf_u64(&v, stored_due(s, &s->will.timer));
	sq_buf_u32(&v, s->will.delay_s);
	sq_buf_u8(&v, n);
	for (uint8_t i = 0; i < n; i++) {
		sq_buf_u64(&v, s->at.superseded[i].instance);
		sq_buf_u64(&v, s->at.superseded[i].ordinal);
		sq_buf_u64(&v, s->at.superseded[i].epoch);
	}
	if (name[0] != '\0')
		sq_record_put_name(&v, name);
	/* A transient session's will comes again with the next PUT. */
	if (with_will && s->id.durable && s->will.msg.image != NULL)
		sq_record_put_image(&v, &s->will.msg);
	stored_put_buf(s, txn, SQ_RECORD_SESSION, 0, &v);
}

void
sq_persist_base(struct sq_session *s, struct sq_txn *txn)
{
	persist_base(s, txn, true);
}

void
sq_persist_changed(struct sq_session *s)
{
	struct sq_background_txn *background = NULL;

	if (!s->stored.base)
		return;
	sq_persist_base(s, sq_background_txn(s, &background));
	sq_background_commit(&background);
}

void
sq_persist_will_gone(struct sq_session *s, struct sq_txn *txn)
{
	if (s->stored.base && s->id.durable)
		persist_base(s, txn, false);
}

/* Up. */

void
sq_persist_batch(struct sq_session *s, struct sq_txn *txn, uint8_t lane, uint64_t last,
    const uint16_t *held, uint16_t n)
{
	struct sq_lane_in upto = s->in.lanes[lane]; /* its codes are borrowed */
	struct sq_buf v = {0};

	if (lane == 0 || !sq_persist_engine(s->shard->broker) ||
	    (!s->id.durable && !s->sink.engine->ops->txn.is_durable(txn)))
		return;
	if (!s->stored.base)
		sq_persist_base(s, txn);
	upto.last = last;
	sq_lane_in_save(&upto, &v);
	stored_put_buf(s, txn, SQ_RECORD_LANE, lane, &v);
	s->stored.lane = true;
	for (uint16_t i = 0; i < n; i++) {
		struct sq_qos2_id *h = sq_qos2_in_find(&s->in.qos2, held[i]);

		if (h == NULL || h->stored) /* released by this batch */
			continue;
		h->stored = true;
		stored_put(s, txn, SQ_RECORD_HELD, h->id, nothing);
	}
}

void
sq_persist_released(struct sq_session *s, struct sq_txn *txn, uint16_t packet_id)
{
	stored_delete(s, txn, SQ_RECORD_HELD, packet_id);
}

/* Down. */

bool
sq_persist_announced(const struct sq_session *s, const struct sq_queue_ref *from)
{
	return sq_persist_engine(s->shard->broker) &&
	    (sq_queue_ref_own(from) ? s->id.durable : from->sink->durable);
}

void
sq_persist_open(struct sq_session *s, struct sq_txn *txn, struct sq_slot *slot)
{
	const struct sq_block *subs = slot->subs;
	size_t n = subs != NULL ? subs->size / sizeof(uint32_t) : 0;
	struct sq_buf v = {0};

	if (!s->stored.base)
		sq_persist_base(s, txn);
	slot->stored = true;
	sq_buf_u8(&v, slot->state);
	sq_buf_u8(&v, slot->qos);
	sq_buf_u8(&v, slot->retain);
	sq_buf_u8(&v, 0);
	sq_buf_u64(&v, sq_queue_ref_own(&slot->from) ? slot->orphan_queue : slot->from.id);
	sq_buf_u64(&v, slot->item.seq);
	sq_buf_u64(&v, slot->order);
	sq_origin_put(&v, &slot->item.origin);
	sq_buf_u16(&v, (uint16_t)n);
	for (size_t i = 0; i < n; i++)
		sq_buf_u32(&v, ((const uint32_t *)(const void *)subs->bytes)[i]);
	stored_put_buf(s, txn, SQ_RECORD_OPEN, sq_slot_packet_id(&s->window, slot), &v);
}

void
sq_persist_finished(struct sq_session *s, struct sq_txn *txn, struct sq_slot *slot)
{
	if (!slot->stored)
		return;
	slot->stored = false;
	stored_delete(s, txn, SQ_RECORD_OPEN, sq_slot_packet_id(&s->window, slot));
}

/* Subscriptions. */

void
sq_persist_subscription(
    struct sq_session *s, struct sq_txn *txn, struct sq_subscription *sub, const struct sq_sub *e)
{
	struct sq_buf v = {0};

	if (!s->id.durable || !sq_persist_engine(s->shard->broker))
		return;
	if (sub->number == 0)
		sub->number = ++s->stored.next_sub;
	sq_buf_u16(&v, 1);
	sq_sub_put(&v, e, SQ_SUB_STORED_VERSION);
	stored_put_buf(s, txn, SQ_RECORD_SUBSCRIPTION, sub->number, &v);
}

void
sq_persist_unsubscribed(struct sq_session *s, struct sq_txn *txn, struct sq_subscription *sub)
{
	if (sub->number != 0 && txn != NULL)
		stored_delete(s, txn, SQ_RECORD_SUBSCRIPTION, sub->number);
}

void
sq_persist_end(struct sq_session *s, struct sq_txn *txn)
{
	if (!s->stored.base)
		return;
	for (uint32_t i = 0; i < s->in.qos2.n; i++) {
		if (s->in.qos2.ids[i].stored)
			stored_delete(s, txn, SQ_RECORD_HELD, s->in.qos2.ids[i].id);
	}
	if (s->stored.lane)
		stored_delete(s, txn, SQ_RECORD_LANE, 1);
	stored_delete(s, txn, SQ_RECORD_SESSION, 0);
	s->stored.base = s->stored.lane = false;
}
