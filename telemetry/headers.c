#include "telemetry/headers.h"

#include <string.h>

#include "core/file.h"
#include "core/http_token.h"

/* Ends the name of a line that is a header, with a value of visible characters, and returns the value;
 * NULL: it is none. */
static const char *
headers_split(char *line)
{
	char *colon = strchr(line, ':'), *value;

	if (colon == NULL || !sq_http_token_good(line, (size_t)(colon - line)))
		return NULL;
	value = colon + 1 + strspn(colon + 1, " \t");
	if (*value == '\0')
		return NULL;
	for (const char *p = value; *p != '\0'; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return NULL;
	*colon = '\0';
	return value;
}

static int
headers_each(const char *path, char *text, sq_headers_each each, void *owner, struct sq_buf *err)
{
	const char *value;
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
		value = headers_split(line);
		if (value == NULL || ++n > SQ_HEADERS_MAX) {
			sq_buf_printf(err, "%s: line %u: %s", path, at,
			    n > SQ_HEADERS_MAX ? "more than 32 headers"
					       : "not a header, as name: value");
			return SQ_EINVAL;
		}
		each(owner, line, value);
	}
	return SQ_OK;
}

int
sq_headers_read(const char *path, sq_headers_each each, void *owner, struct sq_buf *err)
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
