/* Bodies of requests and answers; see proto/link/frame.h. */
#include "proto/link/frame_priv.h"

#include <assert.h>
#include <string.h>

enum {
	ENTRY_SETTLE = 12,
};

void
sq_origin_put(struct sq_buf *b, const struct sq_origin *o)
{
	unsigned char *p = sq_buf_reserve(b, SQ_ORIGIN_SIZE);

	sq_put64(p, o->incarnation);
	sq_put64(p + 8, o->run);
	sq_put64(p + 16, o->number);
	p[24] = o->copy;
	sq_buf_commit(b, SQ_ORIGIN_SIZE);
}

struct sq_origin
sq_origin_get(struct sq_reader *r)
{
	struct sq_origin o;

	o.incarnation = sq_read64(r);
	o.run = sq_read64(r);
	o.number = sq_read64(r);
	o.copy = sq_read8(r);
	return o;
}

/* Attach and its answer. */

void
sq_open_id_put(struct sq_buf *b, const struct sq_open_id *id, bool answer)
{
	sq_buf_u16(b, id->packet_id);
	sq_buf_u8(b, id->state);
	sq_buf_u64(b, id->queue);
	sq_origin_put(b, &id->origin);
	if (answer)
		sq_buf_u64(b, id->delivery);
}

struct sq_open_id
sq_open_id_next(struct sq_bytes *open, bool answer)
{
	struct sq_reader r = sq_reader(open->p, open->len);
	struct sq_open_id id;

	id.packet_id = sq_read16(&r);
	id.state = sq_read8(&r);
	id.queue = sq_read64(&r);
	id.origin = sq_origin_get(&r);
	id.delivery = answer ? sq_read64(&r) : 0;
	*open = (struct sq_bytes){r.p, sq_reader_left(&r)};
	return id;
}

/* Takes a counted list of open ids and checks ids and states. */
static struct sq_bytes
open_ids_take(struct sq_reader *r, bool answer, uint16_t *n)
{
	size_t each = SQ_OPEN_ID_SIZE + (answer ? 8u : 0u);
	struct sq_bytes all;

	*n = sq_read16(r);
	all = frame_take(r, *n * each);
	for (size_t at = 0; at < all.len; at += each) {
		const unsigned char *p = all.p + at;

		if (sq_get16(p) == 0 || p[2] < SQ_OPEN_QOS1 || p[2] > SQ_OPEN_ORPHAN)
			r->bad = true;
	}
	return all;
}

void
sq_attach_encode(struct sq_buf *b, const struct sq_attach *a, const struct sq_open_id *ids)
{
	sq_buf_u64(b, a->instance);
	sq_buf_u64(b, a->ordinal);
	sq_buf_u32(b, a->attempt);
	sq_buf_u64(b, a->link);
	sq_buf_u8(b, a->flags);
	sq_buf_u32(b, a->expiry_s);
	sq_buf_u16(b, a->receive_max);
	sq_buf_u64(b, a->incarnation);
	if (a->flags & SQ_ATTACH_WILL) {
		sq_buf_u32(b, a->will_delay_s);
		sq_buf_append(b, a->will.p, a->will.len);
	}
	sq_buf_u16(b, a->n_open);
	for (uint16_t i = 0; i < a->n_open; i++)
		sq_open_id_put(b, &ids[i], false);
}

int
sq_attach_decode(const void *p, size_t len, struct sq_attach *out)
{
	struct sq_reader r = sq_reader(p, len);

	memset(out, 0, sizeof *out);
	out->instance = sq_read64(&r);
	out->ordinal = sq_read64(&r);
	out->attempt = sq_read32(&r);
	out->link = sq_read64(&r);
	out->flags = sq_read8(&r);
	out->expiry_s = sq_read32(&r);
	out->receive_max = sq_read16(&r);
	out->incarnation = sq_read64(&r);
	if (out->flags & SQ_ATTACH_WILL) {
		out->will_delay_s = sq_read32(&r);
		out->will = frame_take_image(&r);
	}
	out->open = open_ids_take(&r, false, &out->n_open);
	if (out->flags &
		~(SQ_ATTACH_CLEAN_START | SQ_ATTACH_WILL | SQ_ATTACH_MQTT5 | SQ_ATTACH_KEEPER |
		    SQ_ATTACH_GONE | SQ_ATTACH_TELL) ||
	    out->instance == 0 || out->ordinal == 0 || out->attempt == 0 || out->receive_max == 0)
		return SQ_EINVAL;
	return frame_end(&r);
}

void
sq_attached_encode(struct sq_buf *b, const struct sq_attached *a, unsigned version)
{
	assert(a->held.len == a->n_held * 2u);
	assert(a->open.len == a->n_open * (SQ_OPEN_ID_SIZE + 8u));
	sq_buf_u64(b, a->epoch);
	sq_buf_u64(b, a->incarnation);
	sq_buf_u64(b, a->store);
	sq_buf_u8(b,
	    (uint8_t)((a->present ? SQ_ATTACHED_PRESENT : 0) |
		(a->renewed ? SQ_ATTACHED_RENEWED : 0)));
	sq_buf_u32(b, a->max_packet);
	sq_buf_u32(b, a->expiry_s);
	for (int lane = 0; lane < SQ_LANES; lane++)
		sq_buf_u64(b, a->last[lane]);
	sq_buf_u16(b, a->n_held);
	sq_buf_append(b, a->held.p, a->held.len);
	sq_buf_u16(b, a->n_open);
	sq_buf_append(b, a->open.p, a->open.len);
	if (version >= 2)
		sq_limits_encode(b, &a->limits);
}

int
sq_attached_decode(const void *p, size_t len, unsigned version, struct sq_attached *out)
{
	struct sq_reader r = sq_reader(p, len);
	uint8_t flags;

	memset(out, 0, sizeof *out);
	out->epoch = sq_read64(&r);
	out->incarnation = sq_read64(&r);
	out->store = sq_read64(&r);
	flags = sq_read8(&r);
	out->present = (flags & SQ_ATTACHED_PRESENT) != 0;
	out->renewed = (flags & SQ_ATTACHED_RENEWED) != 0;
	out->max_packet = sq_read32(&r);
	out->expiry_s = sq_read32(&r);
	for (int lane = 0; lane < SQ_LANES; lane++)
		out->last[lane] = sq_read64(&r);
	out->n_held = sq_read16(&r);
	out->held = frame_take(&r, out->n_held * 2u);
	out->open = open_ids_take(&r, true, &out->n_open);
	out->limits = sq_limits_unsaid;
	if (version >= 2 && sq_limits_decode(&r, &out->limits) != SQ_OK)
		return SQ_EINVAL;
	if ((flags & ~(SQ_ATTACHED_PRESENT | SQ_ATTACHED_RENEWED)) != 0 || out->epoch == 0 ||
	    out->incarnation == 0)
		return SQ_EINVAL;
	return frame_end(&r);
}

/* Batches and outcomes. */

void
sq_batch_header(unsigned char *out, const struct sq_batch *batch)
{
	out[0] = batch->lane;
	out[1] = 0;
	sq_put16(out + 2, batch->n);
	sq_put64(out + 4, batch->run);
	sq_put64(out + 12, batch->first);
	sq_put64(out + 20, batch->upto);
	sq_put32(out + SQ_BATCH_HEADER_V1, batch->mark);
}

void
sq_entry_header(unsigned char *out, uint8_t kind, uint16_t packet_id)
{
	out[0] = kind;
	out[1] = 0;
	sq_put16(out + 2, packet_id);
}

/* Lane 0 carries live QoS 0 only; packet ids go with releases and with QoS 2, but
 * for what the sidecar raised to it. */
static bool
entry_fits(uint8_t lane, const struct sq_entry *e)
{
	unsigned qos;

	if (e->image == NULL)
		return lane == 1 && e->packet_id != 0;
	qos = sq_image_qos(e->image);
	if (lane == 0)
		return qos == 0 && !sq_image_retain(e->image) && e->packet_id == 0;
	return e->packet_id == 0 || qos == 2;
}

static struct sq_entry
entry_take(struct sq_reader *r)
{
	struct sq_entry e = {.kind = sq_read8(r)};

	if (sq_read8(r) != 0)
		r->bad = true;
	e.packet_id = sq_read16(r);
	if (e.kind == SQ_ENTRY_MESSAGE)
		e.image = frame_take_image(r).p;
	else if (e.kind != SQ_ENTRY_RELEASE)
		r->bad = true;
	return e;
}

int
sq_batch_decode(const void *p, size_t len, unsigned version, struct sq_batch *out)
{
	struct sq_reader r = sq_reader(p, len);
	uint8_t zero;

	out->lane = sq_read8(&r);
	zero = sq_read8(&r);
	out->n = sq_read16(&r);
	out->run = sq_read64(&r);
	out->first = sq_read64(&r);
	out->upto = sq_read64(&r);
	out->mark = version >= 2 ? sq_read32(&r) : 0;
	out->entries = (struct sq_bytes){r.p, sq_reader_left(&r)};
	if (r.bad || zero != 0 || out->lane >= SQ_LANES || out->n == 0 || out->run == 0 ||
	    out->first == 0 || out->upto >= out->first || out->first + out->n < out->first)
		return SQ_EINVAL;
	for (uint16_t i = 0; i < out->n && !r.bad; i++) {
		struct sq_entry e = entry_take(&r);

		if (r.bad || !entry_fits(out->lane, &e))
			return SQ_EINVAL;
	}
	return frame_end(&r);
}

struct sq_entry
sq_batch_next(struct sq_bytes *entries)
{
	const unsigned char *p = entries->p;
	struct sq_entry e = {.kind = p[0], .packet_id = sq_get16(p + 2)};
	size_t used = SQ_ENTRY_HEADER;

	if (e.kind == SQ_ENTRY_MESSAGE) {
		e.image = p + SQ_ENTRY_HEADER;
		used += sq_image_size(e.image);
	}
	*entries = (struct sq_bytes){p + used, entries->len - used};
	return e;
}

void
sq_outcomes_encode(struct sq_buf *b, const struct sq_outcomes *o, unsigned version)
{
	const struct sq_codes codes = {.n = o->n, .codes = o->codes, .notes = o->notes};

	sq_buf_u64(b, o->first);
	sq_codes_encode(b, &codes, version);
}

int
sq_outcomes_decode(const void *p, size_t len, unsigned version, struct sq_outcomes *out)
{
	struct sq_codes codes;
	int err;

	if (len < 8)
		return SQ_EINVAL;
	err = sq_codes_decode((const unsigned char *)p + 8, len - 8, version, &codes);
	*out = (struct sq_outcomes){sq_get64(p), codes.n, codes.codes, codes.notes};
	return err;
}

/* Settlements. */

void
sq_settlements_header(struct sq_buf *b, uint64_t credit_msgs, uint64_t credit_bytes)
{
	sq_buf_u64(b, credit_msgs);
	sq_buf_u64(b, credit_bytes);
}

void
sq_settle_put(struct sq_buf *b, const struct sq_settle *s)
{
	unsigned char *p = sq_buf_reserve(b, ENTRY_SETTLE);

	p[0] = s->kind;
	p[1] = s->reason;
	sq_put16(p + 2, s->n);
	sq_put64(p + 4, s->delivery);
	sq_buf_commit(b, ENTRY_SETTLE);
}

int
sq_settlements_decode(const void *p, size_t len, struct sq_settlements *out)
{
	struct sq_reader r = sq_reader(p, len);

	out->credit_msgs = sq_read64(&r);
	out->credit_bytes = sq_read64(&r);
	out->entries = (struct sq_bytes){r.p, sq_reader_left(&r)};
	if (r.bad || out->entries.len % ENTRY_SETTLE != 0)
		return SQ_EINVAL;
	for (const unsigned char *e = r.p; e < r.end; e += ENTRY_SETTLE) {
		if (e[0] < SQ_SETTLE_ACK || e[0] > SQ_SETTLE_REJECT || sq_get16(e + 2) == 0)
			return SQ_EINVAL;
	}
	return SQ_OK;
}

bool
sq_settle_next(struct sq_bytes *entries, struct sq_settle *out)
{
	const unsigned char *p = entries->p;

	if (entries->len == 0)
		return false;
	*out = (struct sq_settle){p[0], p[1], sq_get16(p + 2), sq_get64(p + 4)};
	*entries = (struct sq_bytes){p + ENTRY_SETTLE, entries->len - ENTRY_SETTLE};
	return true;
}

/* Detach. */

void
sq_detach_encode(struct sq_buf *b, const struct sq_detach *d, unsigned version)
{
	sq_buf_u32(b, d->expiry_s);
	sq_buf_u8(b, d->will);
	sq_buf_u8(b, version >= 2 ? d->flags : 0);
	sq_buf_u16(b, 0);
	for (int lane = 0; lane < SQ_LANES; lane++)
		sq_buf_u64(b, d->last[lane]);
}

int
sq_detach_decode(const void *p, size_t len, unsigned version, struct sq_detach *out)
{
	struct sq_reader r = sq_reader(p, len);
	uint8_t flags = version >= 2 ? SQ_DETACH_QUIET : 0;
	uint16_t zero;

	out->expiry_s = sq_read32(&r);
	out->will = sq_read8(&r);
	out->flags = sq_read8(&r);
	zero = sq_read16(&r);
	for (int lane = 0; lane < SQ_LANES; lane++)
		out->last[lane] = sq_read64(&r);
	if (zero != 0 || out->will > 1 || (out->flags & ~flags) != 0)
		return SQ_EINVAL;
	return frame_end(&r);
}
