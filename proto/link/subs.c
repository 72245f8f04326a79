#include "proto/link/subs.h"

#include "proto/link/frame_priv.h"

enum {
	SUB_FIXED = 30, /* of an entry of version 1, the smallest */
};

void
sq_sub_put(struct sq_buf *b, const struct sq_sub *s, unsigned version)
{
	sq_buf_u8(b, s->op);
	sq_buf_u8(b, s->options);
	sq_buf_u8(b, s->flags);
	sq_buf_u8(b, s->overflow);
	sq_buf_u32(b, s->sub_id);
	sq_buf_u32(b, s->queue_expiry_s);
	sq_buf_u32(b, s->max_length);
	sq_buf_u32(b, s->max_attempts);
	sq_buf_u32(b, s->concurrency);
	if (version >= 2)
		sq_buf_u64(b, s->since_ms);
	frame_put16(b, s->tag);
	frame_put16(b, s->group);
	frame_put16(b, s->filter);
	if (version >= 2)
		frame_put16(b, s->pod);
}

static struct sq_sub
sub_take(struct sq_reader *r, unsigned version)
{
	struct sq_sub s = {0};

	s.op = sq_read8(r);
	s.options = sq_read8(r);
	s.flags = sq_read8(r);
	s.overflow = sq_read8(r);
	s.sub_id = sq_read32(r);
	s.queue_expiry_s = sq_read32(r);
	s.max_length = sq_read32(r);
	s.max_attempts = sq_read32(r);
	s.concurrency = sq_read32(r);
	if (version >= 2)
		s.since_ms = sq_read64(r);
	s.tag = frame_take16(r);
	s.group = frame_take16(r);
	s.filter = frame_take16(r);
	if (version >= 2)
		s.pod = frame_take16(r);
	return s;
}

static bool
sub_fits(const struct sq_sub *s)
{
	return (s->op == SQ_SUB_SUBSCRIBE || s->op == SQ_SUB_UNSUBSCRIBE) &&
	    (s->options & 3) != 3 && (s->options & 0xc0) == 0 && (s->options >> 4) != 3 &&
	    (s->flags & ~(SQ_SUB_DECLARED | SQ_SUB_CONSUME | SQ_SUB_DURABLE)) == 0 &&
	    s->overflow <= SQ_OVERFLOW_DROP_NEW && (s->filter.len > 0 || s->tag.len > 0) &&
	    (s->group.len > 0) == ((s->flags & SQ_SUB_DECLARED) != 0) &&
	    s->pod.len <= SQ_SUB_POD_MAX &&
	    (s->group.len > 0 || (s->since_ms == 0 && s->pod.len == 0));
}

void
sq_subs_head_put(struct sq_buf *b, uint16_t n, const struct sq_subs_head *head, unsigned version)
{
	sq_buf_u16(b, n);
	if (version < 2)
		return;
	sq_buf_u32(b, head->mark);
	for (int lane = 0; lane < SQ_LANES; lane++)
		sq_buf_u64(b, head->after[lane]);
}

/* The head behind the count. */
static struct sq_subs_head
subs_head_take(struct sq_reader *r, unsigned version)
{
	struct sq_subs_head head = {0};

	if (version < 2)
		return head;
	head.mark = sq_read32(r);
	for (int lane = 0; lane < SQ_LANES; lane++)
		head.after[lane] = sq_read64(r);
	return head;
}

/* What waits for nothing names no numbers. */
static bool
subs_head_fits(const struct sq_subs_head *head)
{
	for (int lane = 0; lane < SQ_LANES; lane++) {
		if (head->mark == 0 && head->after[lane] != 0)
			return false;
	}
	return true;
}

int
sq_subs_decode(const void *p, size_t len, unsigned version, struct sq_subs_head *head,
    struct sq_bytes *entries)
{
	struct sq_reader r = sq_reader(p, len);
	uint16_t n = sq_read16(&r);

	*head = subs_head_take(&r, version);
	*entries = (struct sq_bytes){r.p, sq_reader_left(&r)};
	if (r.bad || !subs_head_fits(head) || n == 0 || n > entries->len / SUB_FIXED)
		return SQ_EINVAL;
	for (uint16_t i = 0; i < n; i++) {
		struct sq_sub s = sub_take(&r, version);

		if (r.bad || !sub_fits(&s))
			return SQ_EINVAL;
	}
	return frame_end(&r) == SQ_OK ? n : SQ_EINVAL;
}

struct sq_sub
sq_sub_next(struct sq_bytes *entries, unsigned version)
{
	struct sq_reader r = sq_reader(entries->p, entries->len);
	struct sq_sub s = sub_take(&r, version);

	*entries = (struct sq_bytes){r.p, sq_reader_left(&r)};
	return s;
}

void
sq_codes_encode(struct sq_buf *b, const struct sq_codes *c, unsigned version)
{
	sq_buf_u16(b, c->n);
	sq_buf_append(b, c->codes, c->n);
	if (version >= 2)
		sq_notes_encode(b, c->notes);
}

int
sq_codes_decode(const void *p, size_t len, unsigned version, struct sq_codes *out)
{
	struct sq_reader r = sq_reader(p, len);

	out->n = sq_read16(&r);
	out->codes = sq_read_bytes(&r, out->n);
	out->notes = (struct sq_bytes){0};
	if (!r.bad && version >= 2)
		return sq_notes_decode(r.p, sq_reader_left(&r), out->n, &out->notes);
	return frame_end(&r);
}
