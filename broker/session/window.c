#include "broker/session/window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/group/group.h"
#include "broker/session/persist.h"
#include "core/mem.h"

enum { SLOT_BYTES = 2 * sizeof(struct sq_slot) }; /* of their array half may be empty */

/* Makes the list of free slots anew, low ids first. */
static void
window_chain(struct sq_session *s)
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
window_grow(struct sq_session *s, uint32_t want)
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
	window_chain(s);
}

struct sq_slot *
sq_slot_restore(struct sq_session *s, uint16_t packet_id)
{
	struct sq_slot *slot;

	window_grow(s, packet_id);
	slot = &s->slots[packet_id - 1];
	if (slot->state != 0)
		return NULL;
	memset(slot, 0, sizeof *slot);
	s->n_slots++;
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

	if (s->free_slot == 0)
		window_grow(s, s->cap_slots + 1);
	assert(s->free_slot != 0);
	slot = &s->slots[s->free_slot - 1];
	s->free_slot = slot->next_free;
	slot->order = s->next_order++;
	s->n_slots++;
	return slot;
}

void
sq_slot_weigh(struct sq_session *s, struct sq_slot *slot)
{
	const unsigned char *image = slot->item.msg.image;
	uint32_t weight = image != NULL ? sq_image_size(image) + SLOT_BYTES : 0;

	s->open_bytes += weight;
	s->open_bytes -= slot->weight;
	slot->weight = weight;
	sq_window_charge(s);
}

void
sq_window_charge(struct sq_session *s)
{
	sq_charge_set(&s->charge, s->open_bytes + s->ready_bytes);
}

uint16_t
sq_slot_packet_id(const struct sq_session *s, const struct sq_slot *slot)
{
	return (uint16_t)(slot - s->slots + 1);
}

void
sq_slot_number(struct sq_session *s, struct sq_slot *slot)
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
	s->by_delivery[slot->delivery & (s->cap_delivery - 1)] = sq_slot_packet_id(s, slot);
}

void
sq_slot_free(struct sq_session *s, struct sq_slot *slot)
{
	if (slot->delivery >= s->base_delivery && slot->delivery < s->next_delivery)
		s->by_delivery[slot->delivery & (s->cap_delivery - 1)] = 0;
	while (s->base_delivery < s->next_delivery &&
	    s->by_delivery[s->base_delivery & (s->cap_delivery - 1)] == 0)
		s->base_delivery++;
	s->n_sent -= slot->sent;
	s->n_expected -= slot->expected;
	sq_item_fini(&slot->item);
	sq_slot_weigh(s, slot);
	sq_block_unref(&slot->subs);
	sq_window_left(s, slot->group);
	sq_group_unref(&slot->group);
	memset(slot, 0, sizeof *slot);
	slot->next_free = (uint16_t)s->free_slot;
	s->free_slot = sq_slot_packet_id(s, slot);
	s->n_slots--;
}

struct sq_slot *
sq_slot_find(struct sq_session *s, uint64_t delivery)
{
	uint16_t id;

	if (delivery < s->base_delivery || delivery >= s->next_delivery)
		return NULL;
	id = s->by_delivery[delivery & (s->cap_delivery - 1)];
	return id != 0 ? &s->slots[id - 1] : NULL;
}

void
sq_slot_sent(struct sq_session *s, struct sq_slot *slot)
{
	slot->sent = true;
	s->n_sent++;
}

/* The row of chosen slots. */

void
sq_out_push(struct sq_session *s, struct sq_slot *slot)
{
	uint16_t id = sq_slot_packet_id(s, slot);

	slot->queued = true;
	slot->next_out = 0;
	if (s->out_last != 0)
		s->slots[s->out_last - 1].next_out = id;
	else
		s->out_first = id;
	s->out_last = id;
}

struct sq_slot *
sq_out_first(const struct sq_session *s)
{
	return s->out_first != 0 ? &s->slots[s->out_first - 1] : NULL;
}

void
sq_out_pop(struct sq_session *s)
{
	struct sq_slot *slot = sq_out_first(s);

	slot->queued = false;
	s->out_first = slot->next_out;
	if (s->out_first == 0)
		s->out_last = 0;
}

void
sq_window_unattach(struct sq_session *s)
{
	while (s->out_first != 0)
		sq_out_pop(s);
}

/* What is expected. */

struct sq_slot *
sq_window_expected(struct sq_session *s, struct sq_ready *r)
{
	uint64_t queue = r->group != NULL ? r->group->id : 0;

	for (uint32_t i = 0; i < s->cap_slots && s->n_expected > 0; i++) {
		struct sq_slot *slot = &s->slots[i];

		if (!slot->expected || slot->orphan_queue != queue ||
		    !sq_origin_equal(&slot->item.origin, &r->item.origin))
			continue;
		slot->expected = false;
		s->n_expected--;
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
	if (slot->orphan_queue != 0 || s->old_items == 0)
		return;
	if ((s->n_acked & (s->n_acked - 1)) == 0) /* a power of two is full */
		s->acked = sq_xrealloc(
		    s->acked, (s->n_acked > 0 ? s->n_acked * 2 : 1) * sizeof(*s->acked));
	s->acked[s->n_acked++] = slot->item.origin;
}

bool
sq_window_was_acked(struct sq_session *s, const struct sq_ready *r)
{
	for (uint32_t i = 0; i < s->n_acked && r->group == NULL; i++) {
		if (!sq_origin_equal(&s->acked[i], &r->item.origin))
			continue;
		s->acked[i] = s->acked[--s->n_acked];
		return true;
	}
	return false;
}

struct sq_ready *
sq_ready_at(const struct sq_session *s, uint32_t i)
{
	return &s->ready[(s->ready_head + i) & (s->cap_ready - 1)];
}

/* Makes room for one more. */
static void
ready_grow(struct sq_session *s)
{
	uint32_t cap = s->cap_ready > 0 ? s->cap_ready * 2 : 8;
	struct sq_ready *ring;

	if (s->n_ready < s->cap_ready)
		return;
	ring = sq_xmalloc(cap * sizeof *ring);
	for (uint32_t i = 0; i < s->n_ready; i++)
		ring[i] = *sq_ready_at(s, i);
	free(s->ready);
	s->ready = ring;
	s->cap_ready = cap;
	s->ready_head = 0;
}

void
sq_ready_push(struct sq_session *s, const struct sq_ready *r)
{
	ready_grow(s);
	*sq_ready_at(s, s->n_ready++) = *r;
	s->ready_bytes += sq_image_size(r->item.msg.image);
}

void
sq_ready_unpop(struct sq_session *s, const struct sq_ready *r)
{
	ready_grow(s);
	s->ready_head = (s->ready_head - 1) & (s->cap_ready - 1);
	s->n_ready++;
	*sq_ready_at(s, 0) = *r;
	s->ready_bytes += sq_image_size(r->item.msg.image);
}

struct sq_ready
sq_ready_pop(struct sq_session *s)
{
	struct sq_ready r = *sq_ready_at(s, 0);

	s->ready_head = (s->ready_head + 1) & (s->cap_ready - 1);
	s->n_ready--;
	s->ready_bytes -= sq_image_size(r.item.msg.image);
	return r;
}

void
sq_ready_drop(struct sq_session *s, uint32_t n)
{
	assert(n <= s->n_ready);
	if (n > 0)
		s->ready_head = (s->ready_head + n) & (s->cap_ready - 1);
	s->n_ready -= n;
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
	return g != NULL ? g->sink.queue : s->sink.queue;
}

void
sq_window_drop(struct sq_session *s, struct sq_loose_txn **loose, struct sq_ready *r)
{
	if (r->item.qos > 0) {
		struct sq_txn *txn = sq_loose_txn(s, loose);

		s->sink.engine->ops->txn.settle(
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
	const struct sq_slot *x = &s->slots[*(const uint16_t *)a];
	const struct sq_slot *y = &s->slots[*(const uint16_t *)b];
	bool own_x = x->group == NULL && x->item.msg.image != NULL;
	bool own_y = y->group == NULL && y->item.msg.image != NULL;

	if (s->reordered && own_x != own_y)
		return own_x - own_y;
	if (s->reordered && own_x)
		return x->item.seq < y->item.seq ? -1 : x->item.seq > y->item.seq;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void
slot_orphan(struct sq_session *s, struct sq_slot *slot, const struct sq_open_id *id)
{
	*slot = (struct sq_slot){.state = SQ_OPEN_ORPHAN,
	    .order = s->next_order++,
	    .item.origin = id->origin,
	    .orphan_queue = id->queue};
}

/* Ids that the client has open from another incarnation stay taken; what has
 * such an id here goes to another one, for this client has not seen it. */
static void
window_orphans(struct sq_session *s, const struct sq_attach *a, struct sq_loose_txn **loose)
{
	struct sq_open_id *clash = sq_xcalloc(a->n_open + 1u, sizeof *clash);
	bool stores = s->durable && sq_stored_engine(s->shard->broker);
	struct sq_bytes open = a->open;
	uint32_t n = 0;

	for (uint16_t i = 0; i < a->n_open; i++) {
		struct sq_open_id id = sq_open_id_next(&open, false);
		struct sq_slot *slot;

		window_grow(s, id.packet_id);
		slot = &s->slots[id.packet_id - 1];
		if (slot->state == 0) {
			slot_orphan(s, slot, &id);
			s->n_slots++;
			if (stores)
				sq_stored_open(s, sq_loose_txn(s, loose), slot);
		} else if (slot->state != SQ_OPEN_ORPHAN) {
			clash[n++] = id;
		}
	}
	window_chain(s);
	for (uint32_t i = 0; i < n && s->n_slots < UINT16_MAX; i++) {
		struct sq_slot *to = sq_slot_take(s), *from = &s->slots[clash[i].packet_id - 1];

		if (from->state == SQ_OPEN_ORPHAN) { /* the id was named twice */
			sq_slot_free(s, to);
			continue;
		}
		*to = *from;
		if (to->stored)
			sq_stored_open(s, sq_loose_txn(s, loose), to);
		slot_orphan(s, from, &clash[i]);
		if (to->stored || stores)
			sq_stored_open(s, sq_loose_txn(s, loose), from);
	}
	free(clash);
}

/* What another connection of the client has expected is not this one's. */
static void
window_unexpected(struct sq_session *s)
{
	for (uint32_t i = 0; i < s->cap_slots && s->n_expected > 0; i++) {
		if (s->slots[i].expected && !s->slots[i].listed)
			sq_slot_free(s, &s->slots[i]);
		else
			s->slots[i].listed = false;
	}
}

/* An id that the client has, and of which the broker has no delivery since it was
 * started again: the message of a durable session comes again, others are gone. */
static void
window_lost(struct sq_session *s, const struct sq_open_id *id, struct sq_loose_txn **loose)
{
	bool waits = s->durable && id->state == SQ_OPEN_QOS1 &&
	    (id->queue != 0 || s->old_items > 0);
	struct sq_slot *slot;

	if (s->durable && !waits && id->state != SQ_OPEN_ORPHAN)
		return; /* finished, though the client was not told */
	slot = sq_slot_restore(s, id->packet_id);
	slot_orphan(s, slot, id);
	if (waits) {
		slot->state = SQ_OPEN_QOS1;
		slot->expected = slot->listed = true;
		s->n_expected++;
	} else if (s->durable) {
		sq_stored_open(s, sq_loose_txn(s, loose), slot);
	}
}

void
sq_window_list(
    struct sq_session *s, const struct sq_attach *a, bool fresh, struct sq_loose_txn **loose)
{
	struct sq_bytes open = a->open;

	if (fresh) {
		window_orphans(s, a, loose);
		window_unexpected(s);
		return;
	}
	for (uint16_t i = 0; i < a->n_open && (s->restored || s->n_expected > 0); i++) {
		struct sq_open_id id = sq_open_id_next(&open, false);
		struct sq_slot *slot = id.packet_id <= s->cap_slots ? &s->slots[id.packet_id - 1]
								    : NULL;

		if (slot != NULL && slot->state != 0)
			slot->listed = slot->expected && slot->orphan_queue == id.queue &&
			    sq_origin_equal(&slot->item.origin, &id.origin);
		else if (s->restored)
			window_lost(s, &id, loose);
	}
	window_chain(s);
	window_unexpected(s);
}

uint16_t
sq_window_attach(struct sq_session *s, const struct sq_attach *a, struct sq_open_id **out)
{
	uint16_t n = 0, *order;

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
	if (s->old_items == 0 && s->n_ready == 0)
		s->n_acked = 0;
	*out = NULL;
	if (s->n_slots == 0)
		return 0;
	order = sq_xmalloc(s->n_slots * sizeof *order);
	for (uint32_t i = 0; i < s->cap_slots; i++) {
		if (s->slots[i].state != 0)
			order[n++] = (uint16_t)i;
	}
	qsort_r(order, n, sizeof *order, slot_order, s);
	*out = sq_xcalloc(n, sizeof **out);
	for (uint16_t i = 0; i < n; i++) {
		struct sq_slot *slot = &s->slots[order[i]];

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
	s->resend = order;
	s->n_resend = n;
	return n;
}
