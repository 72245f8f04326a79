/* Deliveries of a session at the sidecar; see inbox.h.
 *
 * Packet ids are given out in rows, so they hash to themselves: the table is
 * filled in order and a lookup is one cache line. */
#include "proto/link/inbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"

enum entry_state {
	E_SENT1 = 1,
	E_SENT2,
	E_RECEIVING, /* PUBREC came; its 'received' is not confirmed */
	E_RELEASED,  /* PUBREL is due or written */
	E_SETTLING,  /* finished; 'kind' is not confirmed */
	E_EXPECTED,  /* QoS 2, listed by the broker: its message will come again */
	E_GHOST,     /* finished and forgotten, but its message may come once more */
};

enum {
	F_ORPHAN = 1,  /* the broker has only the id */
	F_CHARGED = 2, /* it uses credit of this attach */
	F_POSTED = 4,  /* what its state settles was put since the attach */
	F_SEEN = 8,    /* its message came in this attach, or won't come */
};

struct entry {
	uint64_t incarnation, run, number;
	uint64_t queue, delivery;
	uint32_t size, seq;
	uint16_t packet_id; /* 0: the slot is free */
	uint8_t copy, qos, state, flags, kind, reason;
};

struct sq_inbox {
	uint64_t window_msgs, window_bytes;
	int64_t credit_msgs, credit_bytes; /* totals to announce */
	int64_t announced_msgs, announced_bytes;
	uint64_t unwritten_msgs, unwritten_bytes; /* QoS 0 in the client's output */
	struct entry *slots;
	uint32_t mask, n; /* slots - 1; entries */
	uint32_t seq;
	uint32_t ghosts;
	uint16_t receive_max;
	uint8_t flying;
	uint64_t attach;
	/* What is settled and not yet taken. */
	struct sq_buf body;
	struct sq_settle run; /* the run that still grows; n 0: none */
	uint16_t *ids;
	uint32_t n_ids, ids_cap;
	uint16_t *pubrels;
	uint32_t n_pubrels, next_pubrel, pubrels_cap;
};

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
	sq_buf_fini(&in->body);
	free(in);
}

/* --- the table --- */

static struct entry *
inbox_find(const struct sq_inbox *in, uint16_t id)
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

static struct entry *
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
	struct entry *old = in->slots;
	uint32_t n = old != NULL ? in->mask + 1 : 0;

	in->slots = sq_xcalloc(cap, sizeof *in->slots);
	in->mask = cap - 1;
	for (uint32_t i = 0; i < n; i++) {
		if (old[i].packet_id != 0)
			*inbox_slot(in, old[i].packet_id) = old[i];
	}
	free(old);
}

static struct entry *
inbox_insert(struct sq_inbox *in, uint16_t id)
{
	struct entry *e;

	if (in->slots == NULL || in->n + 1 > (in->mask + 1) / 4 * 3)
		inbox_grow(in);
	e = inbox_slot(in, id);
	*e = (struct entry){.packet_id = id, .seq = in->seq++};
	in->n++;
	return e;
}

/* Closes the hole that 'e' leaves, so that probing needs no tombstones. */
static void
inbox_erase(struct sq_inbox *in, struct entry *e)
{
	uint32_t hole = (uint32_t)(e - in->slots);

	if (e->state == E_GHOST)
		in->ghosts--;
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

static bool
entry_is(const struct entry *e, uint64_t queue, const struct sq_origin *o)
{
	return e->queue == queue && e->number == o->number && e->run == o->run &&
	    e->incarnation == o->incarnation && e->copy == o->copy;
}

static void
entry_name(struct entry *e, uint64_t queue, const struct sq_origin *o)
{
	e->queue = queue;
	e->incarnation = o->incarnation;
	e->run = o->run;
	e->number = o->number;
	e->copy = o->copy;
}

/* What the broker sends again after an attach precedes anything new: ghosts are
 * forgotten when that begins, and at the next attach, but not before. */
static void
inbox_forget_ghosts(struct sq_inbox *in)
{
	for (uint32_t i = 0; in->ghosts > 0 && i <= in->mask;) {
		if (in->slots[i].packet_id != 0 && in->slots[i].state == E_GHOST)
			inbox_erase(in, &in->slots[i]); /* another one may now be here */
		else
			i++;
	}
}

static void
inbox_make_ghost(struct sq_inbox *in, struct entry *e)
{
	in->ghosts++;
	e->state = E_GHOST;
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

static void
inbox_settle(struct sq_inbox *in, uint16_t id, uint8_t kind, uint8_t reason, uint64_t delivery)
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
inbox_credit(struct sq_inbox *in, struct entry *e)
{
	if ((e->flags & F_CHARGED) == 0)
		return;
	e->flags &= (uint8_t)~F_CHARGED;
	in->credit_msgs++;
	in->credit_bytes += e->size;
}

/* Posts what 'e' is settled by in its state, once in each attach. */
static void
entry_post(struct sq_inbox *in, struct entry *e)
{
	if (e->state == E_SETTLING)
		inbox_credit(in, e);
	if ((e->flags & F_POSTED) != 0)
		return;
	e->flags |= F_POSTED;
	if (e->state == E_SETTLING)
		inbox_settle(in, e->packet_id, e->kind, e->reason, e->delivery);
	else if (e->state == E_RECEIVING || e->state == E_RELEASED)
		inbox_settle(in, e->packet_id, SQ_SETTLE_RECEIVED, 0, e->delivery);
}

static void
entry_finish(struct sq_inbox *in, struct entry *e, uint8_t kind, uint8_t reason)
{
	e->state = E_SETTLING;
	e->kind = (e->flags & F_ORPHAN) != 0 ? SQ_SETTLE_COMPLETE : kind;
	e->reason = (e->flags & F_ORPHAN) != 0 ? 0 : reason;
	e->flags &= (uint8_t)~F_POSTED;
	entry_post(in, e);
}

static void
inbox_push_pubrel(struct sq_inbox *in, uint16_t id)
{
	if (in->n_pubrels == in->pubrels_cap) {
		in->pubrels_cap = in->pubrels_cap == 0 ? 8 : in->pubrels_cap * 2;
		in->pubrels = sq_xrealloc(in->pubrels, in->pubrels_cap * sizeof *in->pubrels);
	}
	in->pubrels[in->n_pubrels++] = id;
}

static void
entry_release(struct sq_inbox *in, struct entry *e)
{
	e->state = E_RELEASED;
	inbox_push_pubrel(in, e->packet_id);
}

bool
sq_inbox_pubrel(struct sq_inbox *in, uint16_t *packet_id)
{
	if (in->next_pubrel == in->n_pubrels) {
		in->next_pubrel = in->n_pubrels = 0;
		return false;
	}
	*packet_id = in->pubrels[in->next_pubrel++];
	return true;
}

/* --- attach --- */

static int
open_id_order(const void *a, const void *b)
{
	const struct sq_open_id *x = a, *y = b;

	return x->delivery < y->delivery ? -1 : x->delivery > y->delivery;
}

static uint8_t
entry_open_state(const struct entry *e)
{
	if ((e->flags & F_ORPHAN) != 0)
		return SQ_OPEN_ORPHAN;
	if (e->state == E_RELEASED || (e->state == E_SETTLING && e->kind == SQ_SETTLE_COMPLETE))
		return SQ_OPEN_RECEIVED;
	return e->qos == 1 ? SQ_OPEN_QOS1 : SQ_OPEN_QOS2;
}

void
sq_inbox_attach(const struct sq_inbox *in, struct sq_attach *out, struct sq_open_id **ids)
{
	struct sq_open_id *v = NULL;
	uint16_t n = 0;

	out->receive_max = in->receive_max;
	if (in->n > in->ghosts)
		v = sq_xcalloc(in->n - in->ghosts, sizeof *v);
	for (uint32_t i = 0; v != NULL && i <= in->mask; i++) {
		const struct entry *e = &in->slots[i];

		if (e->packet_id == 0 || e->state == E_GHOST)
			continue;
		v[n++] = (struct sq_open_id){.packet_id = e->packet_id,
		    .state = entry_open_state(e),
		    .queue = e->queue,
		    .delivery = e->seq,
		    .origin = {e->incarnation, e->run, e->number, e->copy}};
	}
	if (n > 1)
		qsort(v, n, sizeof *v, open_id_order);
	for (uint16_t i = 0; i < n; i++)
		v[i].delivery = 0;
	out->n_open = n;
	*ids = v;
}

/* The answer lists an id that this inbox doesn't know: what an older connection
 * of the client left open. */
static void
inbox_adopt(struct sq_inbox *in, const struct sq_open_id *id)
{
	struct entry *e;

	if (id->state == SQ_OPEN_QOS1)
		return; /* its message comes as a new one */
	e = inbox_insert(in, id->packet_id);
	entry_name(e, id->queue, &id->origin);
	e->qos = 2;
	e->delivery = id->delivery;
	if (id->state == SQ_OPEN_QOS2) {
		/* The client may hold the id: the next PUT must list it, even if its
		 * message has not come by then. */
		e->state = E_EXPECTED;
		return;
	}
	/* An orphan's message may have come to an older connection, so the client
	 * may hold that id too: it is free after PUBREL and PUBCOMP. */
	e->flags = F_SEEN | F_POSTED;
	if (id->state == SQ_OPEN_ORPHAN)
		e->flags |= F_ORPHAN;
	entry_release(in, e);
}

/* The broker holds the id of 'e' in the state that 'id' says. */
static void
entry_rebind(struct sq_inbox *in, struct entry *e, const struct sq_open_id *id)
{
	e->delivery = id->delivery;
	e->flags &= (uint8_t) ~(F_POSTED | F_CHARGED | F_SEEN);
	if (id->state == SQ_OPEN_ORPHAN)
		e->flags |= F_ORPHAN | F_SEEN;
	else if (id->state == SQ_OPEN_RECEIVED)
		e->flags |= F_SEEN;
	switch ((enum entry_state)e->state) {
	case E_SENT1:
	case E_SENT2:
		if (id->state == SQ_OPEN_RECEIVED)
			entry_release(in, e);
		break;
	case E_EXPECTED:
		if (id->state == SQ_OPEN_RECEIVED || id->state == SQ_OPEN_ORPHAN)
			entry_release(in, e);
		break;
	case E_RECEIVING:
		if (id->state == SQ_OPEN_ORPHAN || id->state == SQ_OPEN_RECEIVED)
			entry_release(in, e);
		else
			entry_post(in, e);
		break;
	case E_RELEASED:
		if (id->state == SQ_OPEN_QOS2)
			entry_post(in, e);
		break;
	case E_SETTLING:
		if (id->state == SQ_OPEN_ORPHAN)
			e->kind = SQ_SETTLE_COMPLETE;
		if (id->state == SQ_OPEN_QOS2 && e->kind == SQ_SETTLE_COMPLETE)
			inbox_settle(in, e->packet_id, SQ_SETTLE_RECEIVED, 0, e->delivery);
		entry_post(in, e);
		break;
	case E_GHOST:
		break;
	}
}

/* Entries that the answer didn't list are finished at the broker. */
static void
inbox_forget_unlisted(struct sq_inbox *in, const bool *listed)
{
	for (uint32_t i = 0; in->slots != NULL && i <= in->mask;) {
		struct entry *e = &in->slots[i];

		if (e->packet_id == 0 || listed[e->packet_id]) {
			i++;
		} else if (e->state == E_SETTLING || e->state == E_GHOST) {
			if (e->state == E_SETTLING)
				inbox_make_ghost(in, e);
			e->flags &= (uint8_t) ~(F_POSTED | F_CHARGED | F_SEEN);
			i++;
		} else {
			if (e->state == E_RECEIVING)
				inbox_push_pubrel(in, e->packet_id);
			inbox_erase(in, e); /* another one may now be here */
		}
	}
}

void
sq_inbox_attached(struct sq_inbox *in, const struct sq_attached *a)
{
	struct sq_bytes rest = a->open;
	bool *listed = NULL;

	in->attach++;
	in->flying = 0;
	sq_buf_fini(&in->body);
	in->run.n = 0;
	in->n_ids = 0;
	in->credit_msgs = (int64_t)(in->window_msgs - in->unwritten_msgs);
	in->credit_bytes = (int64_t)(in->window_bytes - in->unwritten_bytes);
	in->announced_msgs = in->announced_bytes = 0; /* the first settlements grant it */
	inbox_forget_ghosts(in);
	if (in->n == 0 && a->n_open == 0)
		return;
	listed = sq_xcalloc(UINT16_MAX + 1, sizeof *listed);
	for (uint16_t i = 0; i < a->n_open; i++) {
		struct sq_open_id id = sq_open_id_next(&rest, true);
		struct entry *e = inbox_find(in, id.packet_id);

		if (id.packet_id == 0)
			continue;
		listed[id.packet_id] = true;
		if (e != NULL && entry_is(e, id.queue, &id.origin)) {
			entry_rebind(in, e, &id);
			continue;
		}
		if (e != NULL)
			inbox_erase(in, e);
		inbox_adopt(in, &id);
	}
	inbox_forget_unlisted(in, listed);
	free(listed);
}

/* --- deliveries --- */

/* The message of an entry that is already here came again. */
static void
entry_again(struct sq_inbox *in, struct entry *e, uint64_t delivery, uint32_t size)
{
	if (e->delivery != delivery)
		e->flags &= (uint8_t)~F_POSTED;
	e->delivery = delivery;
	e->size = size;
	e->flags |= F_CHARGED | F_SEEN;
	e->flags &= (uint8_t)~F_ORPHAN;
	if (e->state == E_GHOST) {
		in->ghosts--;
		e->state = E_SETTLING;
		e->flags &= (uint8_t)~F_POSTED;
	}
	entry_post(in, e);
}

enum sq_inbox_verdict
sq_inbox_deliver(
    struct sq_inbox *in, const struct sq_target *t, const struct sq_origin *o, uint32_t size)
{
	struct entry *e = inbox_find(in, t->packet_id);
	bool listed = e != NULL && entry_is(e, t->queue, o);

	if (listed && e->state != E_EXPECTED) {
		entry_again(in, e, t->delivery, size);
		return SQ_INBOX_KNOWN;
	}
	/* An expected message, or the id is used anew: the broker finished the old
	 * delivery before its answer to our settlement got here. */
	if (e != NULL)
		inbox_erase(in, e);
	if (!listed)
		inbox_forget_ghosts(in);
	e = inbox_insert(in, t->packet_id);
	entry_name(e, t->queue, o);
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
	struct entry *e = inbox_find(in, packet_id);

	if (e != NULL && (e->state == E_SENT1 || e->state == E_SENT2))
		entry_finish(in, e, SQ_SETTLE_ACK, reason);
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

/* --- the client's answers --- */

void
sq_inbox_puback(struct sq_inbox *in, uint16_t packet_id, uint8_t reason)
{
	struct entry *e = inbox_find(in, packet_id);

	if (e != NULL && e->state == E_SENT1)
		entry_finish(in, e, SQ_SETTLE_ACK, reason);
}

void
sq_inbox_pubrec(struct sq_inbox *in, uint16_t packet_id, uint8_t reason)
{
	struct entry *e = inbox_find(in, packet_id);

	if (e == NULL || e->state == E_GHOST) {
		if (reason < 0x80)
			inbox_push_pubrel(in, packet_id);
	} else if (e->state == E_SENT2 && reason >= 0x80) {
		entry_finish(in, e, SQ_SETTLE_ACK, reason);
	} else if (e->state == E_SENT2 && (e->flags & F_ORPHAN) != 0) {
		entry_release(in, e);
	} else if (e->state == E_SENT2) {
		e->state = E_RECEIVING;
		e->flags &= (uint8_t)~F_POSTED;
		entry_post(in, e);
	} else if (e->state == E_RELEASED && reason < 0x80) {
		inbox_push_pubrel(in, packet_id);
	}
}

void
sq_inbox_pubcomp(struct sq_inbox *in, uint16_t packet_id)
{
	struct entry *e = inbox_find(in, packet_id);

	if (e != NULL && e->state == E_RELEASED)
		entry_finish(in, e, SQ_SETTLE_COMPLETE, 0);
}

/* --- flights --- */

bool
sq_inbox_due(const struct sq_inbox *in)
{
	return in->n_ids != 0 ||
	    in->credit_msgs - in->announced_msgs >= (int64_t)(in->window_msgs + 1) / 2 ||
	    in->credit_bytes - in->announced_bytes >= (int64_t)(in->window_bytes + 1) / 2;
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
	if (in->credit_msgs > in->announced_msgs)
		in->announced_msgs = in->credit_msgs;
	if (in->credit_bytes > in->announced_bytes)
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
	struct entry *e = inbox_find(in, id);

	if (e == NULL || e->delivery != delivery)
		return;
	if (kind == SQ_SETTLE_RECEIVED) {
		if (e->state == E_RECEIVING)
			entry_release(in, e);
	} else if (e->state == E_SETTLING) {
		if ((e->flags & F_SEEN) != 0)
			inbox_erase(in, e);
		else
			inbox_make_ghost(in, e);
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
				inbox_settle(in, f->ids[at++], s.kind, s.reason, s.delivery + i);
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
}
