/* The reader of JSON; see proto/json/json.h.  One pass without recursion: what the open containers
 * are is a bit each. */
#include "proto/json/json.h"

#include <assert.h>
#include <string.h>

#include "core/bytes.h"
#include "core/utf8.h"

#define READ_NONE UINT32_MAX /* an open container without a token */

struct read {
	const unsigned char *p, *end, *base;
	struct sq_json_tokens *tokens;
	struct sq_json_error *err;
	unsigned depth;
	uint64_t objects;                   /* bit d: the open container at depth d is an object */
	uint32_t opened[SQ_JSON_DEPTH_MAX]; /* their tokens */
};

static int
read_refuse(struct read *r, const unsigned char *at, const char *why)
{
	*r->err = (struct sq_json_error){(size_t)(at - r->base), why};
	return SQ_EINVAL;
}

static int
read_wrong(struct read *r, const char *why)
{
	return read_refuse(r, r->p, r->p == r->end ? "the text ends too early" : why);
}

static int
read_exceeds(struct read *r, const char *why)
{
	read_refuse(r, r->p, why);
	return SQ_ETOOBIG;
}

/* The next character, 0 at the end; none may be 0. */
static inline unsigned char
read_peek(const struct read *r)
{
	return r->p < r->end ? *r->p : 0;
}

static inline unsigned char
read_skip(struct read *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
		r->p++;
	return read_peek(r);
}

/* Keeps a token that starts at 'start' and ends where the reader is; where a container ends is
 * said later.  '*out', unless NULL, is its index. */
static inline int
read_keep(
    struct read *r, enum sq_json_type type, const unsigned char *start, bool escaped, uint32_t *out)
{
	struct sq_json_tokens *t = r->tokens;
	bool kept = r->depth <= t->depth && t->room > 0;

	if (out != NULL)
		*out = kept ? t->n : READ_NONE;
	if (!kept)
		return 0;
	if (t->n == t->room)
		return read_exceeds(r, "more values than the limit");
	t->at[t->n] = (struct sq_json_token){.start = (uint32_t)(start - r->base),
	    .end = (uint32_t)(r->p - r->base),
	    .next = t->n + 1,
	    .type = (uint8_t)type,
	    .escaped = escaped};
	t->n++;
	return 0;
}

/* The four digits at 'p'; -1: they are none. */
static int
read_hex4(const unsigned char *p, const unsigned char *end)
{
	int out = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = sq_hex_digit((char)p[i]);

		if (digit < 0)
			return -1;
		out = out << 4 | digit;
	}
	return out;
}

/* At a backslash. */
static int
read_escape(struct read *r)
{
	const unsigned char *start = r->p++;
	int unit;

	switch (read_peek(r)) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		r->p++;
		return 0;
	case 'u':
		break;
	default:
		return read_wrong(r, "no escape that JSON has");
	}
	unit = read_hex4(++r->p, r->end);
	if (unit < 0)
		return read_refuse(r, start, "\\u without four hexadecimal digits");
	r->p += 4;
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return read_refuse(r, start, "second half of a surrogate pair without the first");
	if (unit < 0xd800 || unit > 0xdbff)
		return 0;
	if (r->end - r->p < 2 || r->p[0] != '\\' || r->p[1] != 'u')
		return read_refuse(r, start, "first half of a surrogate pair without the second");
	unit = read_hex4(r->p + 2, r->end);
	if (unit < 0xdc00 || unit > 0xdfff)
		return read_refuse(r, start, "first half of a surrogate pair without the second");
	r->p += 6;
	return 0;
}

#define READ_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* How many of the eight bytes at 'p' stand for themselves in a string, up to the first that does
 * not: a quote, a backslash, a control character or what is not ASCII. */
static inline unsigned
read_plain8(const unsigned char *p)
{
	uint64_t v, odd;

	memcpy(&v, p, sizeof v);
	/* A borrow only changes the bytes behind the one that it comes out of. */
	odd = v | (v - READ_EACH(0x20)) | ((v ^ READ_EACH('"')) - READ_EACH(1)) |
	    ((v ^ READ_EACH('\\')) - READ_EACH(1));
	odd &= READ_EACH(0x80);
	return odd == 0 ? 8 : (unsigned)__builtin_ctzll(odd) / 8;
}

static inline void
read_plain(struct read *r)
{
	unsigned n = 8;

	while (n == 8 && r->end - r->p >= 8)
		r->p += n = read_plain8(r->p);
	while (n == 8 && r->p < r->end && *r->p >= 0x20 && *r->p < 0x80 && *r->p != '"' &&
	    *r->p != '\\')
		r->p++;
}

/* At a quote. */
static int
read_string(struct read *r)
{
	const unsigned char *start = ++r->p;
	bool escaped = false;
	int err;

	for (;;) {
		unsigned char c;
		size_t n;

		read_plain(r);
		c = read_peek(r);
		if (c == '"')
			break;
		if (c == '\\') {
			escaped = true;
			err = read_escape(r);
			if (err != 0)
				return err;
			continue;
		}
		if (c < 0x80)
			return read_wrong(r, "control character in a string");
		n = sq_utf8_first(r->p, (size_t)(r->end - r->p));
		if (n == 0)
			return read_wrong(r, "not UTF-8");
		r->p += n;
	}
	err = read_keep(r, SQ_JSON_STRING, start, escaped, NULL);
	r->p++;
	return err;
}

static bool
read_digits(struct read *r)
{
	const unsigned char *start = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > start;
}

/* At a minus or a digit. */
static int
read_number(struct read *r)
{
	const unsigned char *start = r->p;

	r->p += *r->p == '-';
	if (read_peek(r) == '0') {
		r->p++;
		if (read_peek(r) >= '0' && read_peek(r) <= '9')
			return read_refuse(r, start, "number with a leading zero");
	} else if (!read_digits(r)) {
		return read_wrong(r, "minus without a digit");
	}
	if (read_peek(r) == '.') {
		r->p++;
		if (!read_digits(r))
			return read_wrong(r, "decimal point without a digit behind it");
	}
	if ((read_peek(r) | 0x20) == 'e') {
		r->p++;
		r->p += read_peek(r) == '+' || read_peek(r) == '-';
		if (!read_digits(r))
			return read_wrong(r, "exponent without a digit");
	}
	return read_keep(r, SQ_JSON_NUMBER, start, false, NULL);
}

static int
read_word(struct read *r, const char *word, enum sq_json_type type)
{
	const unsigned char *start = r->p;
	size_t len = strlen(word);

	if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
		return read_wrong(r, "no value that JSON has");
	r->p += len;
	return read_keep(r, type, start, false, NULL);
}

static int
read_open(struct read *r, bool object)
{
	uint32_t token;
	int err = read_keep(r, object ? SQ_JSON_OBJECT : SQ_JSON_ARRAY, r->p, false, &token);

	if (err != 0)
		return err;
	if (r->depth == SQ_JSON_DEPTH_MAX)
		return read_exceeds(r, "more than 64 containers within each other");
	r->p++;
	r->objects &= ~(UINT64_C(1) << r->depth);
	r->objects |= (uint64_t)object << r->depth;
	r->opened[r->depth++] = token;
	if (r->depth > r->tokens->deepest)
		r->tokens->deepest = r->depth;
	return 0;
}

static void
read_close(struct read *r)
{
	uint32_t token = r->opened[--r->depth];

	r->p++;
	if (token == READ_NONE)
		return;
	r->tokens->at[token].end = (uint32_t)(r->p - r->base);
	r->tokens->at[token].next = r->tokens->n;
}

static inline bool
read_in_object(const struct read *r)
{
	return (r->objects >> (r->depth - 1) & 1) != 0;
}

/* A member's name and its colon. */
static int
read_name(struct read *r)
{
	int err;

	if (read_skip(r) != '"')
		return read_wrong(r, "a member's name was expected, in quotes");
	err = read_string(r);
	if (err != 0)
		return err;
	if (read_skip(r) != ':')
		return read_wrong(r, "a colon was expected behind a member's name");
	r->p++;
	return 0;
}

/* A value that holds no others, or the opening of one that does. */
static int
read_value(struct read *r)
{
	switch (read_skip(r)) {
	case '{':
		return read_open(r, true);
	case '[':
		return read_open(r, false);
	case '"':
		return read_string(r);
	case 't':
		return read_word(r, "true", SQ_JSON_TRUE);
	case 'f':
		return read_word(r, "false", SQ_JSON_FALSE);
	case 'n':
		return read_word(r, "null", SQ_JSON_NULL);
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return read_number(r);
	default:
		return read_wrong(r, "a value was expected");
	}
}

/* Behind a value of a container, or behind its opening ('fresh'): closes what ends there, up to
 * where the next value stands or all is closed. */
static int
read_between(struct read *r, bool fresh)
{
	for (; r->depth > 0; fresh = false) {
		bool object = read_in_object(r);
		unsigned char c = read_skip(r);

		if (c == (object ? '}' : ']')) {
			read_close(r);
			continue;
		}
		if (!fresh && c != ',')
			return read_wrong(
			    r, object ? "a comma or } was expected" : "a comma or ] was expected");
		r->p += !fresh;
		return object ? read_name(r) : 0;
	}
	return 0;
}

int
sq_json_read(struct sq_json_tokens *t, struct sq_bytes text, struct sq_json_error *err)
{
	const unsigned char *p = text.p != NULL ? text.p : (const unsigned char *)"";
	struct read r = {.p = p, .end = p + text.len, .base = p, .tokens = t, .err = err};

	assert(t->room == 0 || t->at != NULL);
	t->text = (struct sq_bytes){p, text.len};
	t->n = 0;
	t->deepest = 0;
	if (text.len > SQ_JSON_TEXT_MAX)
		return read_exceeds(&r, "more bytes than the limit");
	do {
		unsigned depth = r.depth;
		int bad = read_value(&r);

		if (bad == 0)
			bad = read_between(&r, r.depth > depth);
		if (bad != 0)
			return bad;
	} while (r.depth > 0);
	read_skip(&r);
	return r.p == r.end ? 0 : read_refuse(&r, r.p, "text behind the end of the value");
}
