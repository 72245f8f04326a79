/* The view as JSON (docs/view.md).  Pure. */
#ifndef SQ_BROKER_FRONT_VIEW_JSON_H
#define SQ_BROKER_FRONT_VIEW_JSON_H

#include "broker/view/view.h"

/* Appends a page; 'shown' says of each column whether it is wanted, and 'next' is the cursor of the
 * next page, or NULL. */
void sq_view_json_page(
    struct sq_buf *, const struct sq_view_rows *, const bool *shown, const char *next);
/* Appends one table with its columns. */
void sq_view_json_table(struct sq_buf *, const struct sq_view_table *);

#endif
