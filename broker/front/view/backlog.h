/* GET /v1/backlog: how much work one declared or named queue has, as a single number, for what scales its
 * workload (docs/view.md).  It is a page of the queues' table with at most one row.  Pure. */
#ifndef SQ_BROKER_FRONT_VIEW_BACKLOG_H
#define SQ_BROKER_FRONT_VIEW_BACKLOG_H

#include "broker/view/view.h"

#define SQ_BACKLOG_PATH "/v1/backlog"
#define SQ_BACKLOG_NAME "backlog" /* for rules of acl */

/* Reads the query into the filter of the queue, which the caller frees.  200, or the status of the
 * answer with what is wrong in 'why'. */
unsigned sq_backlog_query(const char *query, struct sq_view_filter *, struct sq_buf *why);
/* Appends the answer from the page's rows; without one nothing waits, for there is no such queue. */
void sq_backlog_json(struct sq_buf *, const struct sq_view_rows *);

#endif
