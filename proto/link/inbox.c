/* Deliveries of a session at the sidecar; see inbox.h.  The attach is in
 * inbox_attach.c, the client's answers in inbox_acks.c, the entries in inbox_table.c. */
#include "proto/link/inbox.h"

#include <assert.h>
#include <stdlib.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "proto/link/inbox_priv.h"

enum {
	CREDIT_HEADER = 16,
	AHEAD = 8,                 /* confirmations whose places are on their way from memory */
	PRESSING_BYTES = 32 << 10, /* half of what a session may always have unsettled */
};

struct sq_inbox *
sq_inbox_new(uint64_t window_msgs, uint64_t window_bytes, uint16_t receive_max)
{
	struct sq_inbox *in = sq_xcalloc(1, sizeof *in);

	in->credit.window_msgs = window_msgs;
	in->credit.window_bytes = window_bytes;
	in->receive_max = receive_max;
	in->limit = receive_max;
	return in;
}

void
sq_inbox_free(struct sq_inbox **inp)
{
	struct sq_inbox *in = *inp;

	*inp = NULL;
	if (in == NULL)
		return;
	free(in->table.slots);
	free(in->settled.ids);
	free(in->pubrels.v);
	free(in->strays.bits);
	sq_buf_fini(&in->settled.body);
	free(in);
}

bool
sq_inbox_pubrel(struct sq_inbox *in, struct sq_inbox_pubrel *out)
{
	if (in->pubrels.next == in->pubrels.n) {
		in->pubrels.next = in->pubrels.n = 0;
		return false;
	}
	*out = in->pubrels.v[in->pubrels.next++];
	return true;
}

/* --- deliveries --- */

/* A delivery came, which uses credit. */
static void
inbox_came(struct sq_inbox *in, uint32_t size)
{
	in->credit.came_msgs++;
	in->credit.came_bytes += size;
}

/* The message of an entry that is already here came again. */
static void
entry_again(struct sq_inbox *in, struct sq_inbox_entry *e, uint64_t delivery, uint32_t size)
{
	if (e->state == E_GHOST) {
		sq_inbox_count_ghost(in, e, -1);
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

/* Whether a delivery with the packet id of 'e' is the same.  The delivery id of an entry is known
 * if it came in this attach or was listed by it: another id is then a copy, for example a retained
 * message for a second subscription. */
static bool
entry_named(const struct sq_inbox *in, const struct sq_inbox_entry *e, const struct sq_target *t,
    const struct sq_origin *o)
{
	if ((e->flags & (F_SEEN | F_LISTED)) != 0 && e->delivery != t->delivery)
		return false;
	return sq_inbox_entry_is(in, e, t->queue, o);
}

enum sq_inbox_verdict
sq_inbox_deliver(
    struct sq_inbox *in, const struct sq_target *t, const struct sq_origin *o, uint32_t size)
{
	struct sq_inbox_entry *e = sq_inbox_find(in, t->packet_id);
	bool listed = e != NULL && entry_named(in, e, t, o);

	inbox_came(in, size);
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
	e = sq_inbox_insert(in, t->packet_id, t->queue, o);
	e->delivery = t->delivery;
	e->size = size;
	e->flags = F_CHARGED | F_SEEN;
	if ((t->flags & SQ_TARGET_QOS) == 2)
		e->flags |= F_QOS2;
	e->state = (e->flags & F_QOS2) != 0 ? E_SENT2 : E_SENT1;
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
	inbox_came(in, size);
	in->credit.unwritten_msgs++;
	in->credit.unwritten_bytes += size;
}

void
sq_inbox_written(struct sq_inbox *in, uint64_t msgs, uint64_t bytes)
{
	assert(msgs <= in->credit.unwritten_msgs && bytes <= in->credit.unwritten_bytes);
	in->credit.unwritten_msgs -= msgs;
	in->credit.unwritten_bytes -= bytes;
	in->credit.msgs += (int64_t)msgs;
	in->credit.bytes += (int64_t)bytes;
}

/* --- flights --- */

static bool
inbox_credit_due(const struct sq_inbox *in)
{
	return !in->credit.held &&
	    (in->credit.msgs - in->credit.announced_msgs >=
		    (int64_t)(in->credit.window_msgs + 1) / 2 ||
		in->credit.bytes - in->credit.announced_bytes >=
		    (int64_t)(in->credit.window_bytes + 1) / 2);
}

bool
sq_inbox_due(const struct sq_inbox *in)
{
	return in->settled.n != 0 || in->asked || inbox_credit_due(in);
}

bool
sq_inbox_pressing(const struct sq_inbox *in)
{
	const struct sq_inbox_credit *c = &in->credit;
	uint64_t msgs = c->window_msgs - (uint64_t)(c->announced_msgs - c->came_msgs);
	uint64_t bytes = c->window_bytes - (uint64_t)(c->announced_bytes - c->came_bytes);

	if (in->settled.n == 0 || in->asked)
		return sq_inbox_due(in);
	return in->settled.pressing || sq_inbox_open(in) >= (in->limit + 1) / 2 ||
	    msgs >= (c->window_msgs + 1) / 2 || bytes >= (c->window_bytes + 1) / 2 ||
	    bytes >= PRESSING_BYTES;
}

void
sq_inbox_ask(struct sq_inbox *in)
{
	in->asked = true;
}

void
sq_inbox_limit(struct sq_inbox *in, uint32_t n)
{
	if (n < in->limit)
		in->limit = n;
}

void
sq_inbox_hold_credit(struct sq_inbox *in, bool held)
{
	in->credit.held = held;
}

bool
sq_inbox_take(struct sq_inbox *in, struct sq_inbox_flight *out)
{
	unsigned char *head;

	if (in->flying >= SQ_INBOX_FLYING_MAX || !sq_inbox_due(in))
		return false;
	sq_inbox_end_run(in);
	if (sq_buf_len(&in->settled.body) == 0)
		sq_settlements_header(&in->settled.body, 0, 0);
	if (!in->credit.held && in->credit.msgs > in->credit.announced_msgs)
		in->credit.announced_msgs = in->credit.msgs;
	if (!in->credit.held && in->credit.bytes > in->credit.announced_bytes)
		in->credit.announced_bytes = in->credit.bytes;
	head = sq_buf_data(&in->settled.body);
	sq_put64(head, (uint64_t)in->credit.announced_msgs);
	sq_put64(head + 8, (uint64_t)in->credit.announced_bytes);
	*out = (struct sq_inbox_flight){.body = in->settled.body,
	    .ids = in->settled.ids,
	    .n = in->settled.n,
	    .attach = in->attach};
	in->settled.body = (struct sq_buf){0};
	in->settled.ids = NULL;
	in->settled.n = in->settled.cap = 0;
	in->settled.pressing = in->asked = false;
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
	assert(f->attach != in->attach || in->flying > 0);
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
		for (unsigned i = 0; i < s.n && at < f->n; i++) {
			sq_inbox_expect(in, f->ids[at + AHEAD < f->n ? at + AHEAD : at]);
			inbox_confirm(in, f->ids[at++], s.kind, s.delivery + i);
		}
	}
	flight_free(in, f);
}

/* What was said of the credit may not have arrived: it is due again.  Never more than was said: while
 * credit is held, none was. */
static void
credit_again(int64_t *announced, int64_t total, uint64_t window)
{
	int64_t due = total - (int64_t)(window + 1) / 2;

	if (*announced > due)
		*announced = due;
}

void
sq_inbox_again(struct sq_inbox *in, struct sq_inbox_flight *f)
{
	struct sq_bytes rest = flight_entries(f);
	struct sq_settle s;
	uint32_t at = 0;

	if (f->attach == in->attach) {
		credit_again(&in->credit.announced_msgs, in->credit.msgs, in->credit.window_msgs);
		credit_again(
		    &in->credit.announced_bytes, in->credit.bytes, in->credit.window_bytes);
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
	return in->settled.n == 0 && in->flying == 0;
}

size_t
sq_inbox_open(const struct sq_inbox *in)
{
	return in->table.n - in->table.ghosts;
}

void
sq_inbox_trim(struct sq_inbox *in)
{
	if (in->table.n == 0 && in->table.slots != NULL) {
		free(in->table.slots);
		in->table.slots = NULL;
		in->table.names = NULL;
		in->table.mask = 0;
	}
	if (in->pubrels.next == in->pubrels.n && in->pubrels.v != NULL) {
		free(in->pubrels.v);
		in->pubrels.v = NULL;
		in->pubrels.n = in->pubrels.next = in->pubrels.cap = 0;
	}
	if (in->strays.n == 0) {
		free(in->strays.bits);
		in->strays.bits = NULL;
	}
}
