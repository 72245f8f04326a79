/* What values may be (CloudEvents §3, "Type System"; RFC 3986, RFC 3339, RFC 2046). */
#include <string.h>
#include <strings.h>

#include "core/rfc3339.h"
#include "core/utf8.h"
#include "proto/cloudevents/cloudevents_priv.h"
#include "proto/media/media.h"

const char *
sq_ce_name_wrong(struct sq_bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!((name.p[i] >= 'a' && name.p[i] <= 'z') ||
			(name.p[i] >= '0' && name.p[i] <= '9')))
			return "a name has lower-case letters and digits of ASCII only";
	if (name.len == 0)
		return "a name has a character at least";
	return sq_bytes_are(name, "data") ? "no attribute may have this name" : NULL;
}

const char *
sq_ce_string_wrong(struct sq_bytes value)
{
	if (!sq_utf8_valid(value.p, value.len))
		return "is not UTF-8, or has U+0000";
	return sq_utf8_plain(value.p, value.len) ? NULL : "has a control or a non-character";
}

/* What stands in a URI; what is not ASCII passes, as in an IRI. */
const char *
sq_ce_uri_reference_wrong(struct sq_bytes value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = value.p[i];

		if (c <= 0x20 || c == 0x7f || memchr("\"<>\\^`{|}", c, 9) != NULL)
			return "has a character that a URI can't have";
		if (c != '%')
			continue;
		if (value.len - i < 3 || sq_hex_digit((char)value.p[i + 1]) < 0 ||
		    sq_hex_digit((char)value.p[i + 2]) < 0)
			return "has a percent sign without two hexadecimal digits";
	}
	return NULL;
}

static bool
check_is_letter(unsigned char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

const char *
sq_ce_uri_wrong(struct sq_bytes value)
{
	size_t i = 0;

	while (i < value.len &&
	    (check_is_letter(value.p[i]) ||
		(i > 0 && memchr("0123456789+-.", value.p[i], 13) != NULL)))
		i++;
	if (i == 0 || i == value.len || value.p[i] != ':')
		return "is no URI: it has no scheme";
	return sq_ce_uri_reference_wrong(value);
}

const char *
sq_ce_time_wrong(struct sq_bytes value)
{
	int64_t ms;

	return sq_rfc3339_read(value, &ms) != 0 ? "is no time of RFC 3339" : NULL;
}

/* Whether it is the text, in any case. */
static bool
check_is(struct sq_bytes b, const char *text)
{
	return b.len == strlen(text) && strncasecmp((const char *)b.p, text, b.len) == 0;
}

const char *
sq_ce_media_type_wrong(struct sq_bytes value)
{
	return sq_media_good(value) ? NULL : "is no media type";
}

enum sq_ce_form
sq_ce_form(struct sq_bytes content_type)
{
	static const char name[] = "cloudevents";
	struct sq_media m;

	if (sq_media_is(content_type, SQ_CE_TYPE_JSON))
		return SQ_CE_STRUCTURED;
	if (sq_media_is(content_type, SQ_CE_TYPE_BATCH))
		return SQ_CE_BATCH;
	if (!sq_media_read(content_type, &m) || m.subtype.len < sizeof name - 1)
		return SQ_CE_OTHER;
	m.subtype.len = sizeof name - 1; /* what it begins with */
	return check_is(m.type, "application") && check_is(m.subtype, name) ? SQ_CE_UNKNOWN
									    : SQ_CE_OTHER;
}
