/* Strings of JSON without their escapes, and names of members; see proto/json/json.h. */
#include <assert.h>
#include <string.h>

#include "core/bytes.h"
#include "core/utf8.h"
#include "proto/json/json.h"

static uint32_t
string_hex4(const unsigned char *p)
{
	uint32_t out = 0;

	for (int i = 0; i < 4; i++)
		out = out << 4 | (uint32_t)sq_hex_digit((char)p[i]);
	return out;
}

/* What the escape at '*p' stands for, in UTF-8: its bytes, whose number is returned; '*p' is then
 * behind it.  The reader has checked it. */
static size_t
string_escape(const unsigned char **p, unsigned char out[4])
{
	static const char names[] = "bfnrt", stand_for[] = "\b\f\n\r\t";
	unsigned char c = (*p)[1];
	const char *name = memchr(names, c, sizeof names - 1);
	uint32_t unit;

	*p += 2;
	if (c != 'u') {
		out[0] = name != NULL ? (unsigned char)stand_for[name - names] : c;
		return 1;
	}
	unit = string_hex4(*p);
	*p += 4;
	if (unit < 0xd800 || unit > 0xdbff)
		return sq_utf8_write(unit, out);
	unit = 0x10000 + ((unit - 0xd800) << 10) + (string_hex4(*p + 2) - 0xdc00);
	*p += 6;
	return sq_utf8_write(unit, out);
}

void
sq_json_unescape(const struct sq_json_tokens *t, uint32_t i, struct sq_buf *out)
{
	struct sq_bytes raw = sq_json_raw(t, i);
	const unsigned char *p = raw.p, *end = raw.p + raw.len;

	assert(t->at[i].type == SQ_JSON_STRING);
	while (p < end) {
		const unsigned char *escape = memchr(p, '\\', (size_t)(end - p));
		unsigned char character[4];

		if (escape == NULL)
			escape = end;
		sq_buf_append(out, p, (size_t)(escape - p));
		p = escape;
		if (p < end) {
			size_t n = string_escape(&p, character);

			sq_buf_append(out, character, n);
		}
	}
}

bool
sq_json_equals(const struct sq_json_tokens *t, uint32_t i, struct sq_bytes text)
{
	struct sq_bytes raw = sq_json_raw(t, i);
	const unsigned char *p = raw.p, *end = raw.p + raw.len;

	assert(t->at[i].type == SQ_JSON_STRING);
	if (!t->at[i].escaped)
		return raw.len == text.len && (raw.len == 0 || memcmp(raw.p, text.p, raw.len) == 0);
	while (p < end) {
		unsigned char character[4] = {*p};
		size_t n = 1;

		if (*p == '\\')
			n = string_escape(&p, character);
		else
			p++;
		if (n > text.len || memcmp(text.p, character, n) != 0)
			return false;
		text = (struct sq_bytes){text.p + n, text.len - n};
	}
	return text.len == 0;
}

int
sq_json_members(const struct sq_json_tokens *t, uint32_t object, const char *const *names, size_t n,
    uint32_t *found, struct sq_json_error *err)
{
	uint32_t name, value;

	assert(t->at[object].type == SQ_JSON_OBJECT);
	memset(found, 0, n * sizeof *found);
	for (name = sq_json_first(t, object); name != 0; name = sq_json_next(t, object, value)) {
		value = t->at[name].next;
		for (size_t k = 0; k < n; k++) {
			if (!sq_json_equals(t, name, sq_bytes_of(names[k])))
				continue;
			if (found[k] != 0) {
				*err = (struct sq_json_error){
				    t->at[name].start, "a member is there twice"};
				return SQ_EINVAL;
			}
			found[k] = value;
		}
	}
	return 0;
}
