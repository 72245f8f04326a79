#include "broker/session/window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/group/group.h"
#include "broker/session/persist.h"
#include "broker/session/session.h"
#include "broker/session/txn.h"
#include "core/mem.h"

enum { SLOT_BYTES = 2 * sizeof(struct sq_slot) }; /* of their array half may be empty */

/* Makes the list of free slots anew, low ids first. */
static void
window_chain(struct sq_session *s)
{
	s->window.free_slot = 0;
	for (uint32_t i = s->window.cap_slots; i > 0; i--) {
		if (s->window.slots[i - 1].state != 0)
			continue;
		s->window.slots[i - 1].next_free = (uint16_t)s->window.free_slot;
		s->window.free_slot = i;
	}
}

static void
window_grow(struct sq_session *s, uint32_t want)
{
	uint32_t cap = s->window.cap_slots > 0 ? s->window.cap_slots : 8;

	while (cap < want)
		cap *= 2;
	if (cap > UINT16_MAX)
		cap = UINT16_MAX;
	if (cap <= s->window.cap_slots)
		return;
	s->window.slots = sq_xrealloc(s->window.slots, cap * sizeof(*s->window.slots));
	memset(s->window.slots + s->window.cap_slots, 0,
	    (cap - s->window.cap_slots) * sizeof(*s->window.slots));
	s->window.cap_slots = cap;
	window_chain(s);
}

struct sq_slot *
sq_slot_restore(struct sq_session *s, uint16_t packet_id)
{
	struct sq_slot *slot;

	window_grow(s, packet_id);
	slot = &s->window.slots[packet_id - 1];
	if (slot->state != 0)
		return NULL;
	memset(slot, 0, sizeof *slot);
	s->window.n_slots++;
	return slot;
}

void
sq_window_restored(struct sq_session *s)
{
	window_chain(s);
}

struct sq_slot *
sq_slot_take(struct sq_session *s)
{
	struct sq_slot *slot;

	if (s->window.free_slot == 0)
		window_grow(s, s->window.cap_slots + 1);
	assert(s->window.free_slot != 0);
	slot = &s->window.slots[s->window.free_slot - 1];
	s->window.free_slot = slot->next_free;
	slot->order = s->window.next_order++;
	s->window.n_slots++;
	return slot;
}

void
sq_slot_weigh(struct sq_session *s, struct sq_slot *slot)
{
	const unsigned char *image = slot->item.msg.image;
	uint32_t weight = image != NULL ? sq_image_size(image) + SLOT_BYTES : 0;

	s->window.open_bytes += weight;
	s->window.open_bytes -= slot->weight;
	slot->weight = weight;
	sq_window_charge(s);
}

void
sq_window_charge(struct sq_session *s)
{
	sq_charge_set(&s->window.charge, s->window.open_bytes + s->window.pending.bytes);
}

uint16_t
sq_slot_packet_id(const struct sq_session *s, const struct sq_slot *slot)
{
	return (uint16_t)(slot - s->window.slots + 1);
}

void
sq_slot_number(struct sq_session *s, struct sq_slot *slot)
{
	uint64_t span = s->window.ids.next - s->window.ids.base;

	if (span == s->window.ids.cap) {
		uint32_t cap = s->window.ids.cap > 0 ? s->window.ids.cap * 2 : 64;
		uint16_t *ring = sq_xcalloc(cap, sizeof *ring);

		for (uint64_t d = s->window.ids.base; d < s->window.ids.next; d++)
			ring[d & (cap - 1)] = s->window.ids.slots[d & (s->window.ids.cap - 1)];
		free(s->window.ids.slots);
		s->window.ids.slots = ring;
		s->window.ids.cap = cap;
	}
	slot->delivery = s->window.ids.next++;
	s->window.ids.slots[slot->delivery & (s->window.ids.cap - 1)] = sq_slot_packet_id(s, slot);
}

void
sq_slot_free(struct sq_session *s, struct sq_slot *slot)
{
	if (slot->delivery >= s->window.ids.base && slot->delivery < s->window.ids.next)
		s->window.ids.slots[slot->delivery & (s->window.ids.cap - 1)] = 0;
	while (s->window.ids.base < s->window.ids.next &&
	    s->window.ids.slots[s->window.ids.base & (s->window.ids.cap - 1)] == 0)
		s->window.ids.base++;
	s->window.n_sent -= slot->sent;
	s->window.old.n_expected -= slot->expected;
	sq_item_fini(&slot->item);
	sq_slot_weigh(s, slot);
	sq_block_unref(&slot->subs);
	sq_window_left(s, slot->group);
	sq_group_unref(&slot->group);
	memset(slot, 0, sizeof *slot);
	slot->next_free = (uint16_t)s->window.free_slot;
	s->window.free_slot = sq_slot_packet_id(s, slot);
	s->window.n_slots--;
}

struct sq_slot *
sq_slot_find(struct sq_session *s, uint64_t delivery)
{
	uint16_t id;

	if (delivery < s->window.ids.base || delivery >= s->window.ids.next)
		return NULL;
	id = s->window.ids.slots[delivery & (s->window.ids.cap - 1)];
	return id != 0 ? &s->window.slots[id - 1] : NULL;
}

void
sq_slot_sent(struct sq_session *s, struct sq_slot *slot)
{
	slot->sent = true;
	s->window.n_sent++;
}

/* The row of chosen slots. */

void
sq_unsent_push(struct sq_session *s, struct sq_slot *slot)
{
	uint16_t id = sq_slot_packet_id(s, slot);

	slot->unsent = true;
	slot->next_unsent = 0;
	if (s->window.unsent_last != 0)
		s->window.slots[s->window.unsent_last - 1].next_unsent = id;
	else
		s->window.unsent_first = id;
	s->window.unsent_last = id;
}

struct sq_slot *
sq_unsent_first(const struct sq_session *s)
{
	return s->window.unsent_first != 0 ? &s->window.slots[s->window.unsent_first - 1] : NULL;
}

void
sq_unsent_pop(struct sq_session *s)
{
	struct sq_slot *slot = sq_unsent_first(s);

	slot->unsent = false;
	s->window.unsent_first = slot->next_unsent;
	if (s->window.unsent_first == 0)
		s->window.unsent_last = 0;
}

void
sq_window_unattach(struct sq_session *s)
{
	while (s->window.unsent_first != 0)
		sq_unsent_pop(s);
}

/* What is expected. */

struct sq_slot *
sq_window_expected(struct sq_session *s, struct sq_pending *r)
{
	uint64_t queue = r->group != NULL ? r->group->id : 0;

	for (uint32_t i = 0; i < s->window.cap_slots && s->window.old.n_expected > 0; i++) {
		struct sq_slot *slot = &s->window.slots[i];

		if (!slot->expected || slot->orphan_queue != queue ||
		    !sq_origin_equal(&slot->item.origin, &r->item.origin))
			continue;
		slot->expected = false;
		s->window.old.n_expected--;
		slot->item = r->item;
		sq_slot_weigh(s, slot);
		slot->group = r->group;
		slot->orphan_queue = 0;
		return slot;
	}
	return NULL;
}

void
sq_window_acked(struct sq_session *s, const struct sq_slot *slot)
{
	if (slot->orphan_queue != 0 || s->window.old.items == 0)
		return;
	if ((s->window.old.n_acked & (s->window.old.n_acked - 1)) == 0) /* a power of two is full */
		s->window.old.acked = sq_xrealloc(s->window.old.acked,
		    (s->window.old.n_acked > 0 ? s->window.old.n_acked * 2 : 1) *
			sizeof(*s->window.old.acked));
	s->window.old.acked[s->window.old.n_acked++] = slot->item.origin;
}

bool
sq_window_was_acked(struct sq_session *s, const struct sq_pending *r)
{
	for (uint32_t i = 0; i < s->window.old.n_acked && r->group == NULL; i++) {
		if (!sq_origin_equal(&s->window.old.acked[i], &r->item.origin))
			continue;
		s->window.old.acked[i] = s->window.old.acked[--s->window.old.n_acked];
		return true;
	}
	return false;
}

struct sq_pending *
sq_pending_at(const struct sq_session *s, uint32_t i)
{
	return &s->window.pending.ring[(s->window.pending.head + i) & (s->window.pending.cap - 1)];
}

/* Makes room for one more. */
static void
ready_grow(struct sq_session *s)
{
	uint32_t cap = s->window.pending.cap > 0 ? s->window.pending.cap * 2 : 8;
	struct sq_pending *ring;

	if (s->window.pending.n < s->window.pending.cap)
		return;
	ring = sq_xmalloc(cap * sizeof *ring);
	for (uint32_t i = 0; i < s->window.pending.n; i++)
		ring[i] = *sq_pending_at(s, i);
	free(s->window.pending.ring);
	s->window.pending.ring = ring;
	s->window.pending.cap = cap;
	s->window.pending.head = 0;
}

void
sq_pending_push(struct sq_session *s, const struct sq_pending *r)
{
	ready_grow(s);
	*sq_pending_at(s, s->window.pending.n++) = *r;
	s->window.pending.bytes += sq_image_size(r->item.msg.image);
}

void
sq_pending_unpop(struct sq_session *s, const struct sq_pending *r)
{
	ready_grow(s);
	s->window.pending.head = (s->window.pending.head - 1) & (s->window.pending.cap - 1);
	s->window.pending.n++;
	*sq_pending_at(s, 0) = *r;
	s->window.pending.bytes += sq_image_size(r->item.msg.image);
}

struct sq_pending
sq_pending_pop(struct sq_session *s)
{
	struct sq_pending r = *sq_pending_at(s, 0);

	s->window.pending.head = (s->window.pending.head + 1) & (s->window.pending.cap - 1);
	s->window.pending.n--;
	s->window.pending.bytes -= sq_image_size(r.item.msg.image);
	return r;
}

void
sq_pending_drop(struct sq_session *s, uint32_t n)
{
	assert(n <= s->window.pending.n);
	if (n > 0)
		s->window.pending.head = (s->window.pending.head + n) & (s->window.pending.cap - 1);
	s->window.pending.n -= n;
}

void
sq_window_left(struct sq_session *s, const struct sq_group *g)
{
	if (g == NULL)
		return;
	SQ_LIST_FOR_EACH(m, &s->members, struct sq_member, node) {
		if (m->group == g && m->open > 0)
			m->open--;
	}
}

struct sq_queue *
sq_window_queue(const struct sq_session *s, const struct sq_group *g)
{
	return g != NULL ? g->sink.queue : s->flow.sink.queue;
}

void
sq_window_drop(struct sq_session *s, struct sq_background_txn **background, struct sq_pending *r)
{
	if (r->item.qos > 0) {
		struct sq_txn *txn = sq_background_txn(s, background);

		s->flow.sink.engine->ops->txn.settle(
		    txn, sq_window_queue(s, r->group), &r->item, SQ_DONE);
	}
	sq_item_fini(&r->item);
	sq_window_left(s, r->group);
	sq_group_unref(&r->group);
}

/* What the answer to a PUT lists. */

/* By first sending.  After a restart the row of the own queue says more: what lost its
 * slot by that has another one by now. */
static int
slot_order(const void *a, const void *b, void *arg)
{
	const struct sq_session *s = arg;
	const struct sq_slot *x = &s->window.slots[*(const uint16_t *)a];
	const struct sq_slot *y = &s->window.slots[*(const uint16_t *)b];
	bool own_x = x->group == NULL && x->item.msg.image != NULL;
	bool own_y = y->group == NULL && y->item.msg.image != NULL;

	if (s->window.old.reordered && own_x != own_y)
		return own_x - own_y;
	if (s->window.old.reordered && own_x)
		return x->item.seq < y->item.seq ? -1 : x->item.seq > y->item.seq;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void
slot_orphan(struct sq_session *s, struct sq_slot *slot, const struct sq_open_id *id)
{
	*slot = (struct sq_slot){.state = SQ_OPEN_ORPHAN,
	    .order = s->window.next_order++,
	    .item.origin = id->origin,
	    .orphan_queue = id->queue};
}

/* Ids that the client has open from another incarnation stay taken; what has
 * such an id here goes to another one, for this client has not seen it. */
static void
window_orphans(
    struct sq_session *s, const struct sq_attach *a, struct sq_background_txn **background)
{
	struct sq_open_id *clash = sq_xcalloc(a->n_open + 1u, sizeof *clash);
	bool stores = s->id.durable && sq_persist_engine(s->shard->broker);
	struct sq_bytes open = a->open;
	uint32_t n = 0;

	for (uint16_t i = 0; i < a->n_open; i++) {
		struct sq_open_id id = sq_open_id_next(&open, false);
		struct sq_slot *slot;

		window_grow(s, id.packet_id);
		slot = &s->window.slots[id.packet_id - 1];
		if (slot->state == 0) {
			slot_orphan(s, slot, &id);
			s->window.n_slots++;
			if (stores)
				sq_persist_open(s, sq_background_txn(s, background), slot);
		} else if (slot->state != SQ_OPEN_ORPHAN) {
			clash[n++] = id;
		}
	}
	window_chain(s);
	for (uint32_t i = 0; i < n && s->window.n_slots < UINT16_MAX; i++) {
		struct sq_slot *to = sq_slot_take(s),
			       *from = &s->window.slots[clash[i].packet_id - 1];

		if (from->state == SQ_OPEN_ORPHAN) { /* the id was named twice */
			sq_slot_free(s, to);
			continue;
		}
		*to = *from;
		if (to->stored)
			sq_persist_open(s, sq_background_txn(s, background), to);
		slot_orphan(s, from, &clash[i]);
		if (to->stored || stores)
			sq_persist_open(s, sq_background_txn(s, background), from);
	}
	free(clash);
}

/* What another connection of the client has expected is not this one's. */
static void
window_unexpected(struct sq_session *s)
{
	for (uint32_t i = 0; i < s->window.cap_slots && s->window.old.n_expected > 0; i++) {
		if (s->window.slots[i].expected && !s->window.slots[i].listed)
			sq_slot_free(s, &s->window.slots[i]);
		else
			s->window.slots[i].listed = false;
	}
}

/* An id that the client has, and of which the broker has no delivery since it was
 * started again: the message of a durable session comes again, others are gone. */
static void
window_lost(
    struct sq_session *s, const struct sq_open_id *id, struct sq_background_txn **background)
{
	bool waits = s->id.durable && id->state == SQ_OPEN_QOS1 &&
	    (id->queue != 0 || s->window.old.items > 0);
	struct sq_slot *slot;

	if (s->id.durable && !waits && id->state != SQ_OPEN_ORPHAN)
		return; /* finished, though the client was not told */
	slot = sq_slot_restore(s, id->packet_id);
	slot_orphan(s, slot, id);
	if (waits) {
		slot->state = SQ_OPEN_QOS1;
		slot->expected = slot->listed = true;
		s->window.old.n_expected++;
	} else if (s->id.durable) {
		sq_persist_open(s, sq_background_txn(s, background), slot);
	}
}

void
sq_window_list(struct sq_session *s, const struct sq_attach *a, bool fresh,
    struct sq_background_txn **background)
{
	struct sq_bytes open = a->open;

	if (fresh) {
		window_orphans(s, a, background);
		window_unexpected(s);
		return;
	}
	for (uint16_t i = 0; i < a->n_open && (s->stored.restored || s->window.old.n_expected > 0);
	     i++) {
		struct sq_open_id id = sq_open_id_next(&open, false);
		struct sq_slot *slot = id.packet_id <= s->window.cap_slots
		    ? &s->window.slots[id.packet_id - 1]
		    : NULL;

		if (slot != NULL && slot->state != 0)
			slot->listed = slot->expected && slot->orphan_queue == id.queue &&
			    sq_origin_equal(&slot->item.origin, &id.origin);
		else if (s->stored.restored)
			window_lost(s, &id, background);
	}
	window_chain(s);
	window_unexpected(s);
}

uint16_t
sq_window_attach(struct sq_session *s, const struct sq_attach *a, struct sq_open_id **out)
{
	uint16_t n = 0, *order;

	s->window.ids.base = s->window.ids.next = 1;
	s->flow.used_msgs = s->flow.used_bytes = 0;
	s->flow.credit_msgs = s->flow.credit_bytes = 0;
	s->window.n_sent = 0;
	s->window.receive_max = a->receive_max;
	if (s->window.receive_max > s->shard->broker->cfg.max_inflight)
		s->window.receive_max = (uint16_t)s->shard->broker->cfg.max_inflight;
	free(s->window.resend.slots);
	s->window.resend.slots = NULL;
	s->window.resend.n = s->window.resend.at = 0;
	if (s->window.old.items == 0 && s->window.pending.n == 0)
		s->window.old.n_acked = 0;
	*out = NULL;
	if (s->window.n_slots == 0)
		return 0;
	order = sq_xmalloc(s->window.n_slots * sizeof *order);
	for (uint32_t i = 0; i < s->window.cap_slots; i++) {
		if (s->window.slots[i].state != 0)
			order[n++] = (uint16_t)i;
	}
	qsort_r(order, n, sizeof *order, slot_order, s);
	*out = sq_xcalloc(n, sizeof **out);
	for (uint16_t i = 0; i < n; i++) {
		struct sq_slot *slot = &s->window.slots[order[i]];

		sq_slot_number(s, slot);
		slot->sent = false;
		if (slot->state == SQ_OPEN_RECEIVED || slot->state == SQ_OPEN_ORPHAN)
			sq_slot_sent(s, slot);
		(*out)[i] = (struct sq_open_id){
		    .packet_id = sq_slot_packet_id(s, slot),
		    .state = slot->state,
		    .queue = slot->group != NULL ? slot->group->id : slot->orphan_queue,
		    .origin = slot->item.origin,
		    .delivery = slot->delivery,
		};
	}
	s->window.resend.slots = order;
	s->window.resend.n = n;
	return n;
}
