/* See proto/json/write.h. */
#include "proto/json/write.h"

#include <string.h>

#include "core/utf8.h"

/* Whether the text stands in JSON as it is, as nearly all do. */
static bool
write_is_plain(struct sq_bytes text)
{
	bool plain = true;

	for (size_t i = 0; i < text.len; i++)
		plain &= text.p[i] >= 0x20 && text.p[i] < 0x7f && text.p[i] != '"' &&
		    text.p[i] != '\\';
	return plain;
}

static void
write_escape(struct sq_buf *out, unsigned char c)
{
	static const char shorts[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
	const char *at = memchr(shorts, c, sizeof shorts - 1);

	if (at != NULL) {
		sq_buf_u8(out, '\\');
		sq_buf_u8(out, (uint8_t)names[at - shorts]);
	} else {
		sq_buf_printf(out, "\\u%04x", c);
	}
}

static void
write_escaped(struct sq_buf *out, struct sq_bytes text)
{
	static const unsigned char instead[] = "\xef\xbf\xbd"; /* U+FFFD */

	for (size_t i = 0, n = 0; i < text.len; i += n) {
		n = 1;
		if (text.p[i] < 0x20 || text.p[i] == '"' || text.p[i] == '\\') {
			write_escape(out, text.p[i]);
			continue;
		}
		n = sq_utf8_first(text.p + i, text.len - i);
		if (n > 0) {
			sq_buf_append(out, text.p + i, n);
		} else {
			sq_buf_append(out, instead, sizeof instead - 1);
			n = 1;
		}
	}
}

void
sq_json_put_plain(struct sq_buf *out, struct sq_bytes text)
{
	unsigned char *at = sq_buf_reserve(out, text.len + 2);

	at[0] = '"';
	if (text.len > 0)
		memcpy(at + 1, text.p, text.len);
	at[text.len + 1] = '"';
	sq_buf_commit(out, text.len + 2);
}

void
sq_json_put_string(struct sq_buf *out, struct sq_bytes text)
{
	if (write_is_plain(text)) {
		sq_json_put_plain(out, text);
		return;
	}
	sq_buf_u8(out, '"');
	write_escaped(out, text);
	sq_buf_u8(out, '"');
}

void
sq_json_put_text(struct sq_buf *out, struct sq_bytes text)
{
	if (write_is_plain(text))
		sq_buf_append(out, text.p, text.len);
	else
		write_escaped(out, text);
}

void
sq_json_put_number(struct sq_buf *out, uint64_t n)
{
	char text[20];
	size_t at = sizeof text;

	do {
		text[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n != 0);
	sq_buf_append(out, text + at, sizeof text - at);
}

void
sq_json_put_raw(struct sq_buf *out, const char *json)
{
	sq_buf_append(out, json, strlen(json));
}
