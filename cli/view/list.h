/* Rows of a table of the view, as a table for people or as JSON: the verbs ls and show. */
#ifndef SQ_CLI_VIEW_LIST_H
#define SQ_CLI_VIEW_LIST_H

#include "cli/view/reader.h"

enum { SQ_LIST_ROWS_MAX = 1000000 };

struct sq_list_ask {
	const char *table, *space, *queue; /* NULL: any */
	const char *name, *prefix;         /* one of them at most */
	const char *letter; /* of show: the row with that number in 'letter'; NULL: any */
	size_t limit;
	bool json, wide;
};

/* Appends the rows.  SQ_FOUND, also without any; SQ_FOUND_NONE: the queue is not there;
 * SQ_FOUND_ERROR.  Of these two 'err' has a line. */
enum sq_found
sq_list(struct sq_tables *, const struct sq_list_ask *, struct sq_buf *out, struct sq_buf *err);
/* Appends all columns of the rows whose name is 'name', a line for each; of sessions also those
 * with that client id, and of links that with that number.  SQ_FOUND_NONE: 'err' has a line. */
enum sq_found
sq_show(struct sq_tables *, const struct sq_list_ask *, struct sq_buf *out, struct sq_buf *err);

#endif
