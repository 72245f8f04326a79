/* Messages down: from queues through ready and slots to the link, and what the
 * sidecar says of them (docs/link.md, "a delivery at the broker"). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/group.h"
#include "broker/pace.h"
#include "broker/session.h"
#include "broker/txn.h"
#include "core/mem.h"

enum {
	READY_MAX = 256,        /* handed items that wait for credit, per queue */
	DELIVERIES_MAX = 65536, /* span of open delivery ids */
	TURN_MAX = 512,         /* deliveries of one session in one turn */
};

/* Slots. */

/* Makes the list of free slots anew, low ids first. */
static void
slots_chain(struct sq_session *s)
{
	s->free_slot = 0;
	for (uint32_t i = s->cap_slots; i > 0; i--) {
		if (s->slots[i - 1].state != 0)
			continue;
		s->slots[i - 1].next_free = (uint16_t)s->free_slot;
		s->free_slot = i;
	}
}

static void
slots_grow(struct sq_session *s, uint32_t want)
{
	uint32_t cap = s->cap_slots > 0 ? s->cap_slots : 8;

	while (cap < want)
		cap *= 2;
	if (cap > UINT16_MAX)
		cap = UINT16_MAX;
	if (cap <= s->cap_slots)
		return;
	s->slots = sq_xrealloc(s->slots, cap * sizeof(*s->slots));
	memset(s->slots + s->cap_slots, 0, (cap - s->cap_slots) * sizeof(*s->slots));
	s->cap_slots = cap;
	slots_chain(s);
}

/* Takes a free slot; there is one while fewer than UINT16_MAX are taken. */
static struct sq_slot *
slot_take(struct sq_session *s)
{
	struct sq_slot *slot;

	if (s->free_slot == 0)
		slots_grow(s, s->cap_slots + 1);
	assert(s->free_slot != 0);
	slot = &s->slots[s->free_slot - 1];
	s->free_slot = slot->next_free;
	slot->order = s->next_order++;
	s->n_slots++;
	return slot;
}

static uint16_t
slot_packet_id(const struct sq_session *s, const struct sq_slot *slot)
{
	return (uint16_t)(slot - s->slots + 1);
}

/* Gives a new delivery id to the slot. */
static void
slot_number(struct sq_session *s, struct sq_slot *slot)
{
	uint64_t span = s->next_delivery - s->base_delivery;

	if (span == s->cap_delivery) {
		uint32_t cap = s->cap_delivery > 0 ? s->cap_delivery * 2 : 64;
		uint16_t *ring = sq_xcalloc(cap, sizeof *ring);

		for (uint64_t d = s->base_delivery; d < s->next_delivery; d++)
			ring[d & (cap - 1)] = s->by_delivery[d & (s->cap_delivery - 1)];
		free(s->by_delivery);
		s->by_delivery = ring;
		s->cap_delivery = cap;
	}
	slot->delivery = s->next_delivery++;
	s->by_delivery[slot->delivery & (s->cap_delivery - 1)] = slot_packet_id(s, slot);
}

static void
slot_free(struct sq_session *s, struct sq_slot *slot)
{
	if (slot->delivery >= s->base_delivery && slot->delivery < s->next_delivery)
		s->by_delivery[slot->delivery & (s->cap_delivery - 1)] = 0;
	while (s->base_delivery < s->next_delivery &&
	    s->by_delivery[s->base_delivery & (s->cap_delivery - 1)] == 0)
		s->base_delivery++;
	s->n_sent -= slot->sent;
	sq_item_fini(&slot->item);
	sq_block_unref(&slot->subs);
	sq_group_unref(&slot->group);
	memset(slot, 0, sizeof *slot);
	slot->next_free = (uint16_t)s->free_slot;
	s->free_slot = slot_packet_id(s, slot);
	s->n_slots--;
}

static struct sq_slot *
slot_find(struct sq_session *s, uint64_t delivery)
{
	uint16_t id;

	if (delivery < s->base_delivery || delivery >= s->next_delivery)
		return NULL;
	id = s->by_delivery[delivery & (s->cap_delivery - 1)];
	return id != 0 ? &s->slots[id - 1] : NULL;
}

/* Where an item came from. */
static struct sq_queue *
deliver_queue(const struct sq_session *s, const struct sq_group *g)
{
	return g != NULL ? g->sink.queue : s->sink.queue;
}

/* Ready ring. */

static struct sq_ready *
ready_at(const struct sq_session *s, uint32_t i)
{
	return &s->ready[(s->ready_head + i) & (s->cap_ready - 1)];
}

static struct sq_ready *
ready_push(struct sq_session *s)
{
	if (s->n_ready == s->cap_ready) {
		uint32_t cap = s->cap_ready > 0 ? s->cap_ready * 2 : 8;
		struct sq_ready *ring = sq_xmalloc(cap * sizeof *ring);

		for (uint32_t i = 0; i < s->n_ready; i++)
			ring[i] = *ready_at(s, i);
		free(s->ready);
		s->ready = ring;
		s->cap_ready = cap;
		s->ready_head = 0;
	}
	return ready_at(s, s->n_ready++);
}

static struct sq_ready
ready_pop(struct sq_session *s)
{
	struct sq_ready r = *ready_at(s, 0);

	s->ready_head = (s->ready_head + 1) & (s->cap_ready - 1);
	s->n_ready--;
	return r;
}

static void
deliver_take_own(struct sq_consumer *c, struct sq_item *items, size_t n)
{
	struct sq_session *s = SQ_CONTAINER_OF(c, struct sq_session, consumer);

	s->demanded -= (uint32_t)n;
	for (size_t i = 0; i < n; i++)
		*ready_push(s) = (struct sq_ready){.item = items[i]};
	sq_pace_taken(s->shard, &s->sink);
	sq_deliver_pump(s);
}

void
sq_deliver_take_member(struct sq_consumer *c, struct sq_item *items, size_t n)
{
	struct sq_member *m = SQ_CONTAINER_OF(c, struct sq_member, consumer);
	struct sq_session *s = m->session;

	m->demanded -= m->demanded < n ? m->demanded : (uint32_t)n; /* 0 once it has left */
	for (size_t i = 0; i < n; i++)
		*ready_push(s) = (struct sq_ready){items[i], sq_group_ref(m->group), m};
	if (sq_list_empty(&m->node) || s->state != SQ_SESSION_ATTACHED) /* it has left meanwhile */
		sq_deliver_return_ready(s, false);
	sq_pace_taken(s->shard, &m->group->sink);
	sq_deliver_pump(s);
}

static void
deliver_cancelled(struct sq_consumer *c)
{
	sq_session_unpin(SQ_CONTAINER_OF(c, struct sq_session, consumer));
}

/* Sending. */

static bool
deliver_has_credit(const struct sq_session *s)
{
	return s->used_msgs < s->credit_msgs && s->used_bytes < s->credit_bytes;
}

static uint32_t
deliver_expiry_s(const struct sq_item *item, uint64_t now_ms)
{
	if (item->expires_ms == 0)
		return SQ_MSG_NO_EXPIRY;
	return item->expires_ms > now_ms ? (uint32_t)((item->expires_ms - now_ms + 999) / 1000) : 1;
}

/* Writes one delivery; 'slot' is NULL at QoS 0. */
static void
deliver_send(struct sq_session *s, const struct sq_item *item, const struct sq_group *group,
    const struct sq_slot *slot, uint8_t qos, bool retain, const struct sq_block *subs, bool again)
{
	struct sq_target t = {
		.epoch = s->epoch,
		.delivery = slot != NULL ? slot->delivery : 0,
		.queue = group != NULL ? group->id : 0,
		.packet_id = slot != NULL ? slot_packet_id(s, slot) : 0,
		.flags = (uint8_t)(qos | (retain ? SQ_TARGET_RETAIN : 0) |
		    (again ? SQ_TARGET_REDELIVERED : 0)),
		.n_subs = (uint8_t)(subs != NULL ? subs->size / sizeof(uint32_t) : 0),
	};

	s->used_msgs++;
	s->used_bytes += sq_image_size(item->msg.image);
	sq_link_deliver(s->link, &item->msg, qos > 0 ? &item->origin : NULL,
	    deliver_expiry_s(item, sq_worker_now_ms(s->shard->worker)), &t,
	    subs != NULL ? (const uint32_t *)(const void *)subs->bytes : NULL);
	sq_count(s->shard->broker, SQ_M_SENT_QOS0 + qos, 1);
}

static void
slot_sent(struct sq_session *s, struct sq_slot *slot)
{
	slot->sent = true;
	s->n_sent++;
}

/* Whether the client may get one more of QoS 1 or 2. */
static bool
deliver_may_send(const struct sq_session *s)
{
	return s->n_sent < s->receive_max;
}

static bool
deliver_has_slot(const struct sq_session *s)
{
	return deliver_may_send(s) && s->n_slots < UINT16_MAX && s->next_delivery - s->base_delivery < DELIVERIES_MAX;
}

/* Settles an item that needs no answer, or no longer has anybody to give one. */
static void
deliver_drop(struct sq_session *s, struct sq_loose_txn **loose, struct sq_ready *r)
{
	if (r->item.qos > 0) {
		struct sq_txn *txn = sq_loose_txn(s, loose);

		s->sink.engine->ops->settle(txn, deliver_queue(s, r->group), &r->item, SQ_DONE);
	}
	sq_item_fini(&r->item);
	sq_group_unref(&r->group);
}

/* Writes an item that has credit and, above QoS 0, a slot; takes it. */
static void
deliver_item(struct sq_session *s, struct sq_loose_txn **loose, struct sq_ready *r, uint8_t qos)
{
	const struct sq_member *m = r->member;
	bool retain = r->item.retain && (m == NULL || m->as_published);
	struct sq_block *subs = m != NULL ? m->subs : r->item.subs;
	struct sq_slot *slot;

	if (qos == 0) {
		deliver_send(s, &r->item, r->group, NULL, 0, retain, subs, false);
		deliver_drop(s, loose, r);
		return;
	}
	slot = slot_take(s);
	slot->item = r->item;
	slot->group = r->group;
	slot->state = qos == 1 ? SQ_OPEN_QOS1 : SQ_OPEN_QOS2;
	slot->qos = qos;
	slot->retain = retain;
	slot->subs = subs;
	if (subs != NULL)
		sq_block_ref(subs);
	slot_number(s, slot);
	slot_sent(s, slot);
	deliver_send(s, &slot->item, slot->group, slot, qos, retain, subs, false);
}

static bool
deliver_may(const struct sq_session *s, uint8_t qos)
{
	return deliver_has_credit(s) && (qos == 0 || deliver_has_slot(s));
}

/* Sends the first ready item; false if it must wait. */
static bool
deliver_next(struct sq_session *s, struct sq_loose_txn **loose)
{
	struct sq_ready *first = ready_at(s, 0), r;
	const struct sq_member *m = first->member;
	uint8_t qos = m != NULL && m->max_qos < first->item.qos ? m->max_qos : first->item.qos;
	uint64_t now_ms = sq_worker_now_ms(s->shard->worker);

	if (first->item.expires_ms != 0 && first->item.expires_ms <= now_ms) {
		r = ready_pop(s);
		sq_count(s->shard->broker, SQ_M_DROPPED_EXPIRED, 1);
		deliver_drop(s, loose, &r);
		return true;
	}
	if (!deliver_may(s, qos))
		return false;
	r = ready_pop(s);
	deliver_item(s, loose, &r, qos);
	return true;
}

static bool
deliver_again(struct sq_session *s)
{
	struct sq_slot *slot = &s->slots[s->resend[s->resend_at]];

	if (slot->state == SQ_OPEN_QOS1 || slot->state == SQ_OPEN_QOS2) {
		if (!deliver_has_credit(s) || !deliver_may_send(s))
			return false;
		slot_sent(s, slot);
		deliver_send(s, &slot->item, slot->group, slot, slot->qos, slot->retain, slot->subs, true);
	}
	if (++s->resend_at == s->n_resend) {
		free(s->resend);
		s->resend = NULL;
		s->n_resend = s->resend_at = 0;
	}
	return true;
}

/* Asks the queues for as much as may be sent soon. */
static void
deliver_demand(struct sq_session *s)
{
	const struct sq_engine_ops *ops = s->sink.engine->ops;
	uint64_t room = s->credit_msgs - s->used_msgs;
	uint32_t want = room < READY_MAX ? (uint32_t)room : READY_MAX;

	if (!deliver_has_credit(s) || s->n_ready >= READY_MAX / 2)
		return;
	if (s->demanded <= want / 2) {
		uint32_t more = want - s->demanded;

		s->demanded += more;
		ops->demand(&s->consumer, more);
	}
	SQ_LIST_FOR_EACH (m, &s->members, struct sq_member, node) {
		/* No more than may leave: other members could have the rest. */
		uint32_t share = s->n_slots < s->receive_max ? s->receive_max - s->n_slots : 0;

		share = share < want ? share : want;
		share -= s->n_ready < share ? s->n_ready : share;
		if (m->consumer.queue == NULL || m->consumer.stopped || m->demanded > share / 2 ||
		    share == 0)
			continue;
		share -= m->demanded;
		m->demanded += share;
		ops->demand(&m->consumer, share);
	}
}

static void
deliver_some(struct sq_session *s)
{
	struct sq_loose_txn *loose = NULL;
	int n = 0;

	while (n++ < TURN_MAX) {
		if ((n & 31) == 1 && !sq_link_writable(s->link)) {
			if (sq_list_empty(&s->blocked))
				sq_list_push_back(&s->shard->blocked, &s->blocked);
			break;
		}
		if (s->n_resend > 0 ? !deliver_again(s) : s->n_ready == 0 || !deliver_next(s, &loose))
			break;
	}
	if (n > TURN_MAX)
		sq_deliver_pump(s);
	sq_loose_commit(&loose);
	deliver_demand(s);
}

bool
sq_deliver_now(struct sq_session *s, struct sq_txn *txn, struct sq_item *item)
{
	struct sq_ready r;

	if (s->state != SQ_SESSION_ATTACHED || s->n_ready > 0 || s->n_resend > 0 ||
	    !deliver_may(s, item->qos) || !sq_link_writable(s->link) ||
	    !s->sink.engine->ops->pass(txn, &s->consumer, item))
		return false;
	s->demanded--;
	s->sink.taken_ms = sq_worker_now_ms(s->shard->worker);
	r = (struct sq_ready){.item = *item};
	deliver_item(s, NULL, &r, item->qos); /* at QoS 0 there is nothing to settle */
	deliver_demand(s);
	return true;
}

static void
deliver_run(struct sq_task *t)
{
	struct sq_session *s = SQ_CONTAINER_OF(t, struct sq_session, pump);

	s->pump_posted = false;
	if (s->state == SQ_SESSION_ATTACHED)
		deliver_some(s);
	sq_session_unpin(s);
}

void
sq_deliver_pump(struct sq_session *s)
{
	if (s->pump_posted || s->state != SQ_SESSION_ATTACHED)
		return;
	s->pump_posted = true;
	sq_session_pin(s);
	sq_worker_post(s->shard->worker, &s->pump);
}

void
sq_deliver_init(struct sq_session *s)
{
	s->pump.run = deliver_run;
	s->next_delivery = s->base_delivery = 1;
	s->consumer.worker = s->shard->worker;
	s->consumer.take = deliver_take_own;
	s->consumer.cancelled = deliver_cancelled;
	sq_list_init(&s->consumer.node);
	sq_session_pin(s);
	s->sink.engine->ops->consume(s->sink.queue, &s->consumer);
}

void
sq_deliver_fini(struct sq_session *s)
{
	assert(s->n_ready == 0 && s->n_slots == 0);
	free(s->slots);
	free(s->by_delivery);
	free(s->resend);
	free(s->ready);
}

/* Settlements. */

static void
settle_one(struct sq_session *s, struct sq_txn *txn, struct sq_slot *slot, const struct sq_settle *e)
{
	const struct sq_engine_ops *ops = s->sink.engine->ops;
	struct sq_queue *q = deliver_queue(s, slot->group);
	bool has_item = slot->item.msg.image != NULL;

	if (!has_item && e->kind != SQ_SETTLE_COMPLETE)
		return; /* received or an orphan: the client holds the id until PUBCOMP */
	switch ((enum sq_settle_kind)e->kind) {
	case SQ_SETTLE_RECEIVED:
		if (slot->state != SQ_OPEN_QOS2)
			return;
		ops->settle(txn, q, &slot->item, SQ_DONE);
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
		if (has_item)
			ops->settle(txn, q, &slot->item, e->kind == SQ_SETTLE_REJECT ? SQ_REJECT : SQ_DONE);
		break;
	}
	slot_free(s, slot);
}

/* A settlement names each open id once; more is work for nothing. */
static bool
settle_bounded(struct sq_bytes entries)
{
	struct sq_settle e;
	uint64_t n = 0;

	while (sq_settle_next(&entries, &e))
		n += e.n;
	return n <= 2 * DELIVERIES_MAX;
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
			struct sq_slot *slot = slot_find(s, e.delivery + i);

			if (slot != NULL) /* an unknown id was settled before */
				settle_one(s, &op->txn, slot, &e);
		}
	}
	sq_op_commit(op);
	sq_deliver_pump(s);
}

/* Attach and detach. */

static int
slot_order(const void *a, const void *b, void *arg)
{
	const struct sq_slot *slots = arg;
	uint64_t x = slots[*(const uint16_t *)a].order, y = slots[*(const uint16_t *)b].order;

	return x < y ? -1 : x > y;
}

static void
slot_orphan(struct sq_session *s, struct sq_slot *slot, const struct sq_open_id *id)
{
	*slot = (struct sq_slot){.state = SQ_OPEN_ORPHAN, .order = s->next_order++,
		.item.origin = id->origin, .orphan_queue = id->queue};
}

/* Ids that the client has open from another incarnation stay taken; what has
 * such an id here goes to another one, for this client has not seen it. */
static void
deliver_orphans(struct sq_session *s, const struct sq_attach *a)
{
	struct sq_open_id *clash = sq_xcalloc(a->n_open + 1u, sizeof *clash);
	struct sq_bytes open = a->open;
	uint32_t n = 0;

	for (uint16_t i = 0; i < a->n_open; i++) {
		struct sq_open_id id = sq_open_id_next(&open, false);
		struct sq_slot *slot;

		slots_grow(s, id.packet_id);
		slot = &s->slots[id.packet_id - 1];
		if (slot->state == 0) {
			slot_orphan(s, slot, &id);
			s->n_slots++;
		} else if (slot->state != SQ_OPEN_ORPHAN) {
			clash[n++] = id;
		}
	}
	slots_chain(s);
	for (uint32_t i = 0; i < n && s->n_slots < UINT16_MAX; i++) {
		struct sq_slot *to = slot_take(s), *from = &s->slots[clash[i].packet_id - 1];

		if (from->state == SQ_OPEN_ORPHAN) { /* the id was named twice */
			slot_free(s, to);
			continue;
		}
		*to = *from;
		slot_orphan(s, from, &clash[i]);
	}
	free(clash);
}

uint16_t
sq_deliver_attach(struct sq_session *s, const struct sq_attach *a, bool fresh,
    struct sq_open_id **out)
{
	uint16_t n = 0, *order;

	if (fresh)
		deliver_orphans(s, a);
	s->base_delivery = s->next_delivery = 1;
	s->used_msgs = s->used_bytes = 0;
	s->credit_msgs = s->credit_bytes = 0;
	s->n_sent = 0;
	s->receive_max = a->receive_max;
	if (s->receive_max > s->shard->broker->cfg.max_inflight)
		s->receive_max = (uint16_t)s->shard->broker->cfg.max_inflight;
	free(s->resend);
	s->resend = NULL;
	s->n_resend = s->resend_at = 0;
	*out = NULL;
	if (s->n_slots == 0)
		return 0;
	order = sq_xmalloc(s->n_slots * sizeof *order);
	for (uint32_t i = 0; i < s->cap_slots; i++) {
		if (s->slots[i].state != 0)
			order[n++] = (uint16_t)i;
	}
	qsort_r(order, n, sizeof *order, slot_order, s->slots);
	*out = sq_xcalloc(n, sizeof **out);
	for (uint16_t i = 0; i < n; i++) {
		struct sq_slot *slot = &s->slots[order[i]];

		slot_number(s, slot);
		slot->sent = false;
		if (slot->state == SQ_OPEN_RECEIVED || slot->state == SQ_OPEN_ORPHAN)
			slot_sent(s, slot);
		(*out)[i] = (struct sq_open_id){
			.packet_id = slot_packet_id(s, slot),
			.state = slot->state,
			.queue = slot->group != NULL ? slot->group->id : slot->orphan_queue,
			.origin = slot->item.origin,
			.delivery = slot->delivery,
		};
	}
	s->resend = order;
	s->n_resend = n;
	return n;
}

/* Gives a ready item back to its queue, or drops it. */
static void
return_ready(struct sq_session *s, struct sq_loose_txn **loose, struct sq_ready *r, bool drop)
{
	if (drop) {
		deliver_drop(s, loose, r);
		return;
	}
	s->sink.engine->ops->settle(sq_loose_txn(s, loose), deliver_queue(s, r->group), &r->item,
	    SQ_UNTRIED);
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
		ops->settle(sq_loose_txn(s, loose), deliver_queue(s, slot->group), &slot->item,
		    give_back ? SQ_REQUEUE : SQ_DONE);
		if (give_back) {
			slot->item.msg = (struct sq_msg){0};
			slot->item.subs = NULL;
		}
	}
	slot_free(s, slot);
}

void
sq_deliver_return_ready(struct sq_session *s, bool all)
{
	struct sq_loose_txn *loose = NULL;

	for (uint32_t n = s->n_ready; n > 0; n--) {
		struct sq_ready r = ready_pop(s);

		if (r.group == NULL && !all)
			*ready_push(s) = r;
		else
			return_ready(s, &loose, &r, r.group == NULL);
	}
	sq_loose_commit(&loose);
}

void
sq_deliver_return(struct sq_session *s, bool all)
{
	struct sq_loose_txn *loose = NULL;

	sq_deliver_return_ready(s, all);
	for (uint32_t i = 0; i < s->cap_slots; i++) {
		if (s->slots[i].state != 0)
			return_slot(s, &loose, &s->slots[i], all);
	}
	sq_loose_commit(&loose);
}

bool
sq_deliver_idle(const struct sq_session *s)
{
	return s->n_ready == 0 && s->n_slots == 0 &&
	    s->sink.engine->ops->queue_depth(s->sink.queue) == 0;
}
