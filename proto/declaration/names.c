/* Names of settings, and other text, as they are shown. */
#include <string.h>

#include "proto/declaration/declaration_priv.h"

void
sq_setting_quote(struct sq_buf *out, struct sq_bytes text)
{
	enum { QUOTE_MAX = 64 };

	for (size_t i = 0; i < text.len && i < QUOTE_MAX; i++)
		sq_buf_u8(out, text.p[i] >= ' ' && text.p[i] < 0x7f ? text.p[i] : '?');
	if (text.len > QUOTE_MAX)
		sq_buf_printf(out, "...");
}

bool
sq_setting_of_push(const struct sq_setting *s)
{
	return strncmp(s->name, "push.", 5) == 0;
}

void
sq_setting_camel(const char *name, size_t len, struct sq_buf *out)
{
	for (size_t i = 0; i < len; i++) {
		bool up = name[i] == '-' && i + 1 < len;

		if (up)
			i++;
		sq_buf_u8(out,
		    (uint8_t)(up && name[i] >= 'a' && name[i] <= 'z' ? name[i] - 'a' + 'A'
								     : name[i]));
	}
}
