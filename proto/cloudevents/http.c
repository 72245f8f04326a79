/* The binary form of HTTP (HTTP binding §3.1). */
#include <string.h>

#include "core/percent.h"
#include "proto/cloudevents/cloudevents_priv.h"

/* Undoes quoted strings (RFC 7230 §3.2.6) into an empty buffer; NULL, or what is wrong. */
static const char *
http_unquote(struct sq_bytes value, struct sq_buf *out)
{
	bool quoted = false;

	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = value.p[i];

		if (c == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && c == '\\') {
			if (++i == value.len)
				break;
			c = value.p[i];
		}
		sq_buf_u8(out, c);
	}
	return quoted ? "has a quote without its end" : NULL;
}

/* Undoes percent-encoding, once, in place. */
static const char *
http_percent(struct sq_buf *text)
{
	size_t len = sq_buf_len(text);

	if (!sq_percent_undo(sq_buf_data(text), &len))
		return "has a percent sign without two hexadecimal digits";
	text->end = text->start + len;
	return NULL;
}

int
sq_ce_header(struct sq_ce *ce, struct sq_bytes name, struct sq_bytes value, struct sq_ce_error *err)
{
	const size_t prefix = sizeof SQ_CE_HEADER_PREFIX - 1;
	const char *why;

	if (name.len < prefix || memcmp(name.p, SQ_CE_HEADER_PREFIX, prefix) != 0)
		return 0;
	name = (struct sq_bytes){name.p + prefix, name.len - prefix};
	if (sq_bytes_are(name, SQ_CE_CONTENT_TYPE))
		return sq_ce_refuse(ce, err, name, "is the header content-type in the binary form");
	if (value.len == 0 ||
	    (memchr(value.p, '"', value.len) == NULL && memchr(value.p, '%', value.len) == NULL))
		return sq_ce_add(ce, name, value, err);
	sq_buf_drain(&ce->text, sq_buf_len(&ce->text));
	why = http_unquote(value, &ce->text);
	if (why == NULL)
		why = http_percent(&ce->text);
	if (why != NULL)
		return sq_ce_refuse(ce, err, name, why);
	return sq_ce_add(ce, name, sq_buf_bytes(&ce->text), err);
}

int
sq_ce_binary(
    struct sq_ce *ce, struct sq_bytes content_type, struct sq_bytes body, struct sq_ce_error *err)
{
	int bad = 0;

	if (content_type.len > 0)
		bad = sq_ce_add(ce, sq_bytes_of(SQ_CE_CONTENT_TYPE), content_type, err);
	if (bad == 0)
		bad = sq_ce_finish(ce, err);
	if (bad == 0)
		ce->payload = body;
	return bad;
}

void
sq_ce_header_value(struct sq_buf *out, struct sq_bytes value)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = value.p[i];

		if (c > 0x20 && c < 0x7f && c != '"' && c != '%') {
			sq_buf_u8(out, c);
			continue;
		}
		sq_buf_u8(out, '%');
		sq_buf_u8(out, (uint8_t)digits[c >> 4]);
		sq_buf_u8(out, (uint8_t)digits[c & 15]);
	}
}
