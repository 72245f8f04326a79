#include "broker/front/view/backlog.h"

#include <string.h>

#include "broker/group/queue_view.h"
#include "core/mem.h"
#include "web/query.h"

enum param { PARAM_SPACE, PARAM_WORKLOAD, PARAM_GROUP, PARAM_QUEUE, PARAMS };

static const char *const param_names[PARAMS] = {
    [PARAM_SPACE] = "space",
    [PARAM_WORKLOAD] = "workload",
    [PARAM_GROUP] = "group",
    [PARAM_QUEUE] = "queue",
};

static void
backlog_filter(struct sq_view_filter *f, char *const values[PARAMS])
{
	const char *workload = values[PARAM_WORKLOAD];
	const char *group = values[PARAM_GROUP] != NULL ? values[PARAM_GROUP] : workload;
	struct sq_buf name = {0};

	if (values[PARAM_QUEUE] != NULL)
		sq_buf_printf(&name, "queue~%s~%s", values[PARAM_SPACE], values[PARAM_QUEUE]);
	else
		sq_buf_printf(&name, "declared~%s~%s~%s", values[PARAM_SPACE], workload, group);
	f->name = sq_xmemdup0(sq_buf_data(&name), sq_buf_len(&name));
	f->name_len = sq_buf_len(&name);
	f->space = sq_xstrdup(values[PARAM_SPACE]);
	sq_buf_fini(&name);
}

/* Whether it names a space, and a workload, perhaps with its group, or else a named queue. */
static bool
backlog_names_one(char *const values[PARAMS], struct sq_buf *why)
{
	bool named = values[PARAM_QUEUE] != NULL;

	if (values[PARAM_SPACE] == NULL)
		sq_buf_printf(why, "space: it is missing");
	else if (named && (values[PARAM_WORKLOAD] != NULL || values[PARAM_GROUP] != NULL))
		sq_buf_printf(why, "queue: a named queue has no workload and no group");
	else if (!named && values[PARAM_WORKLOAD] == NULL)
		sq_buf_printf(why, "workload: it is missing");
	else
		return true;
	return false;
}

unsigned
sq_backlog_query(const char *query, struct sq_view_filter *f, struct sq_buf *why)
{
	char *values[PARAMS] = {NULL};
	bool good = sq_query_read(query, param_names, values, PARAMS, why);

	good = good && backlog_names_one(values, why);
	if (good)
		backlog_filter(f, values);
	sq_query_free(values, PARAMS);
	return good ? 200 : 400;
}

void
sq_backlog_json(struct sq_buf *out, const struct sq_view_rows *rows)
{
	static const enum sq_queue_column parts[] = {
	    SQ_QUEUE_DEPTH, SQ_QUEUE_COMING, SQ_QUEUE_UNACKNOWLEDGED};
	unsigned long long backlog = 0;

	for (size_t i = 0; i < SQ_ARRAY_LEN(parts) && rows->n > 0; i++)
		backlog += sq_view_cell(rows, 0, parts[i])->n;
	sq_buf_printf(
	    out, "{\"backlog\":%llu,\"known\":%s}\n", backlog, rows->n > 0 ? "true" : "false");
}
