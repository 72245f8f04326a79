#include "proto/link/lane_in.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum {
	CODES_MIN = 64,
	SAVED_MAX = 4096,         /* outcomes */
	SAVED_SPAN_MAX = 1 << 20, /* numbers */
};

enum sq_lane_verdict
sq_lane_in_offer(const struct sq_lane_in *l, const struct sq_batch *b, uint16_t *skip)
{
	*skip = 0;
	if (b->first > l->last + 1)
		return SQ_LANE_EARLY;
	if (b->run != l->run)
		return b->first == l->last + 1 ? SQ_LANE_ADMIT : SQ_LANE_RUN;
	if (b->first + b->n - 1 <= l->last) {
		*skip = b->n;
		return b->first > l->kept ? SQ_LANE_KNOWN : SQ_LANE_RUN;
	}
	*skip = (uint16_t)(l->last + 1 - b->first);
	return *skip == 0 || b->first > l->kept ? SQ_LANE_ADMIT : SQ_LANE_RUN;
}

/* Makes room for the outcomes of (kept, last]. */
static void
lane_in_grow(struct sq_lane_in *l, uint64_t n)
{
	uint32_t cap = l->cap > 0 ? l->cap : CODES_MIN;
	uint8_t *codes;

	while (cap < n)
		cap *= 2;
	if (cap == l->cap)
		return;
	codes = sq_xcalloc(cap, 1);
	for (uint64_t i = l->kept + 1; l->cap > 0 && i <= l->last; i++)
		codes[i & (cap - 1)] = l->codes[i & (l->cap - 1)];
	free(l->codes);
	l->codes = codes;
	l->cap = cap;
}

void
sq_lane_in_admit(struct sq_lane_in *l, const struct sq_batch *b)
{
	uint64_t end = b->first + b->n - 1;

	if (b->run != l->run) {
		assert(b->first == l->last + 1);
		l->run = b->run;
		l->kept = l->last;
	}
	assert(end > l->last);
	if (b->upto > l->kept) /* what the sender has seen of its run */
		l->kept = b->upto < l->last ? b->upto : l->last;
	lane_in_grow(l, end - l->kept);
	for (uint64_t i = l->last + 1; i <= end; i++)
		l->codes[i & (l->cap - 1)] = 0;
	l->last = end;
}

void
sq_lane_in_set(struct sq_lane_in *l, uint64_t number, uint8_t code)
{
	assert(number > l->kept && number <= l->last);
	l->codes[number & (l->cap - 1)] = code;
}

void
sq_lane_in_cut(struct sq_lane_in *l, uint64_t number)
{
	assert(number >= l->done && number >= l->kept && number <= l->last);
	l->last = number;
}

void
sq_lane_in_done(struct sq_lane_in *l, uint64_t number)
{
	assert(number <= l->last);
	if (number > l->done)
		l->done = number;
}

void
sq_lane_in_failed(struct sq_lane_in *l)
{
	l->last = l->done;
	if (l->kept > l->last)
		l->kept = l->last;
}

bool
sq_lane_in_outcomes(const struct sq_lane_in *l, uint64_t first, uint16_t n, uint8_t *out)
{
	if (first <= l->kept || first + n - 1 > l->last)
		return false;
	for (uint16_t i = 0; i < n; i++)
		out[i] = l->codes[(first + i) & (l->cap - 1)];
	return true;
}

void
sq_lane_in_save(const struct sq_lane_in *l, struct sq_buf *out)
{
	uint64_t kept = l->last;
	size_t n = 0, at;

	sq_buf_u64(out, l->last);
	sq_buf_u64(out, l->run);
	at = sq_buf_len(out);
	sq_buf_u64(out, 0);
	for (; kept > l->kept; kept--) { /* the latest first */
		uint8_t code = l->codes[kept & (l->cap - 1)];

		if (code == 0)
			continue;
		if (n++ == SAVED_MAX)
			break;
		sq_buf_u32(out, (uint32_t)(l->last - kept));
		sq_buf_u8(out, code);
	}
	sq_put64(sq_buf_data(out) + at, kept);
}

int
sq_lane_in_load(struct sq_lane_in *l, struct sq_bytes saved)
{
	struct sq_reader r = sq_reader(saved.p, saved.len);

	l->last = l->done = sq_read64(&r);
	l->run = sq_read64(&r);
	l->kept = sq_read64(&r);
	if (r.bad || l->kept > l->last || l->last - l->kept > SAVED_SPAN_MAX)
		return SQ_EINVAL;
	lane_in_grow(l, l->last - l->kept);
	while (!r.bad && sq_reader_left(&r) > 0) {
		uint32_t before = sq_read32(&r);
		uint8_t code = sq_read8(&r);

		if (before >= l->last - l->kept)
			r.bad = true;
		else
			sq_lane_in_set(l, l->last - before, code);
	}
	return r.bad ? SQ_EINVAL : SQ_OK;
}

void
sq_lane_in_fini(struct sq_lane_in *l)
{
	free(l->codes);
	*l = (struct sq_lane_in){0};
}
