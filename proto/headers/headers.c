/* See proto/headers/headers.h. */
#include "proto/headers/headers.h"

#include <assert.h>
#include <string.h>

#include "core/base64.h"
#include "core/percent.h"
#include "core/rfc3339.h"

void
sq_headers_begin(struct sq_buf *out, const char *name)
{
	sq_buf_append(out, name, strlen(name));
	sq_buf_append(out, ": ", 2);
}

void
sq_headers_end(struct sq_buf *out)
{
	sq_buf_u8(out, '\0');
}

void
sq_headers_put(struct sq_buf *out, const char *name, struct sq_bytes value)
{
	unsigned char *p;

	if (value.len == 0)
		return;
	sq_headers_begin(out, name);
	p = sq_buf_reserve(out, value.len + 1);
	for (size_t i = 0; i < value.len; i++)
		p[i] = value.p[i] < 0x20 || value.p[i] == 0x7f ? '?' : value.p[i];
	sq_buf_commit(out, value.len);
	sq_headers_end(out);
}

void
sq_headers_number(struct sq_buf *out, const char *name, uint64_t n)
{
	unsigned char text[20];
	size_t at = sizeof text;

	do
		text[--at] = (unsigned char)('0' + n % 10);
	while ((n /= 10) > 0);
	sq_headers_put(out, name, (struct sq_bytes){text + at, sizeof text - at});
}

void
sq_headers_time(struct sq_buf *out, const char *name, uint64_t ms)
{
	char text[SQ_RFC3339_MAX];

	if (ms == 0)
		return;
	sq_rfc3339_write((int64_t)ms, text);
	sq_headers_put(out, name, sq_bytes_of(text));
}

void
sq_headers_percent(struct sq_buf *out, const char *name, struct sq_bytes text)
{
	if (text.len == 0)
		return;
	sq_headers_begin(out, name);
	sq_percent_put_bytes(out, text);
	sq_headers_end(out);
}

void
sq_headers_string(struct sq_buf *out, const char *name, struct sq_bytes text)
{
	bool plain = true;

	for (size_t i = 0; i < text.len; i++)
		plain &= text.p[i] >= 0x20 && text.p[i] < 0x7f;
	if (!plain || text.len == 0) {
		sq_headers_put(out, name, text);
		return;
	}
	sq_headers_begin(out, name);
	sq_buf_u8(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			sq_buf_u8(out, '\\');
		sq_buf_u8(out, text.p[i]);
	}
	sq_buf_u8(out, '"');
	sq_headers_end(out);
}

void
sq_headers_bytes(struct sq_buf *out, const char *name, struct sq_bytes bytes)
{
	if (bytes.len == 0)
		return;
	sq_headers_begin(out, name);
	sq_buf_u8(out, ':');
	sq_base64_put(out, bytes.p, bytes.len);
	sq_buf_u8(out, ':');
	sq_headers_end(out);
}

bool
sq_headers_next(struct sq_bytes *lines, struct sq_bytes *name, struct sq_bytes *value)
{
	const unsigned char *colon, *end;

	if (lines->len == 0)
		return false;
	colon = memchr(lines->p, ':', lines->len);
	assert(colon != NULL && colon[1] == ' ');
	end = memchr(colon, '\0', lines->len - (size_t)(colon - lines->p));
	assert(end != NULL);
	*name = (struct sq_bytes){lines->p, (size_t)(colon - lines->p)};
	*value = (struct sq_bytes){colon + 2, (size_t)(end - colon) - 2};
	*lines = (struct sq_bytes){end + 1, lines->len - (size_t)(end + 1 - lines->p)};
	return true;
}
