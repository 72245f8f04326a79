#include "core/openmetrics.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"

enum {
	Q_DIGITS = 3,
	Q_ONE = 1000,
	HEAD = sizeof "# HELP " - 1, /* as long as that of TYPE */
};

static bool
bytes_ends(struct sq_bytes b, const char *end)
{
	size_t n = strlen(end);

	return b.len >= n && memcmp(b.p + b.len - n, end, n) == 0;
}

static bool
bytes_is(struct sq_bytes b, const char *text)
{
	return b.len == strlen(text) && strncasecmp((const char *)b.p, text, b.len) == 0;
}

/* Takes what is before the next 'until', or all, without blanks around it. */
static struct sq_bytes
bytes_take(struct sq_bytes *rest, char until)
{
	const unsigned char *end = rest->len > 0 ? memchr(rest->p, until, rest->len) : NULL;
	struct sq_bytes b = {rest->p, end != NULL ? (size_t)(end - rest->p) : rest->len};
	size_t used = b.len + (end != NULL);

	*rest = (struct sq_bytes){rest->len > 0 ? rest->p + used : rest->p, rest->len - used};
	while (b.len > 0 && (b.p[0] == ' ' || b.p[0] == '\t'))
		b = (struct sq_bytes){b.p + 1, b.len - 1};
	while (b.len > 0 && (b.p[b.len - 1] == ' ' || b.p[b.len - 1] == '\t'))
		b.len--;
	return b;
}

/* ---- Accept (RFC 9110, section 12.5.1) ---- */

/* Thousandths; what is no number is 0. */
static unsigned
accept_q(struct sq_bytes v)
{
	unsigned q = 0, part = Q_ONE;

	if (v.len == 0 || (v.p[0] != '0' && v.p[0] != '1') || (v.len > 1 && v.p[1] != '.'))
		return 0;
	q = v.p[0] == '1' ? Q_ONE : 0;
	for (size_t i = 2; i < v.len && i < 2 + Q_DIGITS; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return 0;
		part /= 10;
		q += part * (unsigned)(v.p[i] - '0');
	}
	return q < Q_ONE ? q : Q_ONE;
}

/* One of the ranges: its q, and whether its version is 'version' or not said. */
static unsigned
accept_range(struct sq_bytes params, const char *version)
{
	unsigned q = Q_ONE;

	while (params.len > 0) {
		struct sq_bytes value = bytes_take(&params, ';');
		struct sq_bytes name = bytes_take(&value, '=');

		value = bytes_take(&value, '\n'); /* without blanks */
		if (bytes_is(name, "q"))
			q = accept_q(value);
		else if (bytes_is(name, "version") && !bytes_is(value, version))
			return 0;
	}
	return q;
}

bool
sq_openmetrics_wanted(struct sq_bytes accept)
{
	unsigned open = 0, text = 0;

	while (accept.len > 0) {
		struct sq_bytes range = bytes_take(&accept, ',');
		struct sq_bytes type = bytes_take(&range, ';');
		unsigned q;

		if (bytes_is(type, "application/openmetrics-text")) {
			q = accept_range(range, "1.0.0");
			open = q > open ? q : open;
		} else if (bytes_is(type, "text/plain")) {
			q = accept_range(range, "0.0.4");
			text = q > text ? q : text;
		}
	}
	return open > 0 && open >= text;
}

/* ---- text ---- */

static struct sq_bytes
open_line(struct sq_bytes *text)
{
	const unsigned char *end = memchr(text->p, '\n', text->len);
	struct sq_bytes line = {text->p, end != NULL ? (size_t)(end - text->p) : text->len};
	size_t used = line.len + (end != NULL);

	*text = (struct sq_bytes){text->p + used, text->len - used};
	return line;
}

static bool
open_begins(struct sq_bytes line, const char *head)
{
	return line.len > strlen(head) && memcmp(line.p, head, strlen(head)) == 0;
}

static void
open_unit(struct sq_bytes family, struct sq_buf *out)
{
	static const char *const units[] = {"seconds", "bytes"};

	for (size_t i = 0; i < SQ_ARRAY_LEN(units); i++) {
		if (!bytes_ends(family, units[i]))
			continue;
		sq_buf_printf(out, "# UNIT ");
		sq_buf_append(out, family.p, family.len);
		sq_buf_printf(out, " %s\n", units[i]);
	}
}

/* The backslash and the end of a line are escaped in both formats, the quote in this one. */
static void
open_help(struct sq_bytes help, struct sq_buf *out)
{
	for (size_t i = 0; i < help.len; i++) {
		if (help.p[i] == '"')
			sq_buf_u8(out, '\\');
		sq_buf_u8(out, help.p[i]);
	}
}

/* A line of a head; 'counter': it is a counter's, whose family has no _total. */
static void
open_head(struct sq_bytes line, bool counter, struct sq_buf *out)
{
	struct sq_bytes rest = {line.p + HEAD, line.len - HEAD}, family = bytes_take(&rest, ' ');

	if (counter && bytes_ends(family, "_total"))
		family.len -= strlen("_total");
	sq_buf_append(out, line.p, HEAD);
	sq_buf_append(out, family.p, family.len);
	sq_buf_u8(out, ' ');
	open_help(rest, out);
	sq_buf_u8(out, '\n');
	if (open_begins(line, "# TYPE "))
		open_unit(family, out);
}

void
sq_openmetrics_write(struct sq_bytes text, struct sq_buf *out)
{
	while (text.len > 0) {
		struct sq_bytes line = open_line(&text), type = line, rest = text;

		if (open_begins(line, "# HELP ") && rest.len > 0)
			type = open_line(&rest); /* follows at once */
		if (open_begins(line, "# HELP ") || open_begins(line, "# TYPE ")) {
			open_head(line, bytes_ends(type, " counter"), out);
			continue;
		}
		sq_buf_append(out, line.p, line.len);
		sq_buf_u8(out, '\n');
	}
	sq_buf_printf(out, "# EOF\n");
}
