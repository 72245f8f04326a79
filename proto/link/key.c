#include "proto/link/key.h"

#include <string.h>

#include "core/htab.h"
#include "core/mem.h"

static const char key_digits[] = "0123456789ABCDEF";

static bool
key_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    c == '-' || c == '.' || c == '_';
}

static void
key_put(struct sq_buf *b, const char *part)
{
	for (const unsigned char *p = (const unsigned char *)part; *p != '\0'; p++) {
		if (key_plain(*p)) {
			sq_buf_u8(b, *p);
		} else {
			sq_buf_u8(b, '%');
			sq_buf_u8(b, (uint8_t)key_digits[*p >> 4]);
			sq_buf_u8(b, (uint8_t)key_digits[*p & 15]);
		}
	}
}

void
sq_key_encode(struct sq_buf *b, const struct sq_key *k)
{
	key_put(b, k->space);
	sq_buf_u8(b, '~');
	key_put(b, k->workload);
	sq_buf_u8(b, '~');
	key_put(b, k->client);
	if (k->pod[0] != '\0') {
		sq_buf_u8(b, '~');
		key_put(b, k->pod);
	}
}

/* Goes past the part in its encoded form; NULL: it is not there. */
static const char *
key_skip(const char *at, const char *part)
{
	for (const unsigned char *p = (const unsigned char *)part; *p != '\0'; p++) {
		if (key_plain(*p) ? (unsigned char)*at != *p
				  : at[0] != '%' || at[1] != key_digits[*p >> 4] ||
			    at[2] != key_digits[*p & 15])
			return NULL;
		at += key_plain(*p) ? 1 : 3;
	}
	return at;
}

bool
sq_key_is(const struct sq_key *k, const char *segment)
{
	const char *parts[] = {k->space, k->workload, k->client, k->pod};
	size_t n = k->pod[0] != '\0' ? 4 : 3;

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && *segment++ != '~')
			return false;
		segment = key_skip(segment, parts[i]);
		if (segment == NULL)
			return false;
	}
	return *segment == '\0';
}

static int
key_hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Takes one part of at most 'max' bytes up to '~' or the end into 'out'.  Only the canonical form is
 * taken, so that two segments never name one session. */
static int
key_take(struct sq_reader *r, char *out, size_t max)
{
	size_t n = 0;

	while (r->p < r->end && *r->p != '~') {
		unsigned char c = *r->p++;

		if (c == '%') {
			const unsigned char *h = sq_read_bytes(r, 2);
			int hi = h != NULL ? key_hex(h[0]) : -1,
			    lo = h != NULL ? key_hex(h[1]) : -1;

			if (hi < 0 || lo < 0)
				return SQ_EINVAL;
			c = (unsigned char)(hi << 4 | lo);
			if (key_plain(c) || c == '\0')
				return SQ_EINVAL;
		} else if (!key_plain(c)) {
			return SQ_EINVAL;
		}
		if (n == max)
			return SQ_ETOOBIG;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return n > 0 ? SQ_OK : SQ_EINVAL;
}

int
sq_key_decode(struct sq_bytes segment, struct sq_key *out)
{
	struct sq_reader r = sq_reader(segment.p, segment.len);
	const struct {
		char *to;
		size_t max;
	} parts[] = {{out->space, SQ_KEY_PART_MAX}, {out->workload, SQ_KEY_PART_MAX},
	    {out->client, SQ_KEY_CLIENT_MAX}, {out->pod, SQ_KEY_PART_MAX}};
	size_t i = 0;
	int err;

	out->pod[0] = '\0';
	for (;;) {
		err = key_take(&r, parts[i].to, parts[i].max);
		i++;
		if (err != SQ_OK)
			return err;
		if (r.p == r.end)
			break;
		r.p++; /* the '~' */
		if (i == SQ_ARRAY_LEN(parts))
			return SQ_EINVAL;
	}
	return i >= 3 ? SQ_OK : SQ_EINVAL;
}

bool
sq_key_internal(struct sq_bytes client)
{
	size_t keeper = sizeof SQ_KEY_KEEPER - 1, outbox = sizeof SQ_KEY_OUTBOX_PREFIX - 1;

	return (client.len == keeper && memcmp(client.p, SQ_KEY_KEEPER, keeper) == 0) ||
	    (client.len >= outbox && memcmp(client.p, SQ_KEY_OUTBOX_PREFIX, outbox) == 0);
}

uint64_t
sq_key_hash(const struct sq_key *k)
{
	char text[sizeof k->space + sizeof k->workload + sizeof k->client];
	const char *parts[] = {k->space, k->workload, k->client};
	size_t n = 0;

	for (size_t i = 0; i < SQ_ARRAY_LEN(parts); i++) {
		size_t len = strlen(parts[i]) + 1; /* the NUL keeps parts apart */

		memcpy(text + n, parts[i], len);
		n += len;
	}
	return sq_hash(text, n);
}
