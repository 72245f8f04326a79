/* See broker/front/http/values.h. */
#include "broker/front/http/values.h"

#include <string.h>
#include <strings.h>

#include "core/base32.h"
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
sq_http_number(struct sq_bytes text, uint64_t max, uint64_t *out)
{
	return values_number(&text, max, out) && text.len == 0 ? SQ_OK : SQ_EINVAL;
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
type_is(struct sq_bytes b, const char *what)
{
	return b.len == strlen(what) && strncasecmp((const char *)b.p, what, b.len) == 0;
}

/* Takes the next range off a header Accept, without its parameters. */
static bool
accept_next(struct sq_bytes *accept, struct sq_bytes *range)
{
	const unsigned char *end;

	if (!sq_http_list_next(accept, range))
		return false;
	end = memchr(range->p, ';', range->len);
	if (end != NULL)
		range->len = (size_t)(end - range->p);
	*range = sq_http_trim(*range);
	return true;
}

bool
sq_http_accepts_type(struct sq_bytes accept, const char *type)
{
	struct sq_bytes range;

	while (accept_next(&accept, &range))
		if (type_is(range, type))
			return true;
	return false;
}

bool
sq_http_accepts(struct sq_bytes accept)
{
	static const char *const ranges[] = {"*/*", "application/*", "application/json"};
	struct sq_bytes list = accept, item;

	for (size_t i = 0; i < SQ_ARRAY_LEN(ranges); i++)
		if (sq_http_accepts_type(accept, ranges[i]))
			return true;
	return !sq_http_list_next(&list, &item);
}

void
sq_http_id(const unsigned char id[SQ_HTTP_ID_SIZE], char out[SQ_HTTP_ID_TEXT])
{
	sq_base32_write(out, id, SQ_HTTP_ID_SIZE);
}
