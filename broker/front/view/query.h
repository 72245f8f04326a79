/* Requests for the view: the path and the query of docs/view.md.  Pure. */
#ifndef SQ_BROKER_FRONT_VIEW_QUERY_H
#define SQ_BROKER_FRONT_VIEW_QUERY_H

#include "broker/view/view.h"

#define SQ_VIEW_PATH "/v1/view"

struct sq_view_query {
	const struct sq_view_table *table; /* NULL: the list of tables */
	struct sq_view_filter filter;      /* without 'may' */
	size_t limit;
	bool shown[SQ_VIEW_COLUMNS_MAX]; /* columns */
	struct sq_view_cursor at;
};

/* Reads a request.  200, or the status of the answer with what is wrong in 'why'. */
unsigned sq_view_query_read(const struct sq_view *, const char *path, const char *query,
    struct sq_view_query *, struct sq_buf *why);
void sq_view_query_fini(struct sq_view_query *);

#endif
