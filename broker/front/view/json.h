/* The view as JSON (docs/view.md).  Pure. */
#ifndef SQ_BROKER_FRONT_VIEW_JSON_H
#define SQ_BROKER_FRONT_VIEW_JSON_H

#include "broker/view/view.h"

/* A page that is being written, some rows at a time. */
struct sq_view_json {
	const struct sq_view_rows *rows;
	size_t n; /* rows that are written */
	struct sq_buf out;
	/* What stands before the values of each row: {"name":  ,"name":  ...; of a column that is not
	 * shown there is none. */
	struct sq_buf heads;
	size_t head_at[SQ_VIEW_COLUMNS_MAX + 1]; /* where each begins, and the last one ends */
};

/* Begins a page of the rows, which outlive it; 'shown' says of each column whether it is wanted. */
void sq_view_json_begin(struct sq_view_json *, const struct sq_view_rows *, const bool *shown);
/* Writes so many rows; false: there are no more. */
bool sq_view_json_more(struct sq_view_json *, size_t most);
/* Ends the page, which is 'out''s then.  'next': the cursor of the next page, or NULL. */
void sq_view_json_end(struct sq_view_json *, const char *next, struct sq_buf *out);
/* Frees one that is not ended; begins as zeros, too. */
void sq_view_json_fini(struct sq_view_json *);
/* Appends one table with its columns. */
void sq_view_json_table(struct sq_buf *, const struct sq_view_table *);

#endif
