#include "proto/media/media.h"

#include <string.h>
#include <strings.h>

/* Takes 'n' bytes off the start. */
static struct sq_bytes
media_take(struct sq_bytes *rest, size_t n)
{
	struct sq_bytes out = {rest->p, n};

	*rest = (struct sq_bytes){rest->p + n, rest->len - n};
	return out;
}

/* Takes a token off the start (RFC 2045). */
static struct sq_bytes
media_token(struct sq_bytes *rest)
{
	static const char none[] = "()<>@,;:\\\"/[]?=";
	size_t n = 0;

	while (n < rest->len && rest->p[n] > 0x20 && rest->p[n] < 0x7f &&
	    memchr(none, rest->p[n], sizeof none - 1) == NULL)
		n++;
	return media_take(rest, n);
}

/* Takes what is in quotes off the start, or a token. */
static struct sq_bytes
media_value(struct sq_bytes *rest)
{
	struct sq_bytes out;
	size_t n = 1;

	if (rest->len == 0 || *rest->p != '"')
		return media_token(rest);
	while (n < rest->len && rest->p[n] != '"')
		n += rest->p[n] == '\\' && n + 1 < rest->len ? 2 : 1;
	out = media_take(rest, n);
	if (rest->len > 0)
		(void)media_take(rest, 1);
	return (struct sq_bytes){out.p + 1, out.len - 1};
}

static void
media_skip(struct sq_bytes *rest)
{
	while (rest->len > 0 && (*rest->p == ' ' || *rest->p == '\t'))
		(void)media_take(rest, 1);
}

/* Whether it is the text, in any case. */
static bool
media_same(struct sq_bytes b, const char *text)
{
	return b.len == strlen(text) && strncasecmp((const char *)b.p, text, b.len) == 0;
}

static bool
media_ends(struct sq_bytes b, const char *text)
{
	size_t len = strlen(text);

	return b.len >= len && media_same((struct sq_bytes){b.p + b.len - len, len}, text);
}

bool
sq_media_read(struct sq_bytes text, struct sq_media *out)
{
	if (text.len == 0)
		return false;
	out->type = media_token(&text);
	if (out->type.len == 0 || text.len == 0 || *text.p != '/')
		return false;
	(void)media_take(&text, 1);
	out->subtype = media_token(&text);
	media_skip(&text);
	out->params = text;
	return out->subtype.len > 0 && (text.len == 0 || *text.p == ';');
}

bool
sq_media_good(struct sq_bytes text)
{
	struct sq_media m;

	return sq_media_read(text, &m);
}

bool
sq_media_is(struct sq_bytes text, const char *name)
{
	struct sq_media m;
	struct sq_bytes whole;

	if (!sq_media_read(text, &m))
		return false;
	whole = (struct sq_bytes){m.type.p, m.type.len + 1 + m.subtype.len};
	return media_same(whole, name);
}

bool
sq_media_is_json(struct sq_bytes text)
{
	struct sq_media m;

	return sq_media_read(text, &m) &&
	    (media_same(m.subtype, "json") || media_ends(m.subtype, "+json"));
}

bool
sq_media_is_text(struct sq_bytes text)
{
	struct sq_media m;

	return sq_media_read(text, &m) &&
	    (media_same(m.type, "text") || media_same(m.subtype, "xml") ||
		media_ends(m.subtype, "+xml"));
}

/* Takes the next parameter off the start, up to the semicolon of the one behind it.  False: there are no
 * more. */
static bool
media_param(struct sq_bytes *rest, struct sq_bytes *name, struct sq_bytes *value)
{
	if (rest->len == 0)
		return false;
	(void)media_take(rest, 1); /* a semicolon */
	media_skip(rest);
	*name = media_token(rest);
	*value = (struct sq_bytes){rest->p, 0};
	if (rest->len > 0 && *rest->p == '=') {
		(void)media_take(rest, 1);
		*value = media_value(rest);
	}
	while (rest->len > 0 && *rest->p != ';')
		(void)media_take(rest, 1);
	return true;
}

bool
sq_media_is_utf8(struct sq_bytes text)
{
	struct sq_media m;
	struct sq_bytes name, value;

	if (!sq_media_read(text, &m))
		return false;
	while (media_param(&m.params, &name, &value))
		if (media_same(name, "charset"))
			return media_same(value, "utf-8") || media_same(value, "us-ascii");
	return true;
}

bool
sq_media_is_characters(struct sq_bytes text)
{
	return (sq_media_is_text(text) || sq_media_is_json(text)) && sq_media_is_utf8(text);
}
