#include "core/percent.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "core/utf8.h"

void
sq_percent_put(struct sq_buf *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-._~", c) != NULL)
			sq_buf_u8(out, c);
		else
			sq_buf_printf(out, "%%%02X", c);
	}
}

char *
sq_percent_decode(const char *p, size_t len)
{
	char *out = sq_xcalloc(1, len + 1);
	size_t n = 0;
	bool good = true;

	for (size_t i = 0; i < len && good; i++) {
		int high, low;

		if (p[i] != '%') {
			out[n++] = p[i];
			continue;
		}
		high = i + 2 < len ? sq_hex_digit(p[i + 1]) : -1;
		low = i + 2 < len ? sq_hex_digit(p[i + 2]) : -1;
		good = high >= 0 && low >= 0;
		if (good)
			out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	if (good && sq_utf8_valid(out, n))
		return out;
	free(out);
	return NULL;
}
