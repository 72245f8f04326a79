#include "broker/front/view/pages.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/front/access/pages.h"
#include "broker/front/view/backlog.h"
#include "broker/front/view/json.h"
#include "broker/front/view/query.h"
#include "broker/group/queue_view.h"

enum {
	PAGES_MAX = 4,     /* under way */
	BACKLOGS_MAX = 16, /* with backlogs, which are short */
	WRITE_ROWS = 16,   /* of a page, as JSON, at a time */
};

struct sq_view_pages {
	struct sq_pages pages;
	atomic_uint running; /* pages */
};

/* One request on its way. */
struct view_ask {
	struct sq_page page;
	struct sq_view_query query;
	struct sq_view_page rows;
	struct sq_view_json json; /* of the rows */
	bool backlog;             /* the page is that of one queue's backlog */
};

static atomic_uint *
view_running(const struct view_ask *a)
{
	return &SQ_CONTAINER_OF(a->page.pages, struct sq_view_pages, pages)->running;
}

/* ---- pages ---- */

/* Ends the page. */
static void
view_page_json(struct view_ask *a, struct sq_buf *body)
{
	struct sq_buf next = {0};

	if (a->rows.more) {
		sq_view_cursor_put(sq_broker_view(a->page.caller.broker), a->rows.table,
		    &a->rows.filter, &a->rows.at, &next);
		sq_buf_u8(&next, '\0');
	}
	sq_view_json_end(&a->json, a->rows.more ? (const char *)sq_buf_data(&next) : NULL, body);
	sq_buf_fini(&next);
}

/* The page is complete: writes some of its rows, then lets others have the core, and requests their
 * turn, before the next ones.  Thread: admin. */
static void
view_write(struct sq_admin_ask *ask, void *arg)
{
	struct view_ask *a = arg;
	struct sq_buf body = {0};

	if (!a->backlog && a->json.rows == NULL)
		sq_view_json_begin(&a->json, &a->rows.rows, a->query.shown);
	if (!a->backlog && sq_view_json_more(&a->json, WRITE_ROWS)) {
		(void)sched_yield();
		sq_admin_continue(ask, view_write, a);
		return;
	}
	if (a->backlog)
		sq_backlog_json(&body, &a->rows.rows);
	else
		view_page_json(a, &body);
	atomic_fetch_sub(view_running(a), 1);
	sq_page_answer(&a->page, &body);
}

/* On a worker. */
static void
view_gathered(struct sq_view_page *p)
{
	struct view_ask *a = SQ_CONTAINER_OF(p, struct view_ask, rows);

	sq_admin_continue(a->page.caller.ask, view_write, a);
}

static void
view_gather(struct view_ask *a)
{
	unsigned most = a->backlog ? BACKLOGS_MAX : PAGES_MAX;

	if (atomic_fetch_add(view_running(a), 1) >= most) {
		atomic_fetch_sub(view_running(a), 1);
		sq_page_refuse(&a->page, 429, "other pages are under way");
		return;
	}
	a->rows.table = a->query.table;
	a->rows.filter = a->query.filter;
	a->query.filter = (struct sq_view_filter){0};
	if (!a->backlog) { /* whose space was judged */
		a->rows.filter.may = sq_access_space;
		a->rows.filter.arg = &a->page.caller.access;
	}
	a->rows.limit = a->query.limit;
	a->rows.at = a->query.at;
	a->rows.done = view_gathered;
	sq_view_ask(sq_broker_view(a->page.caller.broker), &a->rows);
}

/* Whether the caller may see rows of the table, in 'space' (NULL: in some space). */
static bool
view_may(struct view_ask *a, const struct sq_view_table *t, const char *space)
{
	return sq_access_may(&a->page.caller.access, t->name, t->whole, space);
}

/* The list of the tables that the caller may see; false: there is none. */
static bool
view_list(struct view_ask *a, struct sq_buf *body)
{
	const struct sq_view *v = sq_broker_view(a->page.caller.broker);
	const struct sq_view_table *t;
	bool any = false;

	sq_buf_printf(body, "{\"tables\":[");
	for (size_t i = 0; (t = sq_view_table(v, i)) != NULL; i++) {
		if (!view_may(a, t, NULL))
			continue;
		sq_buf_printf(body, "%s\n", any ? "," : "");
		sq_view_json_table(body, t);
		any = true;
	}
	sq_buf_printf(body, "\n],\n\"manage\":%s}\n",
	    sq_access_manages(&a->page.caller.access, NULL) ? "true" : "false");
	return any;
}

/* Reads what is asked for; 200, or the status of the answer with what is wrong in 'why'. */
static unsigned
view_read(struct view_ask *a, struct sq_buf *why)
{
	const struct sq_admin_ask *ask = a->page.caller.ask;

	a->backlog = strcmp(ask->path, SQ_BACKLOG_PATH) == 0;
	if (!a->backlog)
		return sq_view_query_read(
		    sq_broker_view(a->page.caller.broker), ask->path, ask->query, &a->query, why);
	a->query.table = &sq_queue_view;
	a->query.limit = 1;
	return sq_backlog_query(ask->query, &a->query.filter, why);
}

/* Whether the caller may see the page that is asked for. */
static bool
view_may_page(struct view_ask *a)
{
	const char *space = a->query.filter.space;

	return a->backlog ? sq_access_may(&a->page.caller.access, SQ_BACKLOG_NAME, false, space)
			  : view_may(a, a->query.table, space);
}

static void
view_known(struct sq_page *p)
{
	struct view_ask *a = SQ_CONTAINER_OF(p, struct view_ask, page);
	struct sq_buf body = {0}, why = {0};
	unsigned status = view_read(a, &why);

	if (status != 200) {
		sq_buf_u8(&why, '\0');
		sq_page_refuse(&a->page, status, (const char *)sq_buf_data(&why));
	} else if (a->query.table == NULL) {
		if (view_list(a, &body))
			sq_page_answer(&a->page, &body);
		else
			sq_page_refuse(&a->page, 403, sq_access_denied(&a->page.caller.access));
	} else if (view_may_page(a)) {
		view_gather(a);
	} else {
		sq_page_refuse(&a->page, 403, sq_access_denied(&a->page.caller.access));
	}
	sq_buf_fini(&body);
	sq_buf_fini(&why);
}

static void
view_fini(struct sq_page *p)
{
	struct view_ask *a = SQ_CONTAINER_OF(p, struct view_ask, page);

	sq_view_query_fini(&a->query);
	sq_view_json_fini(&a->json);
	sq_view_page_fini(&a->rows);
}

struct sq_pages *
sq_view_pages_new(struct sq_callers *callers)
{
	struct sq_view_pages *p = sq_pages_new(sizeof *p,
	    &(struct sq_pages){.admin = {.below = "/v1/", .methods = "GET, HEAD"},
		.callers = callers,
		.page_size = sizeof(struct view_ask),
		.known = view_known,
		.fini = view_fini});

	return &p->pages;
}
