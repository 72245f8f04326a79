#include "core/percent.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "core/utf8.h"

void
sq_percent_put(struct sq_buf *out, const char *text)
{
	sq_percent_put_bytes(out, sq_bytes_of(text));
}

void
sq_percent_put_bytes(struct sq_buf *out, struct sq_bytes text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = text.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    memchr("-._~", c, 4) != NULL) {
			sq_buf_u8(out, c);
			continue;
		}
		sq_buf_u8(out, '%');
		sq_buf_u8(out, (uint8_t)digits[c >> 4]);
		sq_buf_u8(out, (uint8_t)digits[c & 15]);
	}
}

bool
sq_percent_undo(unsigned char *p, size_t *len)
{
	size_t n = 0;

	for (size_t i = 0; i < *len; i++) {
		int high, low;

		if (p[i] != '%') {
			p[n++] = p[i];
			continue;
		}
		high = *len - i > 2 ? sq_hex_digit((char)p[i + 1]) : -1;
		low = *len - i > 2 ? sq_hex_digit((char)p[i + 2]) : -1;
		if (high < 0 || low < 0)
			return false;
		p[n++] = (unsigned char)(high << 4 | low);
		i += 2;
	}
	*len = n;
	return true;
}

char *
sq_percent_decode(const char *p, size_t len)
{
	char *out = sq_xcalloc(1, len + 1);

	if (len > 0)
		memcpy(out, p, len);
	if (sq_percent_undo((unsigned char *)out, &len) && sq_utf8_valid(out, len)) {
		out[len] = '\0';
		return out;
	}
	free(out);
	return NULL;
}
