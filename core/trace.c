/* Trace contexts; see core/trace.h. */
#include "core/trace.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Places in a traceparent: "VV-" 32 digits "-" 16 digits "-FF". */
enum {
	AT_TRACE = 3,
	AT_SPAN = AT_TRACE + 2 * SQ_TRACE_ID + 1,
	AT_FLAGS = AT_SPAN + 2 * SQ_SPAN_ID + 1,
	FLAG_SAMPLED = 0x01,
	DIGIT = 0x10,
	VERSION_NEVER = 0xff,
	SHARE_BITS = 56,
};

static_assert(AT_FLAGS + 2 == SQ_TRACEPARENT_LEN, "the length follows from the places");

/* --- text --- */

/* The value of a lower-case digit with DIGIT, and 0 of any other character. */
static const unsigned char hex_digits[UCHAR_MAX + 1] = {['0'] = 0x10,
    ['1'] = 0x11,
    ['2'] = 0x12,
    ['3'] = 0x13,
    ['4'] = 0x14,
    ['5'] = 0x15,
    ['6'] = 0x16,
    ['7'] = 0x17,
    ['8'] = 0x18,
    ['9'] = 0x19,
    ['a'] = 0x1a,
    ['b'] = 0x1b,
    ['c'] = 0x1c,
    ['d'] = 0x1d,
    ['e'] = 0x1e,
    ['f'] = 0x1f};

/* Reads 2 * n digits; without branches, for each message of an app that traces has them. */
static bool
hex_read(const unsigned char *p, unsigned char *out, size_t n)
{
	unsigned digits = DIGIT;

	for (size_t i = 0; i < n; i++) {
		unsigned high = hex_digits[p[2 * i]], low = hex_digits[p[2 * i + 1]];

		digits &= high & low;
		out[i] = (unsigned char)(high << 4 | (low & 15));
	}
	return digits != 0;
}

static char *
hex_write(char *at, const unsigned char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*at++ = digits[p[i] >> 4];
		*at++ = digits[p[i] & 15];
	}
	return at;
}

static bool
all_zero(const unsigned char *p, size_t n)
{
	unsigned char any = 0;

	for (size_t i = 0; i < n; i++)
		any |= p[i];
	return any == 0;
}

int
sq_traceparent_parse(struct sq_bytes text, struct sq_trace *out)
{
	const unsigned char *p = text.p;
	unsigned char version, flags;

	if (text.len < SQ_TRACEPARENT_LEN || p[AT_TRACE - 1] != '-' || p[AT_SPAN - 1] != '-' ||
	    p[AT_FLAGS - 1] != '-')
		return SQ_EINVAL;
	if (!hex_read(p, &version, 1) || version == VERSION_NEVER ||
	    !hex_read(p + AT_TRACE, out->id, SQ_TRACE_ID) ||
	    !hex_read(p + AT_SPAN, out->span, SQ_SPAN_ID) || !hex_read(p + AT_FLAGS, &flags, 1))
		return SQ_EINVAL;
	if (text.len > SQ_TRACEPARENT_LEN && (version == 0 || p[SQ_TRACEPARENT_LEN] != '-'))
		return SQ_EINVAL;
	if (all_zero(out->id, SQ_TRACE_ID) || all_zero(out->span, SQ_SPAN_ID))
		return SQ_EINVAL;
	out->sampled = (flags & FLAG_SAMPLED) != 0;
	return SQ_OK;
}

void
sq_traceparent_format(const struct sq_trace *t, char out[SQ_TRACEPARENT_LEN + 1])
{
	unsigned char flags = t->sampled ? FLAG_SAMPLED : 0;
	char *at = out;

	memcpy(at, "00-", AT_TRACE);
	at = hex_write(at + AT_TRACE, t->id, SQ_TRACE_ID);
	*at++ = '-';
	at = hex_write(at, t->span, SQ_SPAN_ID);
	*at++ = '-';
	at = hex_write(at, &flags, 1);
	*at = '\0';
}

void
sq_trace_id_format(const struct sq_trace *t, char out[2 * SQ_TRACE_ID + 1])
{
	*hex_write(out, t->id, SQ_TRACE_ID) = '\0';
}

enum sq_trace_found
sq_trace_find(struct sq_bytes props, struct sq_trace *out)
{
	enum sq_trace_found found = SQ_TRACE_NONE;
	struct sq_bytes name, value;

	while (sq_props_user_next(&props, &name, &value)) {
		if (!sq_bytes_are(name, SQ_PROP_TRACEPARENT))
			continue;
		if (found != SQ_TRACE_NONE || sq_traceparent_parse(value, out) != SQ_OK)
			return SQ_TRACE_BAD;
		found = SQ_TRACE_GOOD;
	}
	return found;
}

bool
sq_trace_sampled(struct sq_bytes props, struct sq_trace *out)
{
	struct sq_bytes rest = props, name, value;

	while (sq_props_user_next(&rest, &name, &value)) {
		if (!sq_bytes_are(name, SQ_PROP_TRACEPARENT))
			continue;
		/* The last digit of the flags, in which the lowest bit is that of sampled. */
		if (value.len < SQ_TRACEPARENT_LEN ||
		    (hex_digits[value.p[SQ_TRACEPARENT_LEN - 1]] & FLAG_SAMPLED) == 0)
			return false;
		return sq_trace_find(props, out) == SQ_TRACE_GOOD;
	}
	return false;
}

const char *
sq_trace_words(struct sq_bytes props, char out[SQ_TRACE_WORDS])
{
	static const char name[] = " trace_id=";
	struct sq_trace t;

	static_assert(sizeof name + 2 * SQ_TRACE_ID <= SQ_TRACE_WORDS, "it fits");
	out[0] = '\0';
	if (sq_trace_find(props, &t) == SQ_TRACE_GOOD) {
		memcpy(out, name, sizeof name - 1);
		sq_trace_id_format(&t, out + sizeof name - 1);
	}
	return out;
}

/* --- draws --- */

void
sq_trace_seed(struct sq_trace_random *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++) { /* splitmix64, which gives zero for one seed only */
		uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		r->s[i] = z ^ z >> 31;
	}
}

static uint64_t
rotate(uint64_t v, int by)
{
	return v << by | v >> (64 - by);
}

uint64_t
sq_trace_draw(struct sq_trace_random *r)
{
	uint64_t *s = r->s, out = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return out;
}

uint64_t
sq_trace_share(double share)
{
	const uint64_t whole = UINT64_C(1) << SHARE_BITS;

	assert(share >= 0 && share <= 1);
	return (uint64_t)(share * (double)whole);
}

int
sq_trace_share_parse(const char *text, uint64_t *out)
{
	double share;
	char *end;

	/* Digits with at most one point: no sign, no exponent, no "nan". */
	if (text[0] == '\0' || strspn(text, "0123456789.") != strlen(text))
		return SQ_EINVAL;
	share = strtod(text, &end);
	if (end == text || *end != '\0' || !(share >= 0 && share <= 1))
		return SQ_EINVAL;
	*out = sq_trace_share(share);
	return SQ_OK;
}

/* Whether who goes by the last bits of an id samples its trace. */
static bool
share_has(uint64_t share, uint64_t low)
{
	return (low & ((UINT64_C(1) << SHARE_BITS) - 1)) < share;
}

/* Draws a trace whose id ends with 'low'. */
static void
trace_draw(struct sq_trace_random *r, uint64_t low, bool sampled, struct sq_trace *out)
{
	sq_put64(out->id + 8, low);
	do
		sq_put64(out->id, sq_trace_draw(r));
	while (all_zero(out->id, SQ_TRACE_ID));
	sq_trace_span(r, out->span);
	out->sampled = sampled;
}

bool
sq_trace_new(struct sq_trace_random *r, uint64_t share, struct sq_trace *out)
{
	uint64_t low = sq_trace_draw(r);

	if (!share_has(share, low))
		return false;
	trace_draw(r, low, true, out);
	return true;
}

void
sq_trace_unsampled(struct sq_trace_random *r, uint64_t share, struct sq_trace *out)
{
	uint64_t low;

	assert(share < UINT64_C(1) << SHARE_BITS);
	do
		low = sq_trace_draw(r);
	while (share_has(share, low));
	trace_draw(r, low, false, out);
}

void
sq_trace_span(struct sq_trace_random *r, unsigned char out[SQ_SPAN_ID])
{
	uint64_t v;

	do
		v = sq_trace_draw(r);
	while (v == 0);
	sq_put64(out, v);
}
