#include "broker/front/view/pages.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/front/access/callers.h"
#include "broker/front/view/backlog.h"
#include "broker/front/view/json.h"
#include "broker/front/view/query.h"
#include "broker/group/queue_view.h"
#include "core/mem.h"
#include "web/admin_ask.h"

enum {
	PAGES_MAX = 4,     /* under way */
	BACKLOGS_MAX = 16, /* with backlogs, which are short */
};

struct sq_view_pages {
	struct sq_admin_pages admin;
	struct sq_callers *callers;
	atomic_uint running; /* pages */
};

/* One request on its way. */
struct view_ask {
	struct sq_view_pages *pages;
	struct sq_caller caller;
	struct sq_view_query query;
	struct sq_view_page page;
	bool backlog; /* the page is that of one queue's backlog */
};

/* ---- answers ---- */

static void
view_free(struct view_ask *a)
{
	sq_caller_fini(&a->caller);
	sq_view_query_fini(&a->query);
	sq_view_page_fini(&a->page);
	free(a);
}

static void
view_refuse(struct view_ask *a, unsigned status, const char *detail)
{
	sq_caller_refuse(&a->caller, status, detail);
	view_free(a);
}

static void
view_answer(struct view_ask *a, struct sq_buf *body)
{
	struct sq_admin_answer answer = {.status = 200, .body = *body};

	*body = (struct sq_buf){0};
	sq_admin_answer(a->caller.ask, &answer);
	view_free(a);
}

/* ---- pages ---- */

static void
view_page_json(struct view_ask *a, struct sq_buf *body)
{
	struct sq_buf next = {0};

	if (a->page.more) {
		sq_view_cursor_put(sq_broker_view(a->caller.broker), a->page.table, &a->page.filter,
		    &a->page.at, &next);
		sq_buf_u8(&next, '\0');
	}
	sq_view_json_page(body, &a->page.rows, a->query.shown,
	    a->page.more ? (const char *)sq_buf_data(&next) : NULL);
	sq_buf_fini(&next);
}

/* The page is complete.  Thread: admin. */
static void
view_write(struct sq_admin_ask *ask, void *arg)
{
	struct view_ask *a = arg;
	struct sq_buf body = {0};

	(void)ask;
	if (a->backlog)
		sq_backlog_json(&body, &a->page.rows);
	else
		view_page_json(a, &body);
	atomic_fetch_sub(&a->pages->running, 1);
	view_answer(a, &body);
}

/* On a worker. */
static void
view_gathered(struct sq_view_page *p)
{
	struct view_ask *a = SQ_CONTAINER_OF(p, struct view_ask, page);

	sq_admin_continue(a->caller.ask, view_write, a);
}

static void
view_gather(struct view_ask *a)
{
	unsigned most = a->backlog ? BACKLOGS_MAX : PAGES_MAX;

	if (atomic_fetch_add(&a->pages->running, 1) >= most) {
		atomic_fetch_sub(&a->pages->running, 1);
		view_refuse(a, 429, "other pages are under way");
		return;
	}
	a->page.table = a->query.table;
	a->page.filter = a->query.filter;
	a->query.filter = (struct sq_view_filter){0};
	if (!a->backlog) { /* whose space was judged */
		a->page.filter.may = sq_access_space;
		a->page.filter.arg = &a->caller.access;
	}
	a->page.limit = a->query.limit;
	a->page.at = a->query.at;
	a->page.done = view_gathered;
	sq_view_ask(sq_broker_view(a->caller.broker), &a->page);
}

/* Whether the caller may see rows of the table, in 'space' (NULL: in some space). */
static bool
view_may(struct view_ask *a, const struct sq_view_table *t, const char *space)
{
	return sq_access_may(&a->caller.access, t->name, t->whole, space);
}

/* The list of the tables that the caller may see; false: there is none. */
static bool
view_list(struct view_ask *a, struct sq_buf *body)
{
	const struct sq_view *v = sq_broker_view(a->caller.broker);
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
	    sq_access_manages(&a->caller.access, NULL) ? "true" : "false");
	return any;
}

/* Reads what is asked for; 200, or the status of the answer with what is wrong in 'why'. */
static unsigned
view_read(struct view_ask *a, struct sq_buf *why)
{
	const struct sq_admin_ask *ask = a->caller.ask;

	a->backlog = strcmp(ask->path, SQ_BACKLOG_PATH) == 0;
	if (!a->backlog)
		return sq_view_query_read(
		    sq_broker_view(a->caller.broker), ask->path, ask->query, &a->query, why);
	a->query.table = &sq_queue_view;
	a->query.limit = 1;
	return sq_backlog_query(ask->query, &a->query.filter, why);
}

/* Whether the caller may see the page that is asked for. */
static bool
view_may_page(struct view_ask *a)
{
	const char *space = a->query.filter.space;

	return a->backlog ? sq_access_may(&a->caller.access, SQ_BACKLOG_NAME, false, space)
			  : view_may(a, a->query.table, space);
}

/* The caller may see what 'access' says. */
static void
view_known(struct view_ask *a)
{
	struct sq_buf body = {0}, why = {0};
	unsigned status = view_read(a, &why);

	if (status != 200) {
		sq_buf_u8(&why, '\0');
		view_refuse(a, status, (const char *)sq_buf_data(&why));
	} else if (a->query.table == NULL) {
		if (view_list(a, &body))
			view_answer(a, &body);
		else
			view_refuse(a, 403, sq_access_denied(&a->caller.access));
	} else if (view_may_page(a)) {
		view_gather(a);
	} else {
		view_refuse(a, 403, sq_access_denied(&a->caller.access));
	}
	sq_buf_fini(&body);
	sq_buf_fini(&why);
}

static void
view_judged(struct sq_caller *c)
{
	struct view_ask *a = SQ_CONTAINER_OF(c, struct view_ask, caller);

	if (c->status == 200)
		view_known(a);
	else
		view_refuse(a, c->status, c->why);
}

static void
view_asked(void *owner, struct sq_admin_ask *ask)
{
	struct sq_view_pages *p = owner;
	struct view_ask *a = sq_xcalloc(1, sizeof *a);

	a->pages = p;
	a->caller.ask = ask;
	a->caller.judged = view_judged;
	sq_caller_judge(p->callers, &a->caller);
}

/* ---- life ---- */

struct sq_view_pages *
sq_view_pages_new(struct sq_callers *callers)
{
	struct sq_view_pages *p = sq_xcalloc(1, sizeof *p);

	p->callers = callers;
	p->admin = (struct sq_admin_pages){
	    .below = "/v1/", .methods = "GET, HEAD", .asked = view_asked, .owner = p};
	return p;
}

const struct sq_admin_pages *
sq_view_pages_admin(const struct sq_view_pages *p)
{
	return &p->admin;
}

void
sq_view_pages_free(struct sq_view_pages **pp)
{
	free(*pp);
	*pp = NULL;
}
