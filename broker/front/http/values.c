/* See broker/front/http/values.h. */
#include "broker/front/http/values.h"

#include <string.h>
#include <strings.h>

#include "core/base64.h"
#include "core/mem.h"

enum { DAYS_MAX = 10000 };

static bool
values_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

struct sq_bytes
sq_http_trim(struct sq_bytes b)
{
	while (b.len > 0 && values_blank(b.p[0]))
		b.p++, b.len--;
	while (b.len > 0 && values_blank(b.p[b.len - 1]))
		b.len--;
	return b;
}

bool
sq_http_list_next(struct sq_bytes *list, struct sq_bytes *item)
{
	while (list->len > 0) {
		const unsigned char *comma = memchr(list->p, ',', list->len);
		size_t n = comma != NULL ? (size_t)(comma - list->p) : list->len;
		size_t used = n + (comma != NULL);

		*item = sq_http_trim((struct sq_bytes){list->p, n});
		list->p += used;
		list->len -= used;
		if (item->len > 0)
			return true;
	}
	return false;
}

/* Takes decimal digits off the front; false: there is none, or the number is above 'max'. */
static bool
values_number(struct sq_bytes *b, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; n < b->len && b->p[n] >= '0' && b->p[n] <= '9'; n++) {
		v = v * 10 + (b->p[n] - '0');
		if (v > max)
			return false;
	}
	if (n == 0)
		return false;
	b->p += n;
	b->len -= n;
	*out = v;
	return true;
}

int
sq_http_duration(struct sq_bytes text, uint64_t *ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	const uint64_t max = (uint64_t)DAYS_MAX * 24 * 3600000;
	uint64_t v;

	if (!values_number(&text, max, &v))
		return SQ_EINVAL;
	for (size_t i = 0; i < SQ_ARRAY_LEN(units); i++) {
		if (!sq_bytes_are(text, units[i].name))
			continue;
		*ms = v * units[i].ms;
		return v <= max / units[i].ms ? SQ_OK : SQ_EINVAL;
	}
	return SQ_EINVAL;
}

int
sq_http_bool(struct sq_bytes text, bool *out)
{
	*out = sq_bytes_are(text, "true");
	return *out || sq_bytes_are(text, "false") ? SQ_OK : SQ_EINVAL;
}

/* The character of a string at '*at', which moves to its last byte; 0: none may stand there. */
static unsigned char
string_next(struct sq_bytes text, size_t *at)
{
	unsigned char c = text.p[*at];

	if (c == '\\' && *at + 1 < text.len) {
		c = text.p[++*at];
		return c == '"' || c == '\\' ? c : 0;
	}
	return c < 0x20 || c >= 0x7f || c == '"' || c == '\\' ? 0 : c;
}

int
sq_http_string(struct sq_bytes text, struct sq_buf *out)
{
	size_t end = text.len - 1;

	if (text.len == 0 || text.p[0] != '"') {
		sq_buf_append(out, text.p, text.len);
		return SQ_OK;
	}
	if (text.len < 2 || text.p[end] != '"')
		return SQ_EINVAL;
	text.len--;
	for (size_t i = 1; i < end; i++)
		if (string_next(text, &i) == 0)
			return SQ_EINVAL;
	for (size_t i = 1; i < end; i++)
		sq_buf_u8(out, string_next(text, &i));
	return SQ_OK;
}

int
sq_http_binary(struct sq_bytes text, struct sq_buf *out)
{
	if (text.len < 2 || text.p[0] != ':' || text.p[text.len - 1] != ':') {
		sq_buf_append(out, text.p, text.len);
		return SQ_OK;
	}
	return sq_base64_take(out, (const char *)text.p + 1, text.len - 2);
}

static bool
type_begins(struct sq_bytes b, const char *with)
{
	size_t n = strlen(with);

	return b.len >= n && strncasecmp((const char *)b.p, with, n) == 0;
}

static bool
type_is(struct sq_bytes b, const char *what)
{
	return b.len == strlen(what) && type_begins(b, what);
}

/* Whether a parameter says a character set that is not UTF-8. */
static bool
type_other_charset(struct sq_bytes parameter)
{
	parameter = sq_http_trim(parameter);
	if (!type_begins(parameter, "charset="))
		return false;
	parameter.p += 8;
	parameter.len -= 8;
	return !type_is(parameter, "utf-8") && !type_is(parameter, "\"utf-8\"") &&
	    !type_is(parameter, "us-ascii");
}

bool
sq_http_type_is_text(struct sq_bytes type)
{
	struct sq_bytes name = {0};

	for (size_t at = 0; at < type.len;) {
		const unsigned char *semi = memchr(type.p + at, ';', type.len - at);
		size_t n = semi != NULL ? (size_t)(semi - type.p) - at : type.len - at;
		struct sq_bytes part = {type.p + at, n};

		if (at == 0)
			name = sq_http_trim(part);
		else if (type_other_charset(part))
			return false;
		at += n + 1;
	}
	return type_begins(name, "text/") || type_is(name, "application/json") ||
	    (name.len > 5 && type_is((struct sq_bytes){name.p + name.len - 5, 5}, "+json"));
}

bool
sq_http_accepts(struct sq_bytes accept)
{
	static const char *const ranges[] = {"*/*", "application/*", "application/json"};
	struct sq_bytes item;
	bool any = false;

	while (sq_http_list_next(&accept, &item)) {
		const unsigned char *end = memchr(item.p, ';', item.len);

		any = true;
		if (end != NULL)
			item.len = (size_t)(end - item.p);
		item = sq_http_trim(item);
		for (size_t i = 0; i < SQ_ARRAY_LEN(ranges); i++)
			if (type_is(item, ranges[i]))
				return true;
	}
	return !any;
}
