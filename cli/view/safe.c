#include "cli/view/safe.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/mem.h"
#include "core/utf8.h"

struct range {
	uint32_t from, to;
};

static const struct range unsafe[] = {
    {0x0, 0x1f},
    {0x7f, 0x9f},
    {0xad, 0xad},
    {0x61c, 0x61c},
    {0x180e, 0x180e},
    {0x200b, 0x200f},
    {0x2028, 0x202e},
    {0x2060, 0x206f},
    {0xfeff, 0xfeff},
    {0xfff9, 0xfffb},
};

/* East Asian Width W and F, in blocks. */
static const struct range wide[] = {
    {0x1100, 0x115f},
    {0x2e80, 0x303e},
    {0x3041, 0xa4cf},
    {0xa960, 0xa97f},
    {0xac00, 0xd7a3},
    {0xf900, 0xfaff},
    {0xfe30, 0xfe6f},
    {0xff00, 0xff60},
    {0xffe0, 0xffe6},
    {0x1f300, 0x1f64f},
    {0x1f900, 0x1f9ff},
    {0x20000, 0x3fffd},
};

static bool
in_ranges(const struct range *r, size_t n, uint32_t c)
{
	for (size_t i = 0; i < n; i++)
		if (c >= r[i].from && c <= r[i].to)
			return true;
	return false;
}

/* The character of 'n' valid bytes. */
static uint32_t
safe_char(const unsigned char *p, size_t n)
{
	static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t c = p[0] & first[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* Bytes of plain ASCII at the front. */
static size_t
safe_plain(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && text[i] >= ' ' && text[i] <= '~')
		i++;
	return i;
}

/* Columns of the character of 'n' bytes; 0: of a byte that is none. */
static size_t
safe_columns(const unsigned char *p, size_t n)
{
	return n > 1 && in_ranges(wide, SQ_ARRAY_LEN(wide), safe_char(p, n)) ? 2 : 1;
}

void
sq_safe(struct sq_buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t plain = safe_plain(text + i, len - i);

		sq_buf_append(out, text + i, plain);
		if ((i += plain) == len)
			break;
		const unsigned char *p = (const unsigned char *)text + i;
		size_t n = p[0] == 0 ? 1 : sq_utf8_first(p, len - i);
		uint32_t c = n > 0 ? safe_char(p, n) : 0;

		if (n == 0)
			sq_buf_printf(out, "\\x%02x", p[0]);
		else if (in_ranges(unsafe, SQ_ARRAY_LEN(unsafe), c))
			sq_buf_printf(out, "\\u%04x", c);
		else if (c >= 0xe0000 && c <= 0xe0fff) /* tags, as a pair, so that JSON stays */
			sq_buf_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
			    0xdc00 + ((c - 0x10000) & 0x3ff));
		else
			sq_buf_append(out, p, n);
		i += n > 0 ? n : 1;
	}
}

size_t
sq_safe_cut(const char *text, size_t len, size_t columns)
{
	size_t i = 0;

	while (i < len) {
		const unsigned char *p = (const unsigned char *)text + i;
		size_t n = sq_utf8_first(p, len - i);
		size_t w = safe_columns(p, n);

		if (w > columns)
			break;
		columns -= w;
		i += n > 0 ? n : 1;
	}
	return i;
}

void
sq_safe_bad(struct sq_buf *out, const char *what, const char *text, const char *why)
{
	sq_buf_printf(out, "bad %s '", what);
	sq_safe(out, text, strlen(text));
	sq_buf_printf(out, "': %s", why);
}

size_t
sq_safe_width(const char *text, size_t len)
{
	size_t columns = 0;

	for (size_t i = 0; i < len;) {
		size_t plain = safe_plain(text + i, len - i), n;

		columns += plain;
		if ((i += plain) == len)
			break;
		n = sq_utf8_first(text + i, len - i);
		columns += safe_columns((const unsigned char *)text + i, n);
		i += n > 0 ? n : 1;
	}
	return columns;
}
