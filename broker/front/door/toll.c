/* See broker/front/door/toll.h; frames: RFC 9113, 4.1 and 6. */
#include "broker/front/door/toll.h"

#include "core/bytes.h"

enum {
	FRAME_HEAD = 9,
	FRAME_STREAM = 5,
	STREAM_BITS = 0x7fffffff,
	DATA = 0,
	HEADERS = 1,
	CONTINUATION = 9,
	FLAG_END_STREAM = 1,
	FLAG_PADDED = 8,
	FLAG_PRIORITY = 32,
	PRIORITY_SIZE = 5,
	SMALL = 64, /* bytes of a piece of a body that are worth a frame */
};

void
sq_toll_init(struct sq_toll *t, uint64_t now_ms)
{
	*t = (struct sq_toll){.left = SQ_TOLL_BURST, .paid_ms = now_ms};
}

static unsigned
toll_cost(unsigned type, unsigned flags, size_t len)
{
	if (type == DATA)
		return len < SMALL && (flags & FLAG_END_STREAM) == 0;
	return type > CONTINUATION ? SQ_TOLL_UNKNOWN : 1;
}

/* Counts the fields of a frame of a head, without padding and priority (RFC 9113, 6.2). */
static void
toll_fields(struct sq_toll *t, unsigned flags, const unsigned char *p, size_t len)
{
	size_t skip = (flags & FLAG_PRIORITY) != 0 ? PRIORITY_SIZE : 0, pad = 0;

	if ((flags & FLAG_PADDED) != 0 && len > 0) {
		pad = p[0];
		skip++;
	}
	if (skip + pad < len)
		sq_fields_take(&t->fields, p + skip, len - skip - pad);
}

/* A head on a stream that is there has trailers. */
static void
toll_stream(struct sq_toll *t, uint32_t stream)
{
	if (stream > t->stream)
		t->stream = stream;
	else if (stream == 0)
		return; /* h2o ends the connection */
	else if (t->n_trailed < SQ_TOLL_TRAILED)
		t->trailed[t->n_trailed++] = stream;
	else
		t->left = -SQ_TOLL_MOST;
}

bool
sq_toll_trailed(struct sq_toll *t, uint32_t stream)
{
	for (unsigned i = 0; i < t->n_trailed; i++) {
		if (t->trailed[i] == stream) {
			t->trailed[i] = t->trailed[--t->n_trailed];
			return true;
		}
	}
	return false;
}

/* Updates the figures of a head by one more frame. */
static void
toll_head(struct sq_toll *t, const unsigned char *frame, size_t body)
{
	if (frame[3] == HEADERS) {
		toll_stream(t, sq_get32(frame + FRAME_STREAM) & STREAM_BITS);
		t->head = 0;
		t->fields = (struct sq_fields){0};
	}
	t->head += body;
	t->heads += body;
	toll_fields(t, frame[3] == HEADERS ? frame[4] : 0, frame + FRAME_HEAD, body);
}

void
sq_toll_take(struct sq_toll *t, const unsigned char *p, size_t len)
{
	t->heads = 0;
	while (len >= FRAME_HEAD) {
		size_t body = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];

		if (len - FRAME_HEAD < body)
			return;
		t->left -= toll_cost(p[3], p[4], body);
		if (p[3] == HEADERS || p[3] == CONTINUATION)
			toll_head(t, p, body);
		if (sq_toll_head_too_large(t))
			return;
		p += FRAME_HEAD + body;
		len -= FRAME_HEAD + body;
	}
}

bool
sq_toll_head_too_large(const struct sq_toll *t)
{
	return t->head > SQ_TOLL_HEAD_MAX || t->fields.n > SQ_TOLL_FIELDS_MAX;
}

void
sq_toll_spend(struct sq_toll *t, unsigned cost)
{
	t->left -= cost;
}

void
sq_toll_earn(struct sq_toll *t, size_t gain)
{
	if (gain > SQ_TOLL_MOST)
		gain = SQ_TOLL_MOST;
	t->left += (int64_t)gain;
	if (t->left > SQ_TOLL_MOST)
		t->left = SQ_TOLL_MOST;
}

bool
sq_toll_good(struct sq_toll *t, uint64_t now_ms)
{
	uint64_t gain = (now_ms - t->paid_ms) * SQ_TOLL_PER_SECOND / 1000;

	if (gain > 0) {
		t->paid_ms = now_ms;
		if (gain > SQ_TOLL_BURST)
			gain = SQ_TOLL_BURST;
		if (t->left < SQ_TOLL_BURST - (int64_t)gain)
			t->left += (int64_t)gain;
		else if (t->left < SQ_TOLL_BURST)
			t->left = SQ_TOLL_BURST;
	}
	return t->left >= 0;
}
