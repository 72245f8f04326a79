/* Entries of an inbox: their table, their settlements, and due PUBRELs.
 *
 * Packet ids are given out in rows, so they hash to themselves: the table is filled in order and a
 * lookup is one cache line. */
#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"
#include "proto/link/inbox_priv.h"

enum { SLOTS_MIN = 16 };

/* --- the table --- */

struct sq_inbox_entry *
sq_inbox_find(const struct sq_inbox *in, uint16_t id)
{
	if (in->table.slots == NULL || id == 0)
		return NULL;
	for (uint32_t i = id & in->table.mask;; i = (i + 1) & in->table.mask) {
		if (in->table.slots[i].packet_id == id)
			return &in->table.slots[i];
		if (in->table.slots[i].packet_id == 0)
			return NULL;
	}
}

static struct sq_inbox_entry *
inbox_slot(struct sq_inbox *in, uint16_t id)
{
	uint32_t i = id & in->table.mask;

	for (; in->table.slots[i].packet_id != 0; i = (i + 1) & in->table.mask)
		assert(in->table.slots[i].packet_id != id);
	return &in->table.slots[i];
}

static void
inbox_grow(struct sq_inbox *in)
{
	uint32_t cap = in->table.slots != NULL ? (in->table.mask + 1) * 2 : SLOTS_MIN;
	struct sq_inbox_entry *old = in->table.slots;
	uint32_t n = old != NULL ? in->table.mask + 1 : 0;

	in->table.slots = sq_xcalloc(cap, sizeof *in->table.slots);
	in->table.mask = cap - 1;
	for (uint32_t i = 0; i < n; i++) {
		if (old[i].packet_id != 0)
			*inbox_slot(in, old[i].packet_id) = old[i];
	}
	free(old);
}

struct sq_inbox_entry *
sq_inbox_insert(struct sq_inbox *in, uint16_t id)
{
	struct sq_inbox_entry *e;

	if (in->table.slots == NULL || in->table.n + 1 > (in->table.mask + 1) / 4 * 3)
		inbox_grow(in);
	e = inbox_slot(in, id);
	*e = (struct sq_inbox_entry){.packet_id = id, .seq = in->table.seq++};
	in->table.n++;
	return e;
}

void
sq_inbox_count_ghost(struct sq_inbox *in, const struct sq_inbox_entry *e, int by)
{
	assert(by == 1 || in->table.ghosts > 0);
	in->table.ghosts += (uint32_t)by;
	if ((e->flags & F_LISTED) == 0)
		in->table.unlisted += (uint32_t)by;
}

/* Closes the hole that 'e' leaves, so that probing needs no tombstones. */
void
sq_inbox_erase(struct sq_inbox *in, struct sq_inbox_entry *e)
{
	uint32_t hole = (uint32_t)(e - in->table.slots);

	assert(in->table.n > 0 && e->packet_id != 0);
	if (e->state == E_GHOST)
		sq_inbox_count_ghost(in, e, -1);
	for (uint32_t i = (hole + 1) & in->table.mask;; i = (i + 1) & in->table.mask) {
		uint32_t home = in->table.slots[i].packet_id & in->table.mask;

		if (in->table.slots[i].packet_id == 0)
			break;
		if (((i - home) & in->table.mask) >= ((i - hole) & in->table.mask)) {
			in->table.slots[hole] = in->table.slots[i];
			hole = i;
		}
	}
	in->table.slots[hole].packet_id = 0;
	in->table.n--;
}

bool
sq_inbox_entry_is(const struct sq_inbox_entry *e, uint64_t queue, const struct sq_origin *o)
{
	return e->queue == queue && e->number == o->number && e->run == o->run &&
	    e->incarnation == o->incarnation && e->copy == o->copy;
}

void
sq_inbox_entry_name(struct sq_inbox_entry *e, uint64_t queue, const struct sq_origin *o)
{
	e->queue = queue;
	e->incarnation = o->incarnation;
	e->run = o->run;
	e->number = o->number;
	e->copy = o->copy;
}

/* What an attach has listed comes again by the delivery id of the list, or never:
 * such a ghost may stay until the next attach.  Any other is forgotten when
 * something new comes, as it may be sent anew for good reason (retained). */
void
sq_inbox_forget_ghosts(struct sq_inbox *in, bool all)
{
	for (uint32_t i = 0;
	     (all ? in->table.ghosts : in->table.unlisted) > 0 && i <= in->table.mask;) {
		const struct sq_inbox_entry *e = &in->table.slots[i];

		if (e->packet_id != 0 && e->state == E_GHOST && (all || !(e->flags & F_LISTED)))
			sq_inbox_erase(in, &in->table.slots[i]); /* another one may now be here */
		else
			i++;
	}
}

void
sq_inbox_make_ghost(struct sq_inbox *in, struct sq_inbox_entry *e)
{
	e->state = E_GHOST;
	sq_inbox_count_ghost(in, e, 1);
}

/* --- settlements --- */

void
sq_inbox_end_run(struct sq_inbox *in)
{
	if (in->settled.run.n == 0)
		return;
	if (sq_buf_len(&in->settled.body) == 0)
		sq_settlements_header(&in->settled.body, 0, 0); /* filled in when it is taken */
	sq_settle_put(&in->settled.body, &in->settled.run);
	in->settled.run.n = 0;
}

void
sq_inbox_settle(struct sq_inbox *in, uint16_t id, uint8_t kind, uint8_t reason, uint64_t delivery)
{
	if (in->settled.run.n == 0 || in->settled.run.n == UINT16_MAX ||
	    in->settled.run.kind != kind || in->settled.run.reason != reason ||
	    in->settled.run.delivery + in->settled.run.n != delivery) {
		sq_inbox_end_run(in);
		in->settled.run = (struct sq_settle){
		    .kind = kind, .reason = reason, .delivery = delivery};
	}
	in->settled.run.n++;
	if (in->settled.n == in->settled.cap) {
		in->settled.cap = in->settled.cap == 0 ? 16 : in->settled.cap * 2;
		in->settled.ids = sq_xrealloc(
		    in->settled.ids, in->settled.cap * sizeof *in->settled.ids);
	}
	in->settled.ids[in->settled.n++] = id;
}

static void
inbox_credit(struct sq_inbox *in, struct sq_inbox_entry *e)
{
	if ((e->flags & F_CHARGED) == 0)
		return;
	e->flags &= (uint8_t)~F_CHARGED;
	in->credit.msgs++;
	in->credit.bytes += e->size;
}

/* Posts the settlement of the entry's state, once in each attach. */
void
sq_inbox_entry_post(struct sq_inbox *in, struct sq_inbox_entry *e)
{
	if (e->state == E_SETTLING)
		inbox_credit(in, e);
	if ((e->flags & F_POSTED) != 0)
		return;
	e->flags |= F_POSTED;
	if (e->state == E_SETTLING)
		sq_inbox_settle(in, e->packet_id, e->kind, e->reason, e->delivery);
	else if (e->state == E_RECEIVING || e->state == E_RELEASED)
		sq_inbox_settle(in, e->packet_id, SQ_SETTLE_RECEIVED, 0, e->delivery);
}

void
sq_inbox_entry_finish(struct sq_inbox *in, struct sq_inbox_entry *e, uint8_t kind, uint8_t reason)
{
	e->state = E_SETTLING;
	e->kind = (e->flags & F_ORPHAN) != 0 ? SQ_SETTLE_COMPLETE : kind;
	e->reason = (e->flags & F_ORPHAN) != 0 ? 0 : reason;
	e->flags &= (uint8_t)~F_POSTED;
	sq_inbox_entry_post(in, e);
}

void
sq_inbox_push_pubrel(struct sq_inbox *in, uint16_t id, uint8_t reason)
{
	if (in->pubrels.n == in->pubrels.cap) {
		in->pubrels.cap = in->pubrels.cap == 0 ? 8 : in->pubrels.cap * 2;
		in->pubrels.v = sq_xrealloc(in->pubrels.v, in->pubrels.cap * sizeof *in->pubrels.v);
	}
	in->pubrels.v[in->pubrels.n++] = (struct sq_inbox_pubrel){id, reason};
}

void
sq_inbox_entry_release(struct sq_inbox *in, struct sq_inbox_entry *e)
{
	e->state = E_RELEASED;
	sq_inbox_push_pubrel(in, e->packet_id, 0);
}
