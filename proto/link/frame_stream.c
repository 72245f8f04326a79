/* Frames of the deliveries response; see proto/link/frame.h. */
#include <assert.h>

#include "proto/link/frame_priv.h"

enum { TARGET_FIXED = 28, FRAME_HEADER = 5 };

static void
frame_head(struct sq_buf *b, size_t body, uint8_t type)
{
	sq_buf_u32(b, (uint32_t)(body + 1));
	sq_buf_u8(b, type);
}

void
sq_frame_heartbeat(struct sq_buf *b)
{
	frame_head(b, 0, SQ_FRAME_HEARTBEAT);
}

void
sq_frame_draining(struct sq_buf *b, struct sq_bytes address, unsigned version)
{
	bool has = version >= 3 && address.len > 0;

	assert(address.len <= SQ_ADDRESS_MAX);
	frame_head(b, has ? 2 + address.len : 0, SQ_FRAME_DRAINING);
	if (has)
		frame_put16(b, address);
}

void
sq_frame_standby(struct sq_buf *b, struct sq_bytes address)
{
	assert(address.len <= SQ_ADDRESS_MAX);
	frame_head(b, 2 + address.len, SQ_FRAME_STANDBY);
	frame_put16(b, address);
}

void
sq_frame_trust(struct sq_buf *b, uint64_t digest)
{
	frame_head(b, 8, SQ_FRAME_TRUST);
	sq_buf_u64(b, digest);
}

void
sq_frame_detached(
    struct sq_buf *b, uint64_t epoch, uint8_t reason, struct sq_bytes text, unsigned version)
{
	unsigned char room[SQ_NOTE_TEXT_MAX];

	text = sq_note_text_clean(text, room);
	frame_head(b, 8 + 1 + (version >= 2 ? 2 + text.len : 0), SQ_FRAME_DETACHED);
	sq_buf_u64(b, epoch);
	sq_buf_u8(b, reason);
	if (version >= 2)
		frame_put16(b, text);
}

void
sq_frame_subscribed(struct sq_buf *b, uint64_t epoch, uint32_t mark, const uint8_t *codes,
    uint16_t n, const struct sq_notes *notes)
{
	const struct sq_codes answer = {.n = n,
	    .codes = codes,
	    .notes = notes != NULL ? sq_notes_view(notes) : (struct sq_bytes){0}};

	frame_head(b, 8 + 4 + 2 + n + 2 + answer.notes.len, SQ_FRAME_SUBSCRIBED);
	sq_buf_u64(b, epoch);
	sq_buf_u32(b, mark);
	sq_codes_encode(b, &answer, 2);
}

void
sq_kept_put(struct sq_buf *b, const struct sq_kept *k)
{
	sq_buf_u8(b, k->options);
	sq_buf_u32(b, k->sub_id);
	frame_put16(b, k->filter);
}

static struct sq_kept
kept_take(struct sq_reader *r)
{
	struct sq_kept k = {.options = sq_read8(r), .sub_id = sq_read32(r)};

	k.filter = frame_take16(r);
	return k;
}

struct sq_kept
sq_kept_next(struct sq_bytes *entries)
{
	struct sq_reader r = sq_reader(entries->p, entries->len);
	struct sq_kept k = kept_take(&r);

	*entries = (struct sq_bytes){r.p, sq_reader_left(&r)};
	return k;
}

void
sq_frame_kept(struct sq_buf *b, uint64_t epoch, bool last, uint16_t n, struct sq_bytes entries)
{
	frame_head(b, 8 + 1 + 2 + entries.len, SQ_FRAME_KEPT);
	sq_buf_u64(b, epoch);
	sq_buf_u8(b, last);
	sq_buf_u16(b, n);
	sq_buf_append(b, entries.p, entries.len);
}

/* Where a deliver frame's count of targets stands, from its start. */
static size_t
deliver_count_at(const unsigned char *frame)
{
	size_t image = FRAME_HEADER + 1 + 4 + ((frame[FRAME_HEADER] & 1) ? SQ_ORIGIN_SIZE : 0);

	return image + sq_image_size(frame + image);
}

size_t
sq_deliver_open(
    struct sq_buf *b, const struct sq_origin *origin, uint32_t expiry_s, const unsigned char *image)
{
	size_t at = sq_buf_len(b);
	size_t size = sq_image_size(image);

	sq_buf_reserve(b, FRAME_HEADER + 5 + SQ_ORIGIN_SIZE + size + 2 + TARGET_FIXED);
	frame_head(b, 5 + (origin != NULL ? SQ_ORIGIN_SIZE : 0u) + size + 2, SQ_FRAME_DELIVER);
	sq_buf_u8(b, origin != NULL);
	sq_buf_u32(b, expiry_s);
	if (origin != NULL)
		sq_origin_put(b, origin);
	sq_buf_append(b, image, size);
	sq_buf_u16(b, 0);
	return at;
}

int
sq_deliver_target(struct sq_buf *b, size_t at, const struct sq_target *t, const uint32_t *subs)
{
	size_t size = TARGET_FIXED + t->n_subs * 4u;
	unsigned char *p = sq_buf_reserve(b, size), *frame = sq_buf_data(b) + at, *count;

	count = frame + deliver_count_at(frame);
	if (sq_get16(count) >= SQ_DELIVER_TARGETS_MAX)
		return SQ_EAGAIN;
	sq_put16(count, (uint16_t)(sq_get16(count) + 1));
	sq_put32(frame, (uint32_t)(sq_get32(frame) + size));
	sq_put64(p, t->epoch);
	sq_put64(p + 8, t->delivery);
	sq_put64(p + 16, t->queue);
	sq_put16(p + 24, t->packet_id);
	p[26] = t->flags;
	p[27] = t->n_subs;
	for (size_t i = 0; i < t->n_subs; i++)
		sq_put32(p + TARGET_FIXED + i * 4, subs[i]);
	sq_buf_commit(b, size);
	return SQ_OK;
}

static bool
targets_fit(struct sq_bytes targets, uint16_t n)
{
	struct sq_reader r = sq_reader(targets.p, targets.len);

	for (uint16_t i = 0; i < n; i++) {
		const unsigned char *t = sq_read_bytes(&r, TARGET_FIXED);

		if (t == NULL || (t[26] & 3) == 3 || (t[26] & 0xf0) != 0 ||
		    ((t[26] & 3) != 0) != (sq_get16(t + 24) != 0))
			return false;
		sq_read_bytes(&r, t[27] * 4u);
	}
	return frame_end(&r) == SQ_OK;
}

static int
deliver_decode(struct sq_reader *r, struct sq_deliver *d)
{
	uint8_t flags = sq_read8(r);

	d->expiry_s = sq_read32(r);
	d->has_origin = flags == 1;
	if (d->has_origin)
		d->origin = sq_origin_get(r);
	d->image = frame_take_image(r).p;
	d->n = sq_read16(r);
	d->targets = (struct sq_bytes){r->p, sq_reader_left(r)};
	if (r->bad || flags > 1 || d->n == 0 || !targets_fit(d->targets, d->n))
		return SQ_EINVAL;
	return SQ_OK;
}

/* The words of a detached frame, from version 2 on. */
static int
detached_text(struct sq_reader *r, struct sq_bytes *text)
{
	*text = frame_take16(r);
	return frame_end(r) == SQ_OK && sq_note_text_valid(*text) ? SQ_OK : SQ_EINVAL;
}

static int
subscribed_decode(struct sq_reader *r, struct sq_frame *out)
{
	struct sq_codes codes;

	out->epoch = sq_read64(r);
	out->mark = sq_read32(r);
	if (r->bad || out->mark == 0)
		return SQ_EINVAL;
	if (sq_codes_decode(r->p, sq_reader_left(r), 2, &codes) != SQ_OK || codes.n == 0)
		return SQ_EINVAL;
	out->n_codes = codes.n;
	out->codes = codes.codes;
	out->notes = codes.notes;
	return SQ_OK;
}

static int
kept_decode(struct sq_reader *r, struct sq_frame *out)
{
	uint8_t last;

	out->epoch = sq_read64(r);
	last = sq_read8(r);
	out->last_kept = last == 1;
	out->n_kept = sq_read16(r);
	out->kept = (struct sq_bytes){r->p, sq_reader_left(r)};
	if (r->bad || last > 1 || (out->n_kept == 0 && last == 0))
		return SQ_EINVAL;
	for (uint16_t i = 0; i < out->n_kept; i++) {
		struct sq_kept k = kept_take(r);

		if (r->bad || k.filter.len == 0 || (k.options & 3) == 3 || k.options > 0x0f)
			return SQ_EINVAL;
	}
	return frame_end(r);
}

static int
address_decode(struct sq_reader *r, struct sq_bytes *out)
{
	*out = frame_take16(r);
	return out->len > SQ_ADDRESS_MAX ? SQ_EINVAL : frame_end(r);
}

int
sq_frame_decode(const unsigned char *p, size_t len, size_t max, struct sq_frame *out, size_t *used)
{
	struct sq_reader r;

	*used = 0;
	if (len < 4)
		return SQ_EAGAIN;
	*used = 4 + (size_t)sq_get32(p);
	if (*used < FRAME_HEADER)
		return SQ_EINVAL;
	if (*used > max)
		return SQ_ETOOBIG;
	if (len < *used)
		return SQ_EAGAIN;
	r = sq_reader(p + FRAME_HEADER, *used - FRAME_HEADER);
	out->type = p[4];
	switch (out->type) {
	case SQ_FRAME_HEARTBEAT:
		return frame_end(&r);
	case SQ_FRAME_DRAINING:
		out->address = (struct sq_bytes){0};
		return r.p == r.end ? SQ_OK : address_decode(&r, &out->address);
	case SQ_FRAME_STANDBY:
		return address_decode(&r, &out->address);
	case SQ_FRAME_DELIVER:
		return deliver_decode(&r, &out->deliver);
	case SQ_FRAME_DETACHED:
		out->epoch = sq_read64(&r);
		out->reason = sq_read8(&r);
		out->text = (struct sq_bytes){0};
		return r.bad || r.p == r.end ? frame_end(&r) : detached_text(&r, &out->text);
	case SQ_FRAME_TRUST:
		out->digest = sq_read64(&r);
		return frame_end(&r);
	case SQ_FRAME_SUBSCRIBED:
		return subscribed_decode(&r, out);
	case SQ_FRAME_KEPT:
		return kept_decode(&r, out);
	default:
		return SQ_OK; /* of a version that is not known here */
	}
}

struct sq_target
sq_target_next(struct sq_bytes *targets)
{
	const unsigned char *p = targets->p;
	struct sq_target t = {
	    .epoch = sq_get64(p),
	    .delivery = sq_get64(p + 8),
	    .queue = sq_get64(p + 16),
	    .packet_id = sq_get16(p + 24),
	    .flags = p[26],
	    .n_subs = p[27],
	    .subs = p + TARGET_FIXED,
	};
	size_t used = TARGET_FIXED + t.n_subs * 4u;

	*targets = (struct sq_bytes){p + used, targets->len - used};
	return t;
}
