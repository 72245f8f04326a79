#include "broker/session/window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/session/group.h"
#include "core/mem.h"

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
	sq_item_fini(&slot->item);
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

struct sq_ready *
sq_ready_at(const struct sq_session *s, uint32_t i)
{
	return &s->ready[(s->ready_head + i) & (s->cap_ready - 1)];
}

struct sq_ready *
sq_ready_push(struct sq_session *s)
{
	if (s->n_ready == s->cap_ready) {
		uint32_t cap = s->cap_ready > 0 ? s->cap_ready * 2 : 8;
		struct sq_ready *ring = sq_xmalloc(cap * sizeof *ring);

		for (uint32_t i = 0; i < s->n_ready; i++)
			ring[i] = *sq_ready_at(s, i);
		free(s->ready);
		s->ready = ring;
		s->cap_ready = cap;
		s->ready_head = 0;
	}
	return sq_ready_at(s, s->n_ready++);
}

struct sq_ready
sq_ready_pop(struct sq_session *s)
{
	struct sq_ready r = *sq_ready_at(s, 0);

	s->ready_head = (s->ready_head + 1) & (s->cap_ready - 1);
	s->n_ready--;
	return r;
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

		s->sink.engine->ops->settle(txn, sq_window_queue(s, r->group), &r->item, SQ_DONE);
	}
	sq_item_fini(&r->item);
	sq_window_left(s, r->group);
	sq_group_unref(&r->group);
}

/* What the answer to a PUT lists. */

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
	*slot = (struct sq_slot){.state = SQ_OPEN_ORPHAN,
	    .order = s->next_order++,
	    .item.origin = id->origin,
	    .orphan_queue = id->queue};
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

		window_grow(s, id.packet_id);
		slot = &s->slots[id.packet_id - 1];
		if (slot->state == 0) {
			slot_orphan(s, slot, &id);
			s->n_slots++;
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
		slot_orphan(s, from, &clash[i]);
	}
	free(clash);
}

uint16_t
sq_window_attach(
    struct sq_session *s, const struct sq_attach *a, bool fresh, struct sq_open_id **out)
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
