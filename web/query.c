#include "web/query.h"

#include <stdlib.h>
#include <string.h>

#include "core/percent.h"

enum {
	SHOWN_MAX = 64,   /* bytes of a text from outside in an error */
	VALUE_MAX = 4096, /* bytes of a value */
};

/* The place of the name; 'n': there is none. */
static size_t
query_find(const char *const *names, size_t n, const char *name, size_t len)
{
	size_t at = 0;

	while (at < n && (strlen(names[at]) != len || memcmp(names[at], name, len) != 0))
		at++;
	return at;
}

static void
query_unknown(const char *const *names, size_t n, const char *name, size_t len, struct sq_buf *why)
{
	sq_buf_printf(why, "\"%.*s\" is no parameter; there are ",
	    len < SHOWN_MAX ? (int)len : SHOWN_MAX, name);
	for (size_t i = 0; i < n; i++)
		sq_buf_printf(why, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " and ", names[i]);
}

/* Takes one "name=value". */
static bool
query_take(const char *p, size_t len, const char *const *names, char **values, size_t n,
    struct sq_buf *why)
{
	const char *equals = memchr(p, '=', len);
	size_t name = equals != NULL ? (size_t)(equals - p) : len;
	size_t at = query_find(names, n, p, name);
	const char *wrong = NULL;

	if (at == n) {
		query_unknown(names, n, p, name, why);
		return false;
	}
	if (values[at] != NULL)
		wrong = "it stands there twice";
	else if (equals == NULL)
		wrong = "it has no value";
	else if (len - name - 1 > VALUE_MAX ||
	    (values[at] = sq_percent_decode(equals + 1, len - name - 1)) == NULL)
		wrong = "its value is no text: an escape is wrong, or it is too long";
	if (wrong != NULL)
		sq_buf_printf(why, "%s: %s", names[at], wrong);
	return wrong == NULL;
}

bool
sq_query_read(
    const char *query, const char *const *names, char **values, size_t n, struct sq_buf *why)
{
	while (*query != '\0') {
		size_t len = strcspn(query, "&");

		if (len > 0 && !query_take(query, len, names, values, n, why))
			return false;
		query += len + (query[len] == '&');
	}
	return true;
}

void
sq_query_free(char **values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(values[i]);
}
