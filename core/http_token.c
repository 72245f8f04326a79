#include "core/http_token.h"

#include <string.h>

bool
sq_http_token_good(const char *p, size_t len)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < len; i++) {
		char c = p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    memchr(marks, c, sizeof marks - 1) == NULL)
			return false;
	}
	return len > 0;
}
