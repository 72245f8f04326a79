#include "broker/session/window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { SLOT_BYTES = 2 * sizeof(struct sq_slot) }; /* of their array half may be empty */

/* Makes the list of free slots anew, low ids first. */
static void
window_chain(struct sq_window *w)
{
	w->free_slot = 0;
	for (uint32_t i = w->cap_slots; i > 0; i--) {
		if (w->slots[i - 1].state != 0)
			continue;
		w->slots[i - 1].next = (uint16_t)w->free_slot;
		w->free_slot = i;
	}
}

static void
window_grow(struct sq_window *w, uint32_t want)
{
	uint32_t cap = w->cap_slots > 0 ? w->cap_slots : 8;
	struct sq_slot *slots;

	while (cap < want)
		cap *= 2;
	if (cap > UINT16_MAX)
		cap = UINT16_MAX;
	if (cap <= w->cap_slots)
		return;
	slots = sq_xcalloc_aligned(SQ_SLOT_LINE, cap * sizeof *slots);
	if (w->cap_slots > 0)
		memcpy(slots, w->slots, w->cap_slots * sizeof *slots);
	free(w->slots);
	w->slots = slots;
	w->cap_slots = cap;
	window_chain(w);
}

void
sq_window_init(struct sq_window *w, struct sq_account *account)
{
	*w = (struct sq_window){.charge.account = account, .ids = {.next = 1, .base = 1}};
}

void
sq_window_fini(struct sq_window *w)
{
	assert(w->pending.n == 0 && w->n_slots == 0 && w->open_bytes == 0 && w->pending.bytes == 0);
	free(w->slots);
	free(w->ids.slots);
	free(w->resend.slots);
	free(w->pending.ring);
	free(w->old.acked);
}

struct sq_slot *
sq_slot_restore(struct sq_window *w, uint16_t packet_id)
{
	struct sq_slot *slot;

	window_grow(w, packet_id);
	slot = &w->slots[packet_id - 1];
	if (slot->state != 0)
		return NULL;
	memset(slot, 0, sizeof *slot);
	w->n_slots++;
	return slot;
}

void
sq_window_restored(struct sq_window *w)
{
	window_chain(w);
}

struct sq_slot *
sq_slot_take(struct sq_window *w)
{
	struct sq_slot *slot;

	if (w->free_slot == 0)
		window_grow(w, w->cap_slots + 1);
	assert(w->free_slot != 0);
	slot = &w->slots[w->free_slot - 1];
	w->free_slot = slot->next;
	slot->next = 0;
	slot->order = w->next_order++;
	slot->orphan_queue = slot->announce = 0;
	slot->traced_again = false;
	w->n_slots++;
	return slot;
}

_Static_assert(offsetof(struct sq_slot, item.origin) <= 2 * SQ_SLOT_LINE &&
	sizeof(struct sq_slot) == 3 * SQ_SLOT_LINE,
    "which lines are written is said in window.h");

static void
slot_fetch(const struct sq_slot *slot)
{
	const char *line = (const char *)slot;

	for (size_t i = 0; i < sizeof *slot; i += SQ_SLOT_LINE)
		__builtin_prefetch(line + i, 1);
}

void
sq_slot_take_soon(const struct sq_window *w)
{
	if (w->free_slot != 0)
		slot_fetch(&w->slots[w->free_slot - 1]);
}

void
sq_slot_find_soon(const struct sq_window *w, uint64_t delivery)
{
	const struct sq_slot *slot = sq_slot_find(w, delivery);

	if (slot != NULL)
		slot_fetch(slot);
}

void
sq_slot_weigh(struct sq_window *w, struct sq_slot *slot)
{
	const unsigned char *image = slot->item.msg.image;
	uint32_t weight = image != NULL ? sq_image_size(image) + SLOT_BYTES : 0;

	w->open_bytes += weight;
	w->open_bytes -= slot->weight;
	slot->weight = weight;
	sq_window_charge(w);
}

void
sq_window_charge(struct sq_window *w)
{
	sq_charge_set(&w->charge, w->open_bytes + w->pending.bytes);
}

/* Sets the values with which the slot is sent. */
static void
slot_as_sent(struct sq_slot *slot, uint8_t qos, bool retain, struct sq_block *subs)
{
	slot->qos = qos & 3u;
	slot->retain = retain;
	slot->subs = subs;
	if (subs != NULL)
		sq_block_ref(subs);
}

struct sq_slot *
sq_slot_open(struct sq_window *w, const struct sq_pending *p, uint8_t qos, bool retain,
    struct sq_block *subs)
{
	struct sq_slot *slot = sq_slot_take(w);

	assert(qos > 0 && p->item.msg.image != NULL);
	slot->item = p->item;
	slot->from = p->from;
	slot->state = qos == 1 ? SQ_OPEN_QOS1 : SQ_OPEN_QOS2;
	sq_slot_weigh(w, slot);
	slot_as_sent(slot, qos, retain, subs);
	sq_slot_number(w, slot);
	return slot;
}

void
sq_slot_received(struct sq_window *w, struct sq_slot *slot)
{
	assert(slot->state == SQ_OPEN_QOS2 && !slot->unsent);
	sq_item_fini(&slot->item);
	sq_slot_weigh(w, slot);
	slot->state = SQ_OPEN_RECEIVED;
}

void
sq_slot_returned(struct sq_slot *slot)
{
	slot->item.msg = (struct sq_msg){0};
	slot->item.subs = NULL;
}

void
sq_slot_reorder(struct sq_window *w, struct sq_slot *slot)
{
	slot->order = w->next_order++;
}

uint16_t
sq_slot_packet_id(const struct sq_window *w, const struct sq_slot *slot)
{
	return (uint16_t)(slot - w->slots + 1);
}

void
sq_slot_number(struct sq_window *w, struct sq_slot *slot)
{
	uint64_t span = w->ids.next - w->ids.base;

	if (span == w->ids.cap) {
		uint32_t cap = w->ids.cap > 0 ? w->ids.cap * 2 : 64;
		uint16_t *ring = sq_xcalloc(cap, sizeof *ring);

		for (uint64_t d = w->ids.base; d < w->ids.next; d++)
			ring[d & (cap - 1)] = w->ids.slots[d & (w->ids.cap - 1)];
		free(w->ids.slots);
		w->ids.slots = ring;
		w->ids.cap = cap;
	}
	slot->delivery = w->ids.next++;
	w->ids.slots[slot->delivery & (w->ids.cap - 1)] = sq_slot_packet_id(w, slot);
}

void
sq_slot_free(struct sq_window *w, struct sq_slot *slot)
{
	if (slot->delivery >= w->ids.base && slot->delivery < w->ids.next)
		w->ids.slots[slot->delivery & (w->ids.cap - 1)] = 0;
	while (w->ids.base < w->ids.next && w->ids.slots[w->ids.base & (w->ids.cap - 1)] == 0)
		w->ids.base++;
	assert(!slot->unsent && w->n_slots > 0);
	assert(w->n_sent >= slot->sent && w->old.n_expected >= slot->expected);
	w->n_sent -= slot->sent;
	w->old.n_expected -= slot->expected;
	sq_item_fini(&slot->item);
	sq_slot_weigh(w, slot);
	sq_block_unref(&slot->subs);
	sq_queue_ref_release(&slot->from);
	memset(slot, 0, offsetof(struct sq_slot, item.origin));
	slot->next = (uint16_t)w->free_slot;
	w->free_slot = sq_slot_packet_id(w, slot);
	w->n_slots--;
}

struct sq_slot *
sq_slot_find(const struct sq_window *w, uint64_t delivery)
{
	uint16_t id;

	if (delivery < w->ids.base || delivery >= w->ids.next)
		return NULL;
	id = w->ids.slots[delivery & (w->ids.cap - 1)];
	return id != 0 ? &w->slots[id - 1] : NULL;
}

void
sq_slot_sent(struct sq_window *w, struct sq_slot *slot)
{
	assert(slot->state != 0 && !slot->sent && w->n_sent < w->n_slots);
	slot->sent = true;
	w->n_sent++;
}

/* The row of chosen slots. */

void
sq_unsent_push(struct sq_window *w, struct sq_slot *slot, uint64_t announce)
{
	uint16_t id = sq_slot_packet_id(w, slot);

	assert(slot->state != 0 && !slot->unsent);
	slot->announce = announce;
	slot->unsent = true;
	slot->next = 0;
	if (w->unsent_last != 0)
		w->slots[w->unsent_last - 1].next = id;
	else
		w->unsent_first = id;
	w->unsent_last = id;
}

struct sq_slot *
sq_unsent_first(const struct sq_window *w)
{
	return w->unsent_first != 0 ? &w->slots[w->unsent_first - 1] : NULL;
}

void
sq_unsent_pop(struct sq_window *w)
{
	struct sq_slot *slot = sq_unsent_first(w);

	assert(slot != NULL && slot->unsent);
	slot->unsent = false;
	w->unsent_first = slot->next;
	if (w->unsent_first == 0)
		w->unsent_last = 0;
}

void
sq_window_unattach(struct sq_window *w)
{
	while (w->unsent_first != 0)
		sq_unsent_pop(w);
}

/* Expected slots. */

struct sq_slot *
sq_window_expected(
    struct sq_window *w, const struct sq_pending *p, bool retain, struct sq_block *subs)
{
	for (uint32_t i = 0; i < w->cap_slots && w->old.n_expected > 0; i++) {
		struct sq_slot *slot = &w->slots[i];

		if (!slot->expected || slot->orphan_queue != p->from.id ||
		    !sq_origin_equal(&slot->item.origin, &p->item.origin))
			continue;
		slot->expected = false;
		w->old.n_expected--;
		slot->item = p->item;
		sq_slot_weigh(w, slot);
		slot->from = p->from;
		slot->orphan_queue = 0;
		slot_as_sent(slot, 1, retain, subs);
		sq_slot_reorder(w, slot);
		return slot;
	}
	return NULL;
}

void
sq_window_acked(struct sq_window *w, const struct sq_slot *slot)
{
	if (slot->orphan_queue != 0 || w->old.items == 0)
		return;
	if ((w->old.n_acked & (w->old.n_acked - 1)) == 0) /* a power of two is full */
		w->old.acked = sq_xrealloc(w->old.acked,
		    (w->old.n_acked > 0 ? w->old.n_acked * 2 : 1) * sizeof(*w->old.acked));
	w->old.acked[w->old.n_acked++] = slot->item.origin;
}

bool
sq_window_was_acked(struct sq_window *w, const struct sq_pending *p)
{
	for (uint32_t i = 0; i < w->old.n_acked && sq_queue_ref_own(&p->from); i++) {
		if (!sq_origin_equal(&w->old.acked[i], &p->item.origin))
			continue;
		w->old.acked[i] = w->old.acked[--w->old.n_acked];
		return true;
	}
	return false;
}

void
sq_window_old_taken(struct sq_window *w, uint64_t seq)
{
	if (w->old.items > 0 && --w->old.items == 0)
		w->old.last_seq = seq;
}

void
sq_window_old_back(struct sq_window *w, uint64_t seq)
{
	if (w->old.items > 0 || seq <= w->old.last_seq)
		w->old.items++;
}

void
sq_window_old_gone(struct sq_window *w)
{
	w->old.items = 0;
}

struct sq_slot *
sq_resend_first(const struct sq_window *w)
{
	return w->resend.n > 0 ? &w->slots[w->resend.slots[w->resend.at]] : NULL;
}

void
sq_resend_pop(struct sq_window *w)
{
	assert(w->resend.at < w->resend.n);
	if (++w->resend.at < w->resend.n)
		return;
	w->old.reordered = false;
	free(w->resend.slots);
	w->resend = (struct sq_resend){0};
}

/* Pending items. */

struct sq_pending *
sq_pending_at(const struct sq_pending_row *row, uint32_t i)
{
	assert(i < row->n);
	return &row->ring[(row->head + i) & (row->cap - 1)];
}

/* Makes room for one more. */
static void
pending_grow(struct sq_pending_row *row)
{
	uint32_t cap = row->cap > 0 ? row->cap * 2 : 8;
	struct sq_pending *ring;

	if (row->n < row->cap)
		return;
	ring = sq_xmalloc(cap * sizeof *ring);
	for (uint32_t i = 0; i < row->n; i++)
		ring[i] = *sq_pending_at(row, i);
	free(row->ring);
	row->ring = ring;
	row->cap = cap;
	row->head = 0;
}

void
sq_pending_push(struct sq_pending_row *row, const struct sq_pending *p)
{
	pending_grow(row);
	*sq_pending_at(row, row->n++) = *p;
	row->bytes += sq_image_size(p->item.msg.image);
}

void
sq_pending_unpop(struct sq_pending_row *row, const struct sq_pending *p)
{
	pending_grow(row);
	row->head = (row->head - 1) & (row->cap - 1);
	row->n++;
	*sq_pending_at(row, 0) = *p;
	row->bytes += sq_image_size(p->item.msg.image);
}

struct sq_pending
sq_pending_pop(struct sq_pending_row *row)
{
	struct sq_pending p;

	assert(row->n > 0);
	p = *sq_pending_at(row, 0);
	row->head = (row->head + 1) & (row->cap - 1);
	row->n--;
	assert(row->bytes >= sq_image_size(p.item.msg.image));
	row->bytes -= sq_image_size(p.item.msg.image);
	return p;
}

struct sq_pending_row
sq_pending_take_all(struct sq_pending_row *row)
{
	struct sq_pending_row all = *row;

	*row = (struct sq_pending_row){0};
	return all;
}

bool
sq_pending_of(const struct sq_pending_row *row, const struct sq_member *m)
{
	for (uint32_t i = 0; i < row->n; i++) {
		if (sq_pending_at(row, i)->member == m)
			return true;
	}
	return false;
}

/* The list in the answer to a PUT. */

/* Compares slots by first sending.  After a restart, the order of the session's own queue decides:
 * a delivery that lost its slot has another one by now. */
static int
slot_order(const void *a, const void *b, void *arg)
{
	const struct sq_window *w = arg;
	const struct sq_slot *x = &w->slots[*(const uint16_t *)a];
	const struct sq_slot *y = &w->slots[*(const uint16_t *)b];
	bool own_x = sq_queue_ref_own(&x->from) && x->item.msg.image != NULL;
	bool own_y = sq_queue_ref_own(&y->from) && y->item.msg.image != NULL;

	if (w->old.reordered && own_x != own_y)
		return own_x - own_y;
	if (w->old.reordered && own_x)
		return x->item.seq < y->item.seq ? -1 : x->item.seq > y->item.seq;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void
slot_orphan(struct sq_window *w, struct sq_slot *slot, const struct sq_open_id *id)
{
	*slot = (struct sq_slot){.state = SQ_OPEN_ORPHAN,
	    .order = w->next_order++,
	    .item.origin = id->origin,
	    .orphan_queue = id->queue};
}

/* The slots that a list has changed. */
struct listing {
	const struct sq_listed *how;
	struct sq_changed *changed;
};

static void
listing_changed(struct sq_window *w, struct listing *l, const struct sq_slot *slot)
{
	l->changed->ids[l->changed->n++] = sq_slot_packet_id(w, slot);
}

/* An id that the client has open from another incarnation: it stays taken. */
static bool
window_orphan(struct sq_window *w, const struct sq_open_id *id, struct listing *l)
{
	struct sq_slot *slot;

	window_grow(w, id->packet_id);
	slot = &w->slots[id->packet_id - 1];
	if (slot->state != 0)
		return slot->state == SQ_OPEN_ORPHAN;
	slot_orphan(w, slot, id);
	w->n_slots++;
	if (l->how->stores)
		listing_changed(w, l, slot);
	return true;
}

/* The delivery that has the id here moves to another one, because this client has not seen it. */
static void
window_move(struct sq_window *w, const struct sq_open_id *id, struct listing *l)
{
	struct sq_slot *to = sq_slot_take(w), *from = &w->slots[id->packet_id - 1];

	if (from->state == SQ_OPEN_ORPHAN) { /* the id was named twice */
		sq_slot_free(w, to);
		return;
	}
	*to = *from;
	slot_orphan(w, from, id);
	if (to->stored)
		listing_changed(w, l, to);
	if (to->stored || l->how->stores)
		listing_changed(w, l, from);
}

static void
window_orphans(struct sq_window *w, const struct sq_attach *a, struct listing *l)
{
	struct sq_open_id *clash = sq_xcalloc(a->n_open + 1u, sizeof *clash);
	struct sq_bytes open = a->open;
	uint32_t n = 0;

	for (uint16_t i = 0; i < a->n_open; i++) {
		struct sq_open_id id = sq_open_id_next(&open, false);

		if (!window_orphan(w, &id, l))
			clash[n++] = id;
	}
	window_chain(w);
	for (uint32_t i = 0; i < n && w->n_slots < UINT16_MAX; i++)
		window_move(w, &clash[i], l);
	free(clash);
}

/* Forgets expected slots of another connection of the client. */
static void
window_unexpected(struct sq_window *w)
{
	for (uint32_t i = 0; i < w->cap_slots && w->old.n_expected > 0; i++) {
		if (w->slots[i].expected && !w->slots[i].listed)
			sq_slot_free(w, &w->slots[i]);
		else
			w->slots[i].listed = false;
	}
}

/* An id that the client has, and of which the broker has no delivery since it was
 * started again: the message of a durable session comes again, others are gone. */
static void
window_lost(struct sq_window *w, const struct sq_open_id *id, struct listing *l)
{
	bool durable = l->how->durable;
	bool waits = durable && id->state == SQ_OPEN_QOS1 && (id->queue != 0 || w->old.items > 0);
	struct sq_slot *slot;

	if (durable && !waits && id->state != SQ_OPEN_ORPHAN)
		return; /* finished, though the client was not told */
	slot = sq_slot_restore(w, id->packet_id);
	slot_orphan(w, slot, id);
	if (waits) {
		slot->state = SQ_OPEN_QOS1;
		slot->expected = slot->listed = true;
		w->old.n_expected++;
	} else if (durable) {
		listing_changed(w, l, slot);
	}
}

static void
window_known(struct sq_window *w, const struct sq_attach *a, struct listing *l)
{
	struct sq_bytes open = a->open;

	for (uint16_t i = 0; i < a->n_open && (l->how->restored || w->old.n_expected > 0); i++) {
		struct sq_open_id id = sq_open_id_next(&open, false);
		struct sq_slot *slot = id.packet_id <= w->cap_slots ? &w->slots[id.packet_id - 1]
								    : NULL;

		if (slot != NULL && slot->state != 0)
			slot->listed = slot->expected && slot->orphan_queue == id.queue &&
			    sq_origin_equal(&slot->item.origin, &id.origin);
		else if (l->how->restored)
			window_lost(w, &id, l);
	}
	window_chain(w);
}

void
sq_window_list(struct sq_window *w, const struct sq_attach *a, const struct sq_listed *how,
    struct sq_changed *changed)
{
	struct listing l = {how, changed};

	/* At most the slot that an id has, and one that another goes to. */
	changed->ids = sq_xcalloc(2 * a->n_open + 1u, sizeof *changed->ids);
	changed->n = 0;
	if (how->fresh)
		window_orphans(w, a, &l);
	else
		window_known(w, a, &l);
	window_unexpected(w);
}

/* All open slots, by first sending: 'n_slots' of them, for the caller to free. */
static uint16_t *
window_by_order(struct sq_window *w)
{
	uint16_t *order = sq_xmalloc(w->n_slots * sizeof *order);
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->cap_slots; i++) {
		if (w->slots[i].state != 0)
			order[n++] = (uint16_t)i;
	}
	assert(n == w->n_slots);
	qsort_r(order, n, sizeof *order, slot_order, w);
	return order;
}

/* The slot in the new epoch, as the answer to the PUT lists it. */
static struct sq_open_id
window_reopen(struct sq_window *w, struct sq_slot *slot)
{
	sq_slot_number(w, slot);
	slot->sent = false;
	if (slot->state == SQ_OPEN_RECEIVED || slot->state == SQ_OPEN_ORPHAN)
		sq_slot_sent(w, slot);
	return (struct sq_open_id){
	    .packet_id = sq_slot_packet_id(w, slot),
	    .state = slot->state,
	    .queue = sq_queue_ref_own(&slot->from) ? slot->orphan_queue : slot->from.id,
	    .origin = slot->item.origin,
	    .delivery = slot->delivery,
	};
}

uint16_t
sq_window_attach(struct sq_window *w, uint16_t receive_max, struct sq_open_id **out)
{
	w->ids.base = w->ids.next = 1;
	w->n_sent = 0;
	w->receive_max = receive_max;
	free(w->resend.slots);
	w->resend = (struct sq_resend){0};
	if (w->old.items == 0 && w->pending.n == 0)
		w->old.n_acked = 0;
	*out = NULL;
	if (w->n_slots == 0)
		return 0;
	w->resend.slots = window_by_order(w);
	w->resend.n = w->n_slots;
	*out = sq_xcalloc(w->n_slots, sizeof **out);
	for (uint32_t i = 0; i < w->n_slots; i++)
		(*out)[i] = window_reopen(w, &w->slots[w->resend.slots[i]]);
	return (uint16_t)w->n_slots;
}
