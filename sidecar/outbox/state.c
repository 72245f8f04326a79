/* Written states; see state.h. */
#include "sidecar/outbox/state.h"

#include <stdlib.h>

#include "core/bytes.h"
#include "core/mem.h"

void
sq_outbox_skips_add(struct sq_outbox_skips *s, uint64_t first, uint64_t n)
{
	if (s->n > 0 && s->v[s->n - 1].first + s->v[s->n - 1].n == first) {
		s->v[s->n - 1].n += n;
		return;
	}
	s->v = sq_xrealloc(s->v, (s->n + 1) * sizeof *s->v);
	s->v[s->n++] = (struct sq_outbox_skip){first, n};
}

bool
sq_outbox_skips_has(const struct sq_outbox_skips *s, uint64_t seq)
{
	for (size_t i = 0; i < s->n; i++) {
		if (seq >= s->v[i].first && seq - s->v[i].first < s->v[i].n)
			return true;
	}
	return false;
}

void
sq_outbox_skips_prune(struct sq_outbox_skips *s, uint64_t seq)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].first + s->v[i].n - 1 > seq)
			s->v[n++] = s->v[i];
	}
	s->n = n;
}

void
sq_outbox_skips_fini(struct sq_outbox_skips *s)
{
	free(s->v);
	*s = (struct sq_outbox_skips){0};
}

void
sq_outbox_state_put(
    const struct sq_outbox_state *s, const struct sq_outbox_held *held, struct sq_buf *b)
{
	sq_buf_u64(b, s->done_seq);
	sq_buf_u64(b, s->done_bytes);
	sq_buf_u64(b, s->low);
	sq_buf_u64(b, s->next_seq);
	sq_buf_u64(b, s->tail_bytes);
	sq_buf_u64(b, s->run);
	sq_buf_u64(b, s->incarnation);
	sq_buf_u64(b, s->first_number);
	sq_buf_u32(b, (uint32_t)s->skips.n);
	for (size_t i = 0; i < s->skips.n; i++) {
		sq_buf_u64(b, s->skips.v[i].first);
		sq_buf_u64(b, s->skips.v[i].n);
	}
	sq_outbox_held_put(held, b);
}

static int
state_get_skips(struct sq_outbox_skips *s, struct sq_reader *r)
{
	uint32_t n = sq_read32(r);

	if (r->bad || n > sq_reader_left(r) / 16)
		return SQ_EINVAL;
	while (n-- > 0) {
		uint64_t first = sq_read64(r), count = sq_read64(r);

		sq_outbox_skips_add(s, first, count);
	}
	return 0;
}

int
sq_outbox_state_get(struct sq_outbox_state *s, struct sq_outbox_held *held, struct sq_bytes in)
{
	struct sq_reader r = sq_reader(in.p, in.len);

	s->done_seq = sq_read64(&r);
	s->done_bytes = sq_read64(&r);
	s->low = sq_read64(&r);
	s->next_seq = sq_read64(&r);
	s->tail_bytes = sq_read64(&r);
	s->run = sq_read64(&r);
	s->incarnation = sq_read64(&r);
	s->first_number = sq_read64(&r);
	s->skips = (struct sq_outbox_skips){0};
	if (state_get_skips(&s->skips, &r) != 0 || sq_outbox_held_get(held, &r) != 0 ||
	    sq_reader_left(&r) != 0) {
		sq_outbox_skips_fini(&s->skips);
		return SQ_EINVAL;
	}
	return 0;
}
