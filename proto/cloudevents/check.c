/* What values may be (CloudEvents §3, "Type System"; RFC 3986, RFC 3339, RFC 2046). */
#include <string.h>

#include "core/rfc3339.h"
#include "core/utf8.h"
#include "proto/cloudevents/cloudevents_priv.h"

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

/* Takes a token of RFC 2045 off the start. */
static struct sq_bytes
check_token(struct sq_bytes *rest)
{
	static const char none[] = "()<>@,;:\\\"/[]?=";
	struct sq_bytes out = {rest->p, 0};

	while (out.len < rest->len && out.p[out.len] > 0x20 && out.p[out.len] < 0x7f &&
	    memchr(none, out.p[out.len], sizeof none - 1) == NULL)
		out.len++;
	*rest = (struct sq_bytes){rest->p + out.len, rest->len - out.len};
	return out;
}

static void
check_skip(struct sq_bytes *rest)
{
	while (rest->len > 0 && (*rest->p == ' ' || *rest->p == '\t'))
		*rest = (struct sq_bytes){rest->p + 1, rest->len - 1};
}

/* Takes a media type apart; '*params' begins at the first semicolon, or is empty. */
static bool
check_media_type(
    struct sq_bytes value, struct sq_bytes *type, struct sq_bytes *subtype, struct sq_bytes *params)
{
	if (value.len == 0)
		return false;
	*type = check_token(&value);
	if (type->len == 0 || value.len == 0 || *value.p != '/')
		return false;
	value = (struct sq_bytes){value.p + 1, value.len - 1};
	*subtype = check_token(&value);
	check_skip(&value);
	*params = value;
	return subtype->len > 0 && (value.len == 0 || *value.p == ';');
}

const char *
sq_ce_media_type_wrong(struct sq_bytes value)
{
	struct sq_bytes type, subtype, params;

	return check_media_type(value, &type, &subtype, &params) ? NULL : "is no media type";
}

/* Whether it is the text, in any case. */
static bool
check_is(struct sq_bytes b, const char *text)
{
	return b.len == strlen(text) && strncasecmp((const char *)b.p, text, b.len) == 0;
}

static bool
check_ends(struct sq_bytes b, const char *text)
{
	size_t len = strlen(text);

	return b.len >= len && check_is((struct sq_bytes){b.p + b.len - len, len}, text);
}

/* Whether the parameters say no charset, or UTF-8 or a part of it. */
static bool
check_is_utf8(struct sq_bytes params)
{
	static const char charset[] = "charset=";
	struct sq_bytes value;

	while (params.len > 0) {
		params = (struct sq_bytes){params.p + 1, params.len - 1}; /* a semicolon */
		check_skip(&params);
		if (params.len >= sizeof charset - 1 &&
		    check_is((struct sq_bytes){params.p, sizeof charset - 1}, charset)) {
			params.p += sizeof charset - 1;
			params.len -= sizeof charset - 1;
			if (params.len > 0 && *params.p == '"')
				params = (struct sq_bytes){params.p + 1, params.len - 1};
			value = check_token(&params);
			return check_is(value, "utf-8") || check_is(value, "us-ascii");
		}
		while (params.len > 0 && *params.p != ';')
			params = (struct sq_bytes){params.p + 1, params.len - 1};
	}
	return true;
}

bool
sq_ce_type_is_text(struct sq_bytes content_type)
{
	struct sq_bytes type, subtype, params;

	return check_media_type(content_type, &type, &subtype, &params) &&
	    (check_is(type, "text") || check_is(subtype, "xml") || check_ends(subtype, "+xml")) &&
	    check_is_utf8(params);
}

bool
sq_ce_type_is_json(struct sq_bytes content_type)
{
	struct sq_bytes type, subtype, params;

	return check_media_type(content_type, &type, &subtype, &params) &&
	    (check_is(subtype, "json") || check_ends(subtype, "+json"));
}

enum sq_ce_form
sq_ce_form(struct sq_bytes content_type)
{
	static const char name[] = "cloudevents";
	struct sq_bytes type, subtype, params;

	if (!check_media_type(content_type, &type, &subtype, &params) ||
	    !check_is(type, "application") || subtype.len < sizeof name - 1 ||
	    !check_is((struct sq_bytes){subtype.p, sizeof name - 1}, name))
		return SQ_CE_OTHER;
	return check_is(subtype, "cloudevents+json")      ? SQ_CE_STRUCTURED
	    : check_is(subtype, "cloudevents-batch+json") ? SQ_CE_BATCH
							  : SQ_CE_UNKNOWN;
}
