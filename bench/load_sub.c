/* The generator's subscribers: what arrives is checked message by message. */
#include "bench/load.h"

#include <stdio.h>
#include <stdlib.h>

static void *
sub_calloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p == NULL)
		abort();
	return p;
}

void
sq_load_sub_init(struct sq_load *l, unsigned idx)
{
	struct sq_load_sub *s = &l->sub[idx];

	s->c.kind = SQ_LOAD_SUB;
	s->c.idx = idx;
	if (l->o.qos == 2)
		s->held = sub_calloc(1, (UINT16_MAX + 1) / 8);
	if (l->o.shared != NULL)
		s->order = sub_calloc(l->o.publishers, sizeof *s->order);
	else
		s->track = sub_calloc(l->o.publishers, sizeof *s->track);
	for (unsigned i = 0; s->track != NULL && i < l->o.publishers; i++)
		s->track[i].next = l->o.expect;
	if (l->o.pace)
		s->late = sub_calloc(l->o.receive_max, sizeof *s->late);
}

void
sq_load_sub_filter(const struct sq_load *l, unsigned idx, char *out, size_t cap)
{
	const struct sq_load_opts *o = &l->o;
	char topic[100];

	if (o->topology == SQ_LOAD_FANIN && o->idle == 0)
		snprintf(topic, sizeof topic, "%s/+", o->prefix);
	else
		snprintf(topic, sizeof topic, "%s/%u", o->prefix,
		    o->topology == SQ_LOAD_FANOUT ? 0 : idx);
	if (o->shared != NULL)
		snprintf(out, cap, "$share/%s/%s", o->shared, topic);
	else
		snprintf(out, cap, "%s", topic);
}

/* A member of a group sees a part of the numbers, in order. */
static void
sub_check_order(struct sq_load *l, struct sq_load_sub *s, uint32_t pub, uint64_t seq)
{
	if (seq < s->order[pub])
		l->misordered++;
	else
		s->order[pub] = seq + 1;
}

/* One message of this run, for the first time on this packet id. */
static void
sub_count(struct sq_load *l, struct sq_load_sub *s, uint32_t pub, const unsigned char *payload)
{
	uint64_t seq = sq_get64(payload + 8), stamp = sq_get64(payload + 16);
	struct sq_load_pub *p = &l->pub[pub];
	struct sq_track *t = s->track != NULL ? &s->track[pub] : &l->group[pub];
	uint64_t expected = t->next;
	enum sq_track_result res;

	if (seq >= p->sent) {
		l->foreign++;
		return;
	}
	res = sq_track_see(t, seq);
	if (s->track == NULL && res != SQ_TRACK_DUPLICATE)
		sub_check_order(l, s, pub, seq);
	if (res == SQ_TRACK_DUPLICATE)
		return;
	l->received++;
	l->last_delivery = l->last_progress = l->now;
	/* What a gap skipped won't come any more: it leaves the window. */
	if (s->track == NULL)
		p->delivered++;
	else if (res != SQ_TRACK_LATE)
		p->delivered += seq + 1 - expected;
	if (!p->c.dirty)
		sq_load_conn_dirty(l, &p->c);
	if (sq_load_measuring(l))
		l->count.delivered++;
	if (stamp >= l->from && stamp < l->till)
		sq_hist_add(l->latency, l->now > stamp ? l->now - stamp : 0);
}

static void
sub_ack(struct sq_load *l, struct sq_load_conn *c, enum sq_wire_type type, uint16_t id)
{
	sq_wire_put_ack(sq_load_conn_room(c, 4), type, id);
	sq_load_conn_dirty(l, c);
}

void
sq_load_sub_release(struct sq_load *l, unsigned idx)
{
	struct sq_load_sub *s = &l->sub[idx];

	if (s->n_late == 0) {
		s->allowed++;
		return;
	}
	sub_ack(l, &s->c, SQ_WIRE_PUBACK, s->late[s->late_at]);
	s->late_at = s->late_at + 1 == l->o.receive_max ? 0 : s->late_at + 1;
	s->n_late--;
}

/* Acknowledges now, or with the next publish; false: more than the receive maximum. */
static bool
sub_ack_paced(struct sq_load *l, struct sq_load_sub *s, uint16_t id)
{
	if (s->allowed > 0) {
		s->allowed--;
		sub_ack(l, &s->c, SQ_WIRE_PUBACK, id);
		return true;
	}
	if (s->n_late == l->o.receive_max)
		return sq_load_fail(l, "subscriber %u: more than its receive maximum", s->c.idx);
	s->late[(s->late_at + s->n_late++) % l->o.receive_max] = id;
	return true;
}

/* Answers a QoS 1 or 2 message; returns false if its packet id is held, that
 * is if it is the same delivery once more. */
static bool
sub_answer(
    struct sq_load *l, struct sq_load_sub *s, struct sq_load_conn *c, unsigned qos, uint16_t id)
{
	unsigned char bit = (unsigned char)(1 << (id & 7));
	bool again = false;

	if (l->o.pace)
		return sub_ack_paced(l, s, id);
	sub_ack(l, c, qos == 1 ? SQ_WIRE_PUBACK : SQ_WIRE_PUBREC, id);
	if (qos == 2) {
		again = (s->held[id >> 3] & bit) != 0;
		s->held[id >> 3] |= bit;
	}
	return !again;
}

static bool
sub_publish(
    struct sq_load *l, struct sq_load_sub *s, struct sq_load_conn *c, const struct sq_wire_frame *f)
{
	struct sq_wire_msg m;
	uint32_t pub;

	if (!sq_wire_read_publish(f, l->o.v5, &m) || m.qos > l->o.qos ||
	    (m.qos > 0 && m.packet_id == 0))
		return sq_load_fail(l, "subscriber %u: malformed PUBLISH", c->idx);
	if (m.qos > 0 && !sub_answer(l, s, c, m.qos, m.packet_id)) {
		l->redelivered++;
		return !l->failed;
	}
	if (m.len != l->o.size || sq_get32(m.payload) != l->magic) {
		l->foreign++;
		return true;
	}
	pub = sq_get32(m.payload + 4);
	if (pub >= l->o.publishers ||
	    (l->o.topology == SQ_LOAD_PAIRS && s->track != NULL && pub != s->c.idx)) {
		l->foreign++;
		return true;
	}
	sub_count(l, s, pub, m.payload);
	return true;
}

bool
sq_load_sub_packet(
    struct sq_load *l, struct sq_load_sub *s, struct sq_load_conn *c, const struct sq_wire_frame *f)
{
	uint16_t id;
	uint8_t reason;

	switch (f->head >> 4) {
	case SQ_WIRE_PUBLISH:
		return sub_publish(l, s, c, f);
	case SQ_WIRE_PUBREL:
		if (s->held == NULL || !sq_wire_read_ack(f, &id, &reason))
			break;
		s->held[id >> 3] &= (unsigned char)~(1 << (id & 7));
		sq_wire_put_ack(sq_load_conn_room(c, 4), SQ_WIRE_PUBCOMP, id);
		sq_load_conn_dirty(l, c);
		return true;
	default:
		break;
	}
	return sq_load_fail(l, "subscriber %u: unexpected packet 0x%02x", c->idx, f->head);
}
