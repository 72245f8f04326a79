/* See broker/front/door/head.h. */
#include "broker/front/door/head.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct line {
	const char *p;
	size_t len; /* without its end */
};

/* Takes a line off the front; false: there is no whole one. */
static bool
line_next(const char **at, const char *end, struct line *out)
{
	const char *lf = memchr(*at, '\n', (size_t)(end - *at));

	if (lf == NULL)
		return false;
	*out = (struct line){*at, (size_t)(lf - *at)};
	if (out->len > 0 && out->p[out->len - 1] == '\r')
		out->len--;
	*at = lf + 1;
	return true;
}

static bool
line_names(const struct line *l, const char *name)
{
	size_t n = strlen(name);

	return l->len > n && strncasecmp(l->p, name, n) == 0 && l->p[n] == ':';
}

/* Whether a first line ends as a request's: RFC 9112, 3. */
static bool
line_asks(const struct line *l)
{
	static const char version[] = " HTTP/1.";
	const size_t n = sizeof version; /* a digit for its NUL */

	return l->len > n && memcmp(l->p + l->len - n, version, n - 1) == 0;
}

enum sq_head
sq_head_scan(const char *p, size_t len, size_t *used)
{
	const char *at = p, *end = p + len;
	unsigned lengths = 0, folds = 0, fields = 0;
	struct line line;

	if (!line_next(&at, end, &line) || (line.len == 0 && !line_next(&at, end, &line)))
		return SQ_HEAD_MORE;
	if (!line_asks(&line))
		return SQ_HEAD_ELSE;
	while (line.len > 0) {
		if (!line_next(&at, end, &line))
			return SQ_HEAD_MORE;
		fields += line.len > 0;
		folds += line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
		lengths += line_names(&line, "content-length") ||
		    line_names(&line, "transfer-encoding");
	}
	*used = (size_t)(at - p);
	if (lengths > 1 || folds > 0)
		return SQ_HEAD_BAD;
	return fields > SQ_HEAD_FIELDS_MAX ? SQ_HEAD_MANY : SQ_HEAD_GOOD;
}

struct sq_bytes
sq_head_target(const char *p, size_t len)
{
	const char *at = p, *end = p + len, *first, *last;
	struct line line = {p, 0};

	if (!line_next(&at, end, &line) || (line.len == 0 && !line_next(&at, end, &line)) ||
	    line.len == 0)
		return (struct sq_bytes){0};
	first = memchr(line.p, ' ', line.len);
	last = memrchr(line.p, ' ', line.len);
	if (first == last)
		return (struct sq_bytes){0};
	return (struct sq_bytes){(const unsigned char *)first + 1, (size_t)(last - first - 1)};
}

/* The part of a field's line behind its name, without spaces around. */
static struct sq_bytes
line_value(const struct line *l, size_t name_len)
{
	const char *p = l->p + name_len + 1, *end = l->p + l->len;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (p < end && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return (struct sq_bytes){(const unsigned char *)p, (size_t)(end - p)};
}

struct sq_bytes
sq_head_field(const char *p, size_t len, const char *name)
{
	const char *at = p, *end = p + len;
	struct line line;

	while (line_next(&at, end, &line))
		if (line_names(&line, name))
			return line_value(&line, strlen(name));
	return (struct sq_bytes){0};
}

void
sq_head_hide(char *p, size_t len, const char *name)
{
	const char *at = p, *end = p + len;
	struct line line;

	while (line_next(&at, end, &line))
		if (line_names(&line, name)) {
			p[line.p - p] = 'x';
			return;
		}
}

bool
sq_head_blank(char *p, size_t len)
{
	static const char name[] = "x:", last[] = "\r\n\r\n";
	const size_t n_name = sizeof name - 1, n_last = sizeof last - 1;
	const char *at = p, *end = p + len;
	struct line line;
	char *rest;

	if (!line_next(&at, end, &line) || (line.len == 0 && !line_next(&at, end, &line)) ||
	    !line_asks(&line) || (size_t)(end - at) < n_name + n_last)
		return false;
	rest = p + (at - p);
	memset(rest, 'y', (size_t)(end - at));
	memcpy(rest, name, n_name);
	memcpy(p + len - n_last, last, n_last);
	return true;
}
