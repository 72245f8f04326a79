#include "cli/view/remote.h"

#include <stdlib.h>
#include <string.h>

#include "cli/view/http.h"
#include "cli/view/safe.h"
#include "core/percent.h"
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"

enum {
	REMOTE_TOKEN_MAX = 16384, /* bytes */
	REMOTE_PAGE_ROWS = 1000,
	REMOTE_PAGES_MAX = 100000, /* of a table */
	REMOTE_CURSOR_MAX = 8192,
};

struct sq_remote {
	struct sq_http *http;
	json_t *tables; /* NULL: not asked for yet */
};

bool
sq_remote_token(const char *path, struct sq_buf *token, struct sq_buf *err)
{
	int rc;
	char *text;
	size_t len, from = 0;

	(void)sq_buf_reserve(token, REMOTE_TOKEN_MAX + 2);
	if ((rc = sq_file_read(path, REMOTE_TOKEN_MAX, token)) != 0) {
		sq_buf_printf(err, "%s: %s", path, sq_file_reason(rc));
		return false;
	}
	sq_buf_u8(token, 0);
	text = (char *)sq_buf_data(token);
	len = sq_buf_len(token) - 1;
	while (len > 0 && memchr(" \t\r\n", text[len - 1], 4) != NULL)
		text[--len] = '\0';
	while (from < len && memchr(" \t\r\n", text[from], 4) != NULL)
		from++;
	sq_buf_drain(token, from);
	for (const char *p = text + from; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			len = from;
	if (len > from && strlen(text) == len)
		return true;
	sq_buf_printf(err, "%s: it does not hold one token", path);
	return false;
}

/* ---- pages ---- */

/* Appends the path of a page. */
static void
remote_path(struct sq_buf *out, const struct sq_wanted *w, size_t rows, const char *after)
{
	const struct {
		const char *name, *value;
	} query[] = {{"space", w->space}, {"name", w->name}, {"prefix", w->prefix},
	    {"queue", w->queue}, {"columns", w->columns}, {"after", after}};

	sq_buf_printf(out, "/v1/view/%s?limit=%zu", w->table, rows);
	for (size_t i = 0; i < SQ_ARRAY_LEN(query); i++) {
		if (query[i].value == NULL)
			continue;
		sq_buf_printf(out, "&%s=", query[i].name);
		sq_percent_put(out, query[i].value);
	}
	sq_buf_u8(out, 0);
}

static int
remote_strange(const char *table, const char *what, struct sq_buf *err)
{
	sq_buf_printf(err, "/v1/view/%s: %s; is it the admin endpoint of a broker?", table, what);
	return SQ_EINVAL;
}

/* One page; '*left' falls by its rows.  '*next' is the page's, NULL after the last row. */
static int
remote_page(const json_t *page, const struct sq_wanted *w, size_t *left,
    bool (*each)(void *, const json_t *), void *arg, const char **next, struct sq_buf *err)
{
	const json_t *rows = json_object_get(page, "rows"), *row;
	const char *cursor = json_string_value(json_object_get(page, "next"));
	size_t i;

	*next = NULL;
	if (!json_is_array(rows))
		return remote_strange(w->table, "the answer has no rows", err);
	if (cursor != NULL && strlen(cursor) > REMOTE_CURSOR_MAX)
		return remote_strange(w->table, "its cursor is too long", err);
	json_array_foreach(rows, i, row)
	{
		if (!json_is_object(row))
			return remote_strange(w->table, "a row is no object", err);
		if (!each(arg, row) || --*left == 0)
			return 0;
	}
	*next = cursor;
	return 0;
}

static int
remote_rows(void *owner, const struct sq_wanted *w, bool (*each)(void *, const json_t *), void *arg,
    struct sq_buf *err)
{
	struct sq_remote *r = owner;
	size_t left = w->limit > 0 ? w->limit : SIZE_MAX;
	const char *next = NULL;
	json_t *page = NULL;
	int rc = 0;

	for (unsigned n = 0; rc == 0 && (n == 0 || next != NULL); n++) {
		struct sq_buf path = {0};
		json_t *last = page;

		page = NULL;
		remote_path(&path, w, left < REMOTE_PAGE_ROWS ? left : REMOTE_PAGE_ROWS, next);
		rc = sq_http_get(r->http, (const char *)sq_buf_data(&path), &page, err);
		sq_buf_fini(&path);
		json_decref(last); /* with its 'next' */
		next = NULL;
		if (rc == 0)
			rc = remote_page(page, w, &left, each, arg, &next, err);
		if (rc == 0 && n == REMOTE_PAGES_MAX)
			rc = remote_strange(w->table, "its pages do not end", err);
	}
	json_decref(page);
	return rc;
}

static const json_t *
remote_table(void *owner, const char *name, struct sq_buf *err)
{
	struct sq_remote *r = owner;
	const json_t *t;
	size_t i;

	if (r->tables == NULL && sq_http_get(r->http, "/v1/view", &r->tables, err) != 0)
		return NULL;
	json_array_foreach(json_object_get(r->tables, "tables"), i, t)
	{
		const char *its = json_string_value(json_object_get(t, "table"));

		if (its != NULL && strcmp(its, name) == 0)
			return t;
	}
	sq_buf_printf(err,
	    "/v1/view has no table %s: the broker is of another version, or its acl does not let "
	    "this identity see it",
	    name);
	return NULL;
}

/* ---- life ---- */

struct sq_remote *
sq_remote_open(const char *admin, const char *token_file, const struct sq_http_via *via,
    struct sq_tables *reader, struct sq_buf *err)
{
	struct sq_remote *r = sq_xcalloc(1, sizeof *r);
	const char *env = getenv("SQMQOS_ADMIN");
	struct sq_buf token = {0};

	if (admin == NULL)
		admin = env != NULL && *env != '\0' ? env : SQ_REMOTE_ADMIN;
	if (token_file == NULL || sq_remote_token(token_file, &token, err))
		r->http = sq_http_new(
		    admin, token_file != NULL ? (char *)sq_buf_data(&token) : NULL, via, err);
	sq_buf_wipe(&token);
	*reader = (struct sq_tables){remote_rows, remote_table, r};
	if (r->http == NULL)
		sq_remote_close(&r);
	return r;
}

void
sq_remote_close(struct sq_remote **rp)
{
	struct sq_remote *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	sq_http_free(&r->http);
	json_decref(r->tables);
	free(r);
}

int
sq_remote_do(struct sq_remote *r, const char *method, const char *path, const json_t *body,
    json_t **out, struct sq_buf *err)
{
	return sq_http_do(r->http, method, path, body, out, err);
}

void
sq_remote_part(struct sq_remote *r)
{
	sq_http_part(r->http);
}
