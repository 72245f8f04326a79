/* See core/base32.h. */
#include "core/base32.h"

void
sq_base32_write(char *out, const void *p, size_t len)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	const unsigned char *from = p;
	unsigned bits = 0, value = 0;

	for (size_t i = 0; i < len; i++) {
		value = value << 8 | from[i];
		for (bits += 8; bits >= 5; bits -= 5)
			*out++ = digits[value >> (bits - 5) & 31];
	}
	if (bits > 0)
		*out++ = digits[value << (5 - bits) & 31];
	*out = '\0';
}
