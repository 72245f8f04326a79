/* Depth and size of JSON; see core/json_bounds.h. */
#include "core/json_bounds.h"

bool
sq_json_bounded(const void *text, size_t len, unsigned depth_max, unsigned values_max)
{
	const char *p = text;
	unsigned depth = 0, values = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		char c = p[i];

		if (quoted) {
			quoted = c != '"';
			i += c == '\\';
			continue;
		}
		quoted = c == '"';
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
		values += c == '{' || c == '[' || c == ',' || c == ':';
		if (depth > depth_max || values > values_max)
			return false;
	}
	return true;
}
