/* Strict UTF-8 check; ASCII goes eight bytes at a time. */
#include "core/utf8.h"

#include <stdint.h>
#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)
#define LOW_BITS UINT64_C(0x0101010101010101)

/* Whether the eight bytes at 'p' are all within 0x01 to 0x7f. */
static inline bool
utf8_ascii8(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	/* Without high bits, the subtraction borrows only out of a zero byte. */
	return ((v | (v - LOW_BITS)) & HIGH_BITS) == 0;
}

/* Length of the multi-byte character at 'p', of which 'left' bytes are there;
 * 0 if it is not well-formed (Unicode 15, table 3-7). */
static size_t
utf8_multibyte(const unsigned char *p, size_t left)
{
	unsigned char lo = 0x80, hi = 0xbf; /* of the second byte */
	size_t n;

	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (left < n)
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0; /* shorter forms exist */
	else if (p[0] == 0xed)
		hi = 0x9f; /* surrogates */
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f; /* above U+10FFFF */
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

bool
sq_utf8_valid(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	size_t i = 0;

	while (i < len) {
		if (len - i >= 8 && utf8_ascii8(p + i)) {
			i += 8;
		} else if (p[i] == 0) {
			return false;
		} else if (p[i] < 0x80) {
			i++;
		} else {
			size_t n = utf8_multibyte(p + i, len - i);

			if (n == 0)
				return false;
			i += n;
		}
	}
	return true;
}

/* Whether the character of 'n' bytes at 'p' is U+FDD0 to U+FDEF, or ends a plane. */
static bool
utf8_is_no_character(const unsigned char *p, size_t n)
{
	if (n == 3 && p[0] == 0xef && p[1] == 0xb7)
		return p[2] >= 0x90 && p[2] <= 0xaf;
	if (n < 3 || p[n - 2] != 0xbf || p[n - 1] < 0xbe)
		return false;
	return n == 3 ? p[0] == 0xef : (p[1] & 0x0f) == 0x0f;
}

bool
sq_utf8_plain(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	for (size_t i = 0, n; i < len; i += n) {
		n = p[i] < 0x80 ? 1 : p[i] < 0xe0 ? 2 : p[i] < 0xf0 ? 3 : 4;
		if (p[i] < 0x20 || p[i] == 0x7f || (p[i] == 0xc2 && p[i + 1] < 0xa0) ||
		    utf8_is_no_character(p + i, n))
			return false;
	}
	return true;
}

size_t
sq_utf8_cut(const void *bytes, size_t len, size_t max)
{
	const unsigned char *p = bytes;

	if (len <= max)
		return len;
	while (max > 0 && (p[max] & 0xc0) == 0x80)
		max--;
	return max;
}

size_t
sq_utf8_first(const void *p, size_t len)
{
	unsigned char c = len > 0 ? *(const unsigned char *)p : 0;
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return len >= n && sq_utf8_valid(p, n) ? n : 0;
}

size_t
sq_utf8_write(uint32_t c, unsigned char out[4])
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (unsigned char)(0x80 | (c & 0x3f));
	out[0] = (unsigned char)(lead[n] | c);
	return n;
}

void
sq_utf8_mend(struct sq_buf *out, const void *bytes, size_t len)
{
	static const char instead[] = "\xef\xbf\xbd"; /* U+FFFD */
	const unsigned char *p = bytes;

	for (size_t i = 0; i < len;) {
		size_t n = sq_utf8_first(p + i, len - i);

		if (n > 0)
			sq_buf_append(out, p + i, n);
		else
			sq_buf_append(out, instead, sizeof instead - 1);
		i += n > 0 ? n : 1;
	}
}
