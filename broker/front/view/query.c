#include "broker/front/view/query.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/utf8.h"
#include "web/query.h"

enum {
	LIMIT_DEFAULT = 100,
	SHOWN_MAX = 64, /* bytes of a text from outside in an error */
};

enum param {
	PARAM_LIMIT,
	PARAM_AFTER,
	PARAM_SPACE,
	PARAM_NAME,
	PARAM_PREFIX,
	PARAM_QUEUE,
	PARAM_COLUMNS,
	PARAMS
};

static const char *const param_names[PARAMS] = {
    [PARAM_LIMIT] = "limit",
    [PARAM_AFTER] = "after",
    [PARAM_SPACE] = "space",
    [PARAM_NAME] = "name",
    [PARAM_PREFIX] = "prefix",
    [PARAM_QUEUE] = "queue",
    [PARAM_COLUMNS] = "columns",
};

/* The decoded values; NULL: not there. */
struct params {
	char *v[PARAMS];
};

static int
shown(const char *text)
{
	return (int)sq_utf8_cut(text, strlen(text), SHOWN_MAX);
}

/* ---- what it means ---- */

static bool
query_limit(struct sq_view_query *q, const char *text, struct sq_buf *why)
{
	char *end;
	unsigned long n;

	q->limit = LIMIT_DEFAULT;
	if (text == NULL)
		return true;
	n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n < 1 || n > SQ_VIEW_PAGE_MAX) {
		sq_buf_printf(why, "limit: \"%.*s\" is not from 1 to %d", shown(text), text,
		    SQ_VIEW_PAGE_MAX);
		return false;
	}
	q->limit = n;
	return true;
}

/* The place of the column in the table, or the number of columns. */
static size_t
query_column(const struct sq_view_table *t, const char *name, size_t len)
{
	size_t i = 0;

	while (i < t->n_columns &&
	    (strlen(t->columns[i].name) != len || memcmp(t->columns[i].name, name, len) != 0))
		i++;
	return i;
}

static bool
query_columns(struct sq_view_query *q, const char *text, struct sq_buf *why)
{
	const struct sq_view_table *t = q->table;

	for (size_t i = 0; i < t->n_columns && text == NULL; i++)
		q->shown[i] = true;
	while (text != NULL) {
		size_t len = strcspn(text, ","), at = query_column(t, text, len);

		if (at == t->n_columns) {
			sq_buf_printf(why, "columns: \"%.*s\" is no column of %s",
			    len < SHOWN_MAX ? (int)len : SHOWN_MAX, text, t->name);
			return false;
		}
		q->shown[at] = true;
		text = text[len] == ',' ? text + len + 1 : NULL;
	}
	return true;
}

static void
query_filter(struct sq_view_filter *f, const struct params *params)
{
	const char *prefix = params->v[PARAM_PREFIX];
	const char *name = prefix != NULL ? prefix : params->v[PARAM_NAME];

	if (params->v[PARAM_SPACE] != NULL)
		f->space = sq_xstrdup(params->v[PARAM_SPACE]);
	if (params->v[PARAM_QUEUE] != NULL)
		f->queue = sq_xstrdup(params->v[PARAM_QUEUE]);
	if (name == NULL)
		return;
	f->name = sq_xstrdup(name);
	f->name_len = strlen(name);
	f->prefix = prefix != NULL;
}

static bool
query_mean(const struct sq_view *v, struct sq_view_query *q, const struct params *params,
    struct sq_buf *why)
{
	if (q->table == NULL) {
		for (size_t i = 0; i < PARAMS; i++) {
			if (params->v[i] == NULL)
				continue;
			sq_buf_printf(
			    why, "%s: the list of tables has no parameters", param_names[i]);
			return false;
		}
		return true;
	}
	if (params->v[PARAM_QUEUE] != NULL && !q->table->queues) {
		sq_buf_printf(why, "queue: %s can't be searched by it", q->table->name);
		return false;
	}
	if (params->v[PARAM_NAME] != NULL && params->v[PARAM_PREFIX] != NULL) {
		sq_buf_printf(why, "prefix: there is a name, too; give one of them");
		return false;
	}
	query_filter(&q->filter, params);
	if (!query_limit(q, params->v[PARAM_LIMIT], why) ||
	    !query_columns(q, params->v[PARAM_COLUMNS], why))
		return false;
	if (params->v[PARAM_AFTER] == NULL ||
	    sq_view_cursor_read(v, q->table, &q->filter, params->v[PARAM_AFTER], &q->at))
		return true;
	sq_buf_printf(why,
	    "after: that is no cursor of this table with this space, name, prefix and queue, or it "
	    "is from before the broker's start; begin anew");
	return false;
}

unsigned
sq_view_query_read(const struct sq_view *v, const char *path, const char *query,
    struct sq_view_query *q, struct sq_buf *why)
{
	const size_t len = sizeof SQ_VIEW_PATH - 1;
	struct params params = {{0}};
	unsigned status = 404;

	if (strncmp(path, SQ_VIEW_PATH, len) == 0 && path[len] == '/')
		q->table = sq_view_find(v, path + len + 1);
	if (q->table != NULL || strcmp(path, SQ_VIEW_PATH) == 0) {
		status = sq_query_read(query, param_names, params.v, PARAMS, why) &&
			query_mean(v, q, &params, why)
		    ? 200
		    : 400;
		sq_query_free(params.v, PARAMS);
	} else {
		sq_buf_printf(why, "there is no %.*s; " SQ_VIEW_PATH " has the list of tables",
		    shown(path), path);
	}
	return status;
}

void
sq_view_query_fini(struct sq_view_query *q)
{
	sq_view_filter_fini(&q->filter);
}
