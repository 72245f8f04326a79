/* Deliveries of a session at the sidecar; see inbox.h.  The attach is in
 * inbox_attach.c, the client's answers in inbox_acks.c.
 *
 * Packet ids are given out in rows, so they hash to themselves: the table is
 * filled in order and a lookup is one cache line. */
#include "proto/link/inbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "proto/link/inbox_priv.h"

enum { SLOTS_MIN = 16, CREDIT_HEADER = 16 };

struct sq_inbox *
sq_inbox_new(uint64_t window_msgs, uint64_t window_bytes, uint16_t receive_max)
{
	struct sq_inbox *in = sq_xcalloc(1, sizeof *in);

	in->window_msgs = window_msgs;
	in->window_bytes = window_bytes;
	in->receive_max = receive_max;
	return in;
}

void
sq_inbox_free(struct sq_inbox **inp)
{
	struct sq_inbox *in = *inp;

	*inp = NULL;
	if (in == NULL)
		return;
	free(in->slots);
	free(in->ids);
	free(in->pubrels);
	free(in->strays);
	sq_buf_fini(&in->body);
	free(in);
}

/* --- the table --- */

struct sq_inbox_entry *
sq_inbox_find(const struct sq_inbox *in, uint16_t id)
{
	if (in->slots == NULL || id == 0)
		return NULL;
	for (uint32_t i = id & in->mask;; i = (i + 1) & in->mask) {
		if (in->slots[i].packet_id == id)
			return &in->slots[i];
		if (in->slots[i].packet_id == 0)
			return NULL;
	}
}

static struct sq_inbox_entry *
inbox_slot(struct sq_inbox *in, uint16_t id)
{
	uint32_t i = id & in->mask;

	while (in->slots[i].packet_id != 0)
		i = (i + 1) & in->mask;
	return &in->slots[i];
}

static void
inbox_grow(struct sq_inbox *in)
{
	uint32_t cap = in->slots != NULL ? (in->mask + 1) * 2 : SLOTS_MIN;
	struct sq_inbox_entry *old = in->slots;
	uint32_t n = old != NULL ? in->mask + 1 : 0;

	in->slots = sq_xcalloc(cap, sizeof *in->slots);
	in->mask = cap - 1;
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

	if (in->slots == NULL || in->n + 1 > (in->mask + 1) / 4 * 3)
		inbox_grow(in);
	e = inbox_slot(in, id);
	*e = (struct sq_inbox_entry){.packet_id = id, .seq = in->seq++};
	in->n++;
	return e;
}

static void
inbox_count_ghost(struct sq_inbox *in, const struct sq_inbox_entry *e, int by)
{
	in->ghosts += (uint32_t)by;
	if ((e->flags & F_LISTED) == 0)
		in->unlisted += (uint32_t)by;
}

/* Closes the hole that 'e' leaves, so that probing needs no tombstones. */
void
sq_inbox_erase(struct sq_inbox *in, struct sq_inbox_entry *e)
{
	uint32_t hole = (uint32_t)(e - in->slots);

	if (e->state == E_GHOST)
		inbox_count_ghost(in, e, -1);
	for (uint32_t i = (hole + 1) & in->mask;; i = (i + 1) & in->mask) {
		uint32_t home = in->slots[i].packet_id & in->mask;

		if (in->slots[i].packet_id == 0)
			break;
		if (((i - home) & in->mask) >= ((i - hole) & in->mask)) {
			in->slots[hole] = in->slots[i];
			hole = i;
		}
	}
	in->slots[hole].packet_id = 0;
	in->n--;
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
	for (uint32_t i = 0; (all ? in->ghosts : in->unlisted) > 0 && i <= in->mask;) {
		const struct sq_inbox_entry *e = &in->slots[i];

		if (e->packet_id != 0 && e->state == E_GHOST && (all || !(e->flags & F_LISTED)))
			sq_inbox_erase(in, &in->slots[i]); /* another one may now be here */
		else
			i++;
	}
}

void
sq_inbox_make_ghost(struct sq_inbox *in, struct sq_inbox_entry *e)
{
	e->state = E_GHOST;
	inbox_count_ghost(in, e, 1);
}

/* --- settlements --- */

static void
inbox_end_run(struct sq_inbox *in)
{
	if (in->run.n == 0)
		return;
	if (sq_buf_len(&in->body) == 0)
		sq_settlements_header(&in->body, 0, 0); /* filled in when it is taken */
	sq_settle_put(&in->body, &in->run);
	in->run.n = 0;
}

void
sq_inbox_settle(struct sq_inbox *in, uint16_t id, uint8_t kind, uint8_t reason, uint64_t delivery)
{
	if (in->run.n == 0 || in->run.n == UINT16_MAX || in->run.kind != kind ||
	    in->run.reason != reason || in->run.delivery + in->run.n != delivery) {
		inbox_end_run(in);
		in->run = (struct sq_settle){.kind = kind, .reason = reason, .delivery = delivery};
	}
	in->run.n++;
	if (in->n_ids == in->ids_cap) {
		in->ids_cap = in->ids_cap == 0 ? 16 : in->ids_cap * 2;
		in->ids = sq_xrealloc(in->ids, in->ids_cap * sizeof *in->ids);
	}
	in->ids[in->n_ids++] = id;
}

static void
inbox_credit(struct sq_inbox *in, struct sq_inbox_entry *e)
{
	if ((e->flags & F_CHARGED) == 0)
		return;
	e->flags &= (uint8_t)~F_CHARGED;
	in->credit_msgs++;
	in->credit_bytes += e->size;
}

/* Posts what 'e' is settled by in its state, once in each attach. */
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
	if (in->n_pubrels == in->pubrels_cap) {
		in->pubrels_cap = in->pubrels_cap == 0 ? 8 : in->pubrels_cap * 2;
		in->pubrels = sq_xrealloc(in->pubrels, in->pubrels_cap * sizeof *in->pubrels);
	}
	in->pubrels[in->n_pubrels++] = (struct sq_inbox_pubrel){id, reason};
}

void
sq_inbox_entry_release(struct sq_inbox *in, struct sq_inbox_entry *e)
{
	e->state = E_RELEASED;
	sq_inbox_push_pubrel(in, e->packet_id, 0);
}

bool
sq_inbox_pubrel(struct sq_inbox *in, struct sq_inbox_pubrel *out)
{
	if (in->next_pubrel == in->n_pubrels) {
		in->next_pubrel = in->n_pubrels = 0;
		return false;
	}
	*out = in->pubrels[in->next_pubrel++];
	return true;
}

/* --- deliveries --- */

/* The message of an entry that is already here came again. */
static void
entry_again(struct sq_inbox *in, struct sq_inbox_entry *e, uint64_t delivery, uint32_t size)
{
	if (e->state == E_GHOST) {
		inbox_count_ghost(in, e, -1);
		e->state = E_SETTLING;
		e->flags &= (uint8_t)~F_POSTED;
	}
	if (e->delivery != delivery)
		e->flags &= (uint8_t)~F_POSTED;
	e->delivery = delivery;
	e->size = size;
	e->flags |= F_CHARGED | F_SEEN;
	e->flags &= (uint8_t)~F_ORPHAN;
	sq_inbox_entry_post(in, e);
}

/* Whether a delivery is the one of 'e', which has its packet id.  Of what came in this
 * attach, and of what the attach has listed, the delivery id is known: under another one it
 * is a copy, as of a retained message there is one for each subscription. */
static bool
entry_named(const struct sq_inbox_entry *e, const struct sq_target *t, const struct sq_origin *o)
{
	if ((e->flags & (F_SEEN | F_LISTED)) != 0 && e->delivery != t->delivery)
		return false;
	return sq_inbox_entry_is(e, t->queue, o);
}

enum sq_inbox_verdict
sq_inbox_deliver(
    struct sq_inbox *in, const struct sq_target *t, const struct sq_origin *o, uint32_t size)
{
	struct sq_inbox_entry *e = sq_inbox_find(in, t->packet_id);
	bool listed = e != NULL && entry_named(e, t, o);

	if (listed && e->state != E_EXPECTED) {
		entry_again(in, e, t->delivery, size);
		return SQ_INBOX_KNOWN;
	}
	/* An expected message, or the id is used anew: the broker finished the old
	 * delivery before its answer to our settlement got here. */
	if (e != NULL)
		sq_inbox_abandon(in, e);
	if (!listed)
		sq_inbox_forget_ghosts(in, false);
	e = sq_inbox_insert(in, t->packet_id);
	sq_inbox_entry_name(e, t->queue, o);
	e->delivery = t->delivery;
	e->size = size;
	e->qos = t->flags & SQ_TARGET_QOS;
	e->state = e->qos == 1 ? E_SENT1 : E_SENT2;
	e->flags = F_CHARGED | F_SEEN;
	return SQ_INBOX_WRITE;
}

void
sq_inbox_discard(struct sq_inbox *in, uint16_t packet_id, uint8_t reason)
{
	struct sq_inbox_entry *e = sq_inbox_find(in, packet_id);

	if (e != NULL && (e->state == E_SENT1 || e->state == E_SENT2))
		sq_inbox_entry_finish(in, e, SQ_SETTLE_ACK, reason);
}

void
sq_inbox_qos0(struct sq_inbox *in, uint32_t size)
{
	in->unwritten_msgs++;
	in->unwritten_bytes += size;
}

void
sq_inbox_written(struct sq_inbox *in, uint64_t msgs, uint64_t bytes)
{
	assert(msgs <= in->unwritten_msgs && bytes <= in->unwritten_bytes);
	in->unwritten_msgs -= msgs;
	in->unwritten_bytes -= bytes;
	in->credit_msgs += (int64_t)msgs;
	in->credit_bytes += (int64_t)bytes;
}

/* --- flights --- */

static bool
inbox_credit_due(const struct sq_inbox *in)
{
	return !in->held &&
	    (in->credit_msgs - in->announced_msgs >= (int64_t)(in->window_msgs + 1) / 2 ||
		in->credit_bytes - in->announced_bytes >= (int64_t)(in->window_bytes + 1) / 2);
}

bool
sq_inbox_due(const struct sq_inbox *in)
{
	return in->n_ids != 0 || inbox_credit_due(in);
}

void
sq_inbox_hold_credit(struct sq_inbox *in, bool held)
{
	in->held = held;
}

bool
sq_inbox_take(struct sq_inbox *in, struct sq_inbox_flight *out)
{
	unsigned char *head;

	if (in->flying >= SQ_INBOX_FLYING_MAX || !sq_inbox_due(in))
		return false;
	inbox_end_run(in);
	if (sq_buf_len(&in->body) == 0)
		sq_settlements_header(&in->body, 0, 0);
	if (!in->held && in->credit_msgs > in->announced_msgs)
		in->announced_msgs = in->credit_msgs;
	if (!in->held && in->credit_bytes > in->announced_bytes)
		in->announced_bytes = in->credit_bytes;
	head = sq_buf_data(&in->body);
	sq_put64(head, (uint64_t)in->announced_msgs);
	sq_put64(head + 8, (uint64_t)in->announced_bytes);
	*out = (struct sq_inbox_flight){
	    .body = in->body, .ids = in->ids, .n = in->n_ids, .attach = in->attach};
	in->body = (struct sq_buf){0};
	in->ids = NULL;
	in->n_ids = in->ids_cap = 0;
	in->flying++;
	return true;
}

/* The broker has confirmed the settlement of 'id' by 'delivery'. */
static void
inbox_confirm(struct sq_inbox *in, uint16_t id, uint8_t kind, uint64_t delivery)
{
	struct sq_inbox_entry *e = sq_inbox_find(in, id);

	if (e == NULL || e->delivery != delivery)
		return;
	if (kind == SQ_SETTLE_RECEIVED) {
		if (e->state == E_RECEIVING)
			sq_inbox_entry_release(in, e);
	} else if (e->state == E_SETTLING) {
		if ((e->flags & F_SEEN) != 0)
			sq_inbox_erase(in, e);
		else
			sq_inbox_make_ghost(in, e);
	}
}

static struct sq_bytes
flight_entries(const struct sq_inbox_flight *f)
{
	return (struct sq_bytes){
	    sq_buf_data(&f->body) + CREDIT_HEADER, sq_buf_len(&f->body) - CREDIT_HEADER};
}

static void
flight_free(struct sq_inbox *in, struct sq_inbox_flight *f)
{
	if (f->attach == in->attach)
		in->flying--;
	sq_buf_fini(&f->body);
	free(f->ids);
	*f = (struct sq_inbox_flight){0};
}

void
sq_inbox_done(struct sq_inbox *in, struct sq_inbox_flight *f, bool ok)
{
	struct sq_bytes rest = flight_entries(f);
	struct sq_settle s;
	uint32_t at = 0;

	while (ok && f->attach == in->attach && sq_settle_next(&rest, &s)) {
		for (unsigned i = 0; i < s.n && at < f->n; i++)
			inbox_confirm(in, f->ids[at++], s.kind, s.delivery + i);
	}
	flight_free(in, f);
}

void
sq_inbox_again(struct sq_inbox *in, struct sq_inbox_flight *f)
{
	struct sq_bytes rest = flight_entries(f);
	struct sq_settle s;
	uint32_t at = 0;

	if (f->attach == in->attach) {
		/* What it said of the credit may not have arrived: due again. */
		if (in->announced_msgs <= in->credit_msgs)
			in->announced_msgs = in->credit_msgs - (int64_t)(in->window_msgs + 1) / 2;
		if (in->announced_bytes <= in->credit_bytes)
			in->announced_bytes = in->credit_bytes -
			    (int64_t)(in->window_bytes + 1) / 2;
		while (sq_settle_next(&rest, &s)) {
			for (unsigned i = 0; i < s.n && at < f->n; i++)
				sq_inbox_settle(in, f->ids[at++], s.kind, s.reason, s.delivery + i);
		}
	}
	flight_free(in, f);
}

bool
sq_inbox_flushed(const struct sq_inbox *in)
{
	return in->n_ids == 0 && in->flying == 0;
}

size_t
sq_inbox_open(const struct sq_inbox *in)
{
	return in->n - in->ghosts;
}

void
sq_inbox_trim(struct sq_inbox *in)
{
	if (in->n == 0 && in->slots != NULL) {
		free(in->slots);
		in->slots = NULL;
		in->mask = 0;
	}
	if (in->next_pubrel == in->n_pubrels && in->pubrels != NULL) {
		free(in->pubrels);
		in->pubrels = NULL;
		in->n_pubrels = in->next_pubrel = in->pubrels_cap = 0;
	}
	if (in->n_strays == 0) {
		free(in->strays);
		in->strays = NULL;
	}
}
