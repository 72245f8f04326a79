/* The generator's publishers. */
#include "bench/load.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t
min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void
sq_load_pub_init(struct sq_load *l, unsigned idx)
{
	struct sq_load_pub *p = &l->pub[idx];
	char topic[128];

	p->c.kind = SQ_LOAD_PUB;
	p->c.idx = idx;
	p->quota = UINT64_MAX;
	p->sent = l->o.first;
	p->delivered = l->o.first * l->fan;
	snprintf(
	    topic, sizeof topic, "%s/%u", l->o.prefix, l->o.topology == SQ_LOAD_FANOUT ? 0 : idx);
	p->tmpl = sq_wire_template(topic, l->o.qos, l->o.size, l->o.v5);
	sq_put32(p->tmpl.bytes + p->tmpl.payload_at, l->magic);
	sq_put32(p->tmpl.bytes + p->tmpl.payload_at + 4, idx);
}

void
sq_load_pub_start(struct sq_load *l, struct sq_load_pub *p)
{
	if (l->o.qos == 0)
		return;
	p->limit = (uint32_t)min64(l->o.window, p->c.receive_max > 0 ? p->c.receive_max : 1);
	/* Twice the room, so that an id is not reused at once. */
	p->nslots = (uint32_t)min64(UINT16_MAX, (uint64_t)p->limit * 2 + 16);
	p->slot = calloc(p->nslots, sizeof *p->slot);
	if (p->slot == NULL)
		abort();
}

uint64_t
sq_load_pub_time(const struct sq_load *l, unsigned idx, uint64_t n)
{
	unsigned __int128 k = (unsigned __int128)n * l->o.publishers + idx;

	return l->start + (uint64_t)(k * 1000000000u / l->o.rate);
}

/* How many undelivered messages a publisher may have; 0: any number. */
static uint64_t
pub_backlog(const struct sq_load *l)
{
	if (l->fan == 0)
		return 0;
	if (l->o.qos == 0)
		return l->o.mode == SQ_LOAD_WINDOW ? l->o.window : 0;
	return l->o.backlog;
}

/* How many messages may be sent now. */
static uint64_t
pub_room(const struct sq_load *l, const struct sq_load_pub *p)
{
	size_t pending = p->c.out_len - p->c.out_at;
	uint64_t room, backlog = pub_backlog(l), under_way;

	if (!sq_load_sending(l) || pending >= SQ_LOAD_OUT_HIGH)
		return 0;
	room = (SQ_LOAD_OUT_HIGH - pending) / p->tmpl.len;
	if (room == 0 && pending == 0)
		room = 1;
	room = min64(room, p->quota - p->sent);
	if (l->o.mode == SQ_LOAD_RATE)
		room = min64(room, p->due);
	if (l->o.qos > 0)
		room = min64(room, p->limit - p->unacked);
	if (backlog > 0) {
		under_way = p->sent - min64(p->sent, p->delivered / l->fan);
		room = min64(room, backlog - min64(backlog, under_way));
	}
	return room;
}

/* Takes a free packet id; there is one, as the window is smaller. */
static uint16_t
pub_take_id(struct sq_load_pub *p, uint64_t stamp, uint8_t qos)
{
	uint32_t i = p->next_slot;

	while (p->slot[i].waits_for != 0)
		i = i + 1 == p->nslots ? 0 : i + 1;
	p->next_slot = i + 1 == p->nslots ? 0 : i + 1;
	p->slot[i].stamp = stamp;
	p->slot[i].waits_for = qos == 1 ? SQ_WIRE_PUBACK : SQ_WIRE_PUBREC;
	p->unacked++;
	return (uint16_t)(i + 1);
}

void
sq_load_pub_fill(struct sq_load *l, struct sq_load_pub *p)
{
	const struct sq_wire_template *t = &p->tmpl;
	uint64_t n = pub_room(l, p), stamp = l->now;
	bool timed = l->o.mode == SQ_LOAD_RATE;
	unsigned char *out;

	if (n == 0)
		return;
	out = sq_load_conn_room(&p->c, n * t->len);
	for (uint64_t i = 0; i < n; i++, out += t->len) {
		if (timed) {
			stamp = sq_load_pub_time(l, p->c.idx, p->sent + i);
			if (sq_load_measuring(l))
				sq_hist_add(l->lateness, l->now > stamp ? l->now - stamp : 0);
		}
		memcpy(out, t->bytes, t->len);
		if (l->o.qos > 0)
			sq_put16(out + t->packet_id_at, pub_take_id(p, stamp, l->o.qos));
		sq_put64(out + t->payload_at + 8, p->sent + i);
		sq_put64(out + t->payload_at + 16, stamp);
	}
	p->sent += n;
	if (timed)
		p->due -= n;
	if (sq_load_measuring(l))
		l->count.sent += n;
}

static void
pub_measured(struct sq_load *l)
{
	l->count.acked++;
	if (l->now - l->last_ack > l->longest_gap)
		l->longest_gap = l->now - l->last_ack;
	l->last_ack = l->now;
}

/* The handshake for 'slot' is over. */
static void
pub_acked(struct sq_load *l, struct sq_load_pub *p, struct sq_load_slot *slot, bool ok)
{
	slot->waits_for = 0;
	p->unacked--;
	l->last_progress = l->now;
	if (!ok)
		l->refused++;
	else if (sq_load_measuring(l))
		pub_measured(l);
	sq_load_tick_acked(l, slot->stamp);
	if (l->o.pace)
		sq_load_sub_release(l, p->c.idx);
	if (ok && slot->stamp >= l->from && slot->stamp < l->till)
		sq_hist_add(l->ack, l->now > slot->stamp ? l->now - slot->stamp : 0);
	sq_load_conn_dirty(l, &p->c);
}

bool
sq_load_pub_packet(struct sq_load *l, struct sq_load_pub *p, const struct sq_wire_frame *f)
{
	struct sq_load_slot *slot;
	uint16_t id;
	uint8_t reason;

	if (!sq_wire_read_ack(f, &id, &reason))
		return sq_load_fail(l, "publisher %u: malformed acknowledgement", p->c.idx);
	if (id == 0 || id > p->nslots || p->slot[id - 1].waits_for != f->head >> 4)
		return sq_load_fail(
		    l, "publisher %u: packet 0x%02x for id %u was not due", p->c.idx, f->head, id);
	slot = &p->slot[id - 1];
	if (f->head >> 4 == SQ_WIRE_PUBREC && reason < 0x80) {
		slot->waits_for = SQ_WIRE_PUBCOMP;
		sq_wire_put_ack(sq_load_conn_room(&p->c, 4), SQ_WIRE_PUBREL, id);
		sq_load_conn_dirty(l, &p->c);
		return true;
	}
	pub_acked(l, p, slot, reason < 0x80);
	return true;
}

void
sq_load_pub_write_off(struct sq_load *l, struct sq_load_pub *p)
{
	uint64_t all = p->sent * l->fan;

	if (l->o.qos > 0 || p->delivered >= all)
		return;
	p->delivered = all;
	sq_load_conn_dirty(l, &p->c);
}
