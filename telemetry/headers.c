#include "telemetry/headers.h"

#include <string.h>

#include "core/file.h"

/* A token of RFC 9110, §5.6.2, of 'n' characters. */
static bool
is_name(const char *p, size_t n)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    memchr(marks, c, sizeof marks - 1) == NULL)
			return false;
	}
	return n > 0;
}

/* A line that is a header, with a value of visible characters. */
static bool
is_header(const char *line)
{
	const char *colon = strchr(line, ':');

	if (colon == NULL || !is_name(line, (size_t)(colon - line)))
		return false;
	colon += 1 + strspn(colon + 1, " \t");
	if (*colon == '\0')
		return false;
	for (; *colon != '\0'; colon++) {
		if ((unsigned char)*colon < 0x20 && *colon != '\t')
			return false;
		if (*colon == 0x7f)
			return false;
	}
	return true;
}

static int
headers_each(const char *path, char *text, void (*each)(void *, const char *), void *owner,
    struct sq_buf *err)
{
	unsigned at = 0, n = 0;
	char *next;

	for (char *line = text; line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		at++;
		line[strcspn(line, "\r")] = '\0';
		if (*line == '\0' || *line == '#')
			continue;
		if (!is_header(line) || ++n > SQ_HEADERS_MAX) {
			sq_buf_printf(err, "%s: line %u: %s", path, at,
			    n > SQ_HEADERS_MAX ? "more than 32 headers"
					       : "not a header, as name: value");
			return SQ_EINVAL;
		}
		each(owner, line);
	}
	return SQ_OK;
}

int
sq_headers_read(const char *path, void (*each)(void *owner, const char *header), void *owner,
    struct sq_buf *err)
{
	struct sq_buf text = {0};
	int rc = sq_file_read(path, SQ_HEADERS_FILE_MAX, &text);

	if (rc != SQ_OK) {
		sq_buf_printf(err, "%s: %s", path, sq_file_reason(rc));
	} else if (memchr(sq_buf_data(&text), '\0', sq_buf_len(&text)) != NULL) {
		sq_buf_printf(err, "%s: it is not text", path);
		rc = SQ_EINVAL;
	} else {
		sq_buf_u8(&text, '\0');
		rc = headers_each(path, (char *)sq_buf_data(&text), each, owner, err);
	}
	if (sq_buf_len(&text) > 0)
		explicit_bzero(sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_fini(&text);
	return rc;
}
