/* Go's quoted strings, as the kubelet writes annotation values. */
#include <string.h>

#include "core/bytes.h"
#include "core/utf8.h"
#include "proto/annotations/file.h"

/* Reads 'n' hex digits; -1 if they aren't there. */
static long
unquote_hex(const char *p, size_t len, size_t n)
{
	long v = 0;

	if (len < n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int d = sq_hex_digit(p[i]);

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* The numeric escapes: \xNN and \NNN are bytes, \uNNNN and \UNNNNNNNN characters.
 * 'p' is behind the backslash.  Returns the length, or -1. */
static long
unquote_number(const char *p, size_t len, struct sq_buf *out)
{
	size_t digits = p[0] == 'x' ? 2 : p[0] == 'u' ? 4 : 8;
	unsigned char character[4];
	long v;

	if (p[0] >= '0' && p[0] <= '7') {
		if (len < 3 || p[1] < '0' || p[1] > '7' || p[2] < '0' || p[2] > '7')
			return -1;
		v = (p[0] - '0') << 6 | (p[1] - '0') << 3 | (p[2] - '0');
		if (v > 0xff)
			return -1;
		sq_buf_u8(out, (uint8_t)v);
		return 3;
	}
	v = unquote_hex(p + 1, len - 1, digits);
	if (v < 0 || v > 0x10ffff || (digits > 2 && v >= 0xd800 && v <= 0xdfff))
		return -1;
	if (digits == 2)
		sq_buf_u8(out, (uint8_t)v);
	else
		sq_buf_append(out, character, sq_utf8_write((uint32_t)v, character));
	return (long)digits + 1;
}

long
sq_go_unquote(const char *quoted, size_t len, struct sq_buf *out, const char **why)
{
	static const char from[] = "abfnrtv\\\"'", to[] = "\a\b\f\n\r\t\v\\\"'";
	size_t i = 1;

	*why = "no opening quote";
	if (len == 0 || quoted[0] != '"')
		return SQ_EINVAL;
	while (i < len && quoted[i] != '"' && quoted[i] != '\n') {
		const char *simple;
		long n;

		if (quoted[i] != '\\') {
			sq_buf_u8(out, (uint8_t)quoted[i++]);
			continue;
		}
		*why = "bad escape";
		if (++i == len || quoted[i] == '\0')
			return SQ_EINVAL;
		simple = strchr(from, quoted[i]);
		if (simple != NULL) {
			sq_buf_u8(out, (uint8_t)to[simple - from]);
			i++;
			continue;
		}
		if (strchr("xuU01234567", quoted[i]) == NULL)
			return SQ_EINVAL;
		n = unquote_number(quoted + i, len - i, out);
		if (n < 0)
			return SQ_EINVAL;
		i += (size_t)n;
	}
	*why = "no closing quote";
	if (i >= len || quoted[i] != '"')
		return SQ_EINVAL;
	return (long)i + 1;
}
