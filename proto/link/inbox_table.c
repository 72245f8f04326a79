/* Entries of an inbox: their table, their settlements, and due PUBRELs.
 *
 * Packet ids are given out in rows, so they hash to themselves: the table is filled in order, a
 * lookup is one cache line, and the next ids are in the same line. */
#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"
#include "proto/link/inbox_priv.h"
#include "proto/mqtt/reason.h"

enum { SLOTS_MIN = 16 };

/* --- the table --- */

struct sq_inbox_name *
sq_inbox_entry_name(const struct sq_inbox *in, const struct sq_inbox_entry *e)
{
	return &in->table.names[e - in->table.slots];
}

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

void
sq_inbox_expect(const struct sq_inbox *in, uint16_t id)
{
	if (in->table.slots != NULL)
		__builtin_prefetch(&in->table.slots[id & in->table.mask], 1);
}

static struct sq_inbox_entry *
inbox_slot(struct sq_inbox *in, uint16_t id)
{
	uint32_t i = id & in->table.mask;

	for (; in->table.slots[i].packet_id != 0; i = (i + 1) & in->table.mask)
		assert(in->table.slots[i].packet_id != id);
	return &in->table.slots[i];
}

/* The free slot for an entry of this id. */
static struct sq_inbox_entry *
inbox_place(struct sq_inbox *in, uint16_t id)
{
	struct sq_inbox_entry *e = inbox_slot(in, id);

	if (e != &in->table.slots[id & in->table.mask])
		in->table.astray++;
	return e;
}

static void
inbox_grow(struct sq_inbox *in)
{
	const struct sq_inbox_table old = in->table;
	uint32_t n = old.slots != NULL ? old.mask + 1 : 0, cap = n != 0 ? n * 2 : SLOTS_MIN;

	in->table.slots = sq_xcalloc(cap, sizeof *old.slots + sizeof *old.names);
	in->table.names = (struct sq_inbox_name *)(in->table.slots + cap);
	in->table.mask = cap - 1;
	in->table.astray = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct sq_inbox_entry *e;

		if (old.slots[i].packet_id == 0)
			continue;
		e = inbox_place(in, old.slots[i].packet_id);
		*e = old.slots[i];
		*sq_inbox_entry_name(in, e) = old.names[i];
	}
	free(old.slots);
}

struct sq_inbox_entry *
sq_inbox_insert(struct sq_inbox *in, uint16_t id, uint64_t queue, const struct sq_origin *o)
{
	struct sq_inbox_entry *e;

	if (in->table.slots == NULL || in->table.n + 1 > (in->table.mask + 1) / 4 * 3)
		inbox_grow(in);
	in->table.n++;
	e = inbox_place(in, id);
	*e = (struct sq_inbox_entry){.packet_id = id};
	*sq_inbox_entry_name(in, e) = (struct sq_inbox_name){.incarnation = o->incarnation,
	    .run = o->run,
	    .number = o->number,
	    .queue = queue,
	    .seq = in->table.seq++,
	    .copy = o->copy};
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

/* Closes the hole that 'e' leaves, so that probing needs no tombstones.  Entries in their own slots
 * stay there, and are not even looked at where no other is about. */
void
sq_inbox_erase(struct sq_inbox *in, struct sq_inbox_entry *e)
{
	uint32_t hole = (uint32_t)(e - in->table.slots);

	assert(in->table.n > 0 && e->packet_id != 0);
	if (e->state == E_GHOST)
		sq_inbox_count_ghost(in, e, -1);
	if (hole != (e->packet_id & in->table.mask)) {
		assert(in->table.astray > 0);
		in->table.astray--;
	}
	for (uint32_t i = (hole + 1) & in->table.mask; in->table.astray > 0;
	     i = (i + 1) & in->table.mask) {
		uint32_t home = in->table.slots[i].packet_id & in->table.mask;

		if (in->table.slots[i].packet_id == 0)
			break;
		if (((i - home) & in->table.mask) >= ((i - hole) & in->table.mask)) {
			in->table.slots[hole] = in->table.slots[i];
			in->table.names[hole] = in->table.names[i];
			in->table.astray -= home == hole;
			hole = i;
		}
	}
	in->table.slots[hole].packet_id = 0;
	in->table.n--;
}

bool
sq_inbox_entry_is(const struct sq_inbox *in, const struct sq_inbox_entry *e, uint64_t queue,
    const struct sq_origin *o)
{
	const struct sq_inbox_name *name = sq_inbox_entry_name(in, e);

	return name->queue == queue && name->number == o->number && name->run == o->run &&
	    name->incarnation == o->incarnation && name->copy == o->copy;
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
	in->settled.pressing |= (kind != SQ_SETTLE_ACK && kind != SQ_SETTLE_COMPLETE) ||
	    sq_mqtt_reason_failed(reason);
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
		sq_inbox_settle(in, e->packet_id,
		    (e->flags & F_COMPLETE) != 0 ? SQ_SETTLE_COMPLETE : SQ_SETTLE_ACK,
		    (e->flags & F_REASON) != 0 ? sq_inbox_entry_name(in, e)->reason : 0,
		    e->delivery);
	else if (e->state == E_RECEIVING || e->state == E_RELEASED)
		sq_inbox_settle(in, e->packet_id, SQ_SETTLE_RECEIVED, 0, e->delivery);
}

void
sq_inbox_entry_finish(struct sq_inbox *in, struct sq_inbox_entry *e, uint8_t kind, uint8_t reason)
{
	bool orphan = (e->flags & F_ORPHAN) != 0;

	e->state = E_SETTLING;
	if (orphan || kind == SQ_SETTLE_COMPLETE)
		e->flags |= F_COMPLETE;
	if (!orphan && reason != 0) {
		e->flags |= F_REASON;
		sq_inbox_entry_name(in, e)->reason = reason;
	}
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
