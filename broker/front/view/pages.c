#include "broker/front/view/pages.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "broker/auth/auth.h"
#include "broker/broker.h"
#include "broker/front/view/access.h"
#include "broker/front/view/json.h"
#include "broker/front/view/query.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "web/admin_ask.h"

enum {
	PAGES_MAX = 4,         /* under way */
	JUDGED_MAX = 8,        /* credentials that are judged: anybody may show one */
	REFUSED_LOG_MS = 1000, /* between two lines on refused credentials */
};

struct sq_view_pages {
	struct sq_admin_pages admin;
	struct sq_auth *auth;
	const struct sq_metrics *metrics;
	_Atomic(struct sq_broker *) broker; /* NULL: not there yet */
	atomic_uint running, judged;        /* pages; credentials */
	_Atomic uint64_t quiet_until_ms;
};

/* One request on its way. */
struct view_ask {
	struct sq_view_pages *pages;
	struct sq_broker *broker;
	struct sq_admin_ask *ask;
	struct sq_auth_request auth;
	struct sq_view_access access;
	struct sq_view_query query;
	struct sq_view_page page;
};

/* Takes one of 'most' places; false: there is none. */
static bool
view_take(atomic_uint *taken, unsigned most)
{
	if (atomic_fetch_add(taken, 1) < most)
		return true;
	atomic_fetch_sub(taken, 1);
	return false;
}

/* ---- answers ---- */

static void
view_free(struct view_ask *a)
{
	sq_view_access_fini(&a->access);
	sq_auth_request_fini(&a->auth);
	sq_view_query_fini(&a->query);
	sq_view_page_fini(&a->page);
	free(a);
}

static void
view_refuse(struct view_ask *a, unsigned status, const char *detail)
{
	struct sq_admin_answer answer = {.status = status, .detail = detail};

	if (status == 429 || status == 503)
		answer.retry_after_s = 1;
	sq_admin_answer(a->ask, &answer);
	view_free(a);
}

static void
view_answer(struct view_ask *a, struct sq_buf *body)
{
	struct sq_admin_answer answer = {.status = 200, .body = *body};

	*body = (struct sq_buf){0};
	sq_admin_answer(a->ask, &answer);
	view_free(a);
}

/* ---- pages ---- */

/* The page is complete.  Thread: admin. */
static void
view_write(struct sq_admin_ask *ask, void *arg)
{
	struct view_ask *a = arg;
	struct sq_buf body = {0}, next = {0};

	(void)ask;
	if (a->page.more) {
		sq_view_cursor_put(
		    sq_broker_view(a->broker), a->page.table, &a->page.filter, &a->page.at, &next);
		sq_buf_u8(&next, '\0');
	}
	sq_view_json_page(&body, &a->page.rows, a->query.shown,
	    a->page.more ? (const char *)sq_buf_data(&next) : NULL);
	sq_buf_fini(&next);
	atomic_fetch_sub(&a->pages->running, 1);
	view_answer(a, &body);
}

/* On a worker. */
static void
view_gathered(struct sq_view_page *p)
{
	struct view_ask *a = SQ_CONTAINER_OF(p, struct view_ask, page);

	sq_admin_continue(a->ask, view_write, a);
}

static void
view_gather(struct view_ask *a)
{
	if (!view_take(&a->pages->running, PAGES_MAX)) {
		view_refuse(a, 429, "four pages are under way");
		return;
	}
	a->page.table = a->query.table;
	a->page.filter = a->query.filter;
	a->query.filter = (struct sq_view_filter){0};
	a->page.filter.may = sq_view_access_space;
	a->page.filter.arg = &a->access;
	a->page.limit = a->query.limit;
	a->page.at = a->query.at;
	a->page.done = view_gathered;
	sq_view_ask(sq_broker_view(a->broker), &a->page);
}

/* The list of the tables that the caller may see; false: there is none. */
static bool
view_list(struct view_ask *a, struct sq_buf *body)
{
	const struct sq_view *v = sq_broker_view(a->broker);
	const struct sq_view_table *t;
	bool any = false;

	sq_buf_printf(body, "{\"tables\":[");
	for (size_t i = 0; (t = sq_view_table(v, i)) != NULL; i++) {
		if (!sq_view_access_table(&a->access, t, NULL))
			continue;
		sq_buf_printf(body, "%s\n", any ? "," : "");
		sq_view_json_table(body, t);
		any = true;
	}
	sq_buf_printf(body, "\n]}\n");
	return any;
}

/* The caller may see what 'access' says. */
static void
view_known(struct view_ask *a)
{
	static const char denied[] = "no rule of acl lets this identity operate that";
	struct sq_buf body = {0}, why = {0};
	unsigned status = sq_view_query_read(
	    sq_broker_view(a->broker), a->ask->path, a->ask->query, &a->query, &why);

	if (status != 200) {
		sq_buf_u8(&why, '\0');
		view_refuse(a, status, (const char *)sq_buf_data(&why));
	} else if (a->query.table == NULL) {
		if (view_list(a, &body))
			view_answer(a, &body);
		else
			view_refuse(a, 403, denied);
	} else if (sq_view_access_table(&a->access, a->query.table, a->query.filter.space)) {
		view_gather(a);
	} else {
		view_refuse(a, 403, denied);
	}
	sq_buf_fini(&body);
	sq_buf_fini(&why);
}

/* ---- callers ---- */

/* The operator sees why, the caller does not. */
static void
view_log_refused(struct sq_view_pages *p, const struct sq_auth_request *r, unsigned status)
{
	uint64_t now_ms = sq_clock_ms(), until = atomic_load(&p->quiet_until_ms);
	size_t known = sq_buf_len(&r->known);

	sq_metric_add(p->metrics, SQ_M_AUTH_REFUSED(r->reason), 1);
	if (now_ms < until ||
	    !atomic_compare_exchange_strong(&p->quiet_until_ms, &until, now_ms + REFUSED_LOG_MS))
		return;
	SQ_WARN("auth", "a request for the view refused with %u, %s: %s%s%.*s%s", status,
	    sq_auth_reason_name(r->reason), sq_auth_reason_text(r->reason), known > 0 ? " (" : "",
	    (int)known, known > 0 ? (const char *)sq_buf_data(&r->known) : "",
	    known > 0 ? ")" : "");
}

/* The credential is judged. */
static void
view_judged(struct view_ask *a)
{
	unsigned status = sq_auth_reason_status(a->auth.reason);

	atomic_fetch_sub(&a->pages->judged, 1);
	if (a->auth.reason != SQ_AUTH_NONE) {
		view_log_refused(a->pages, &a->auth, status);
		view_refuse(a, status,
		    status == 401 ? "the token is not good"
				  : "the keys to verify the token with can't be had");
		return;
	}
	a->access.acl = sq_broker_acl(a->broker);
	a->access.who = a->auth.identity;
	view_known(a);
}

/* Thread: one of broker/auth. */
static void
view_auth_done(struct sq_auth_request *r)
{
	view_judged(SQ_CONTAINER_OF(r, struct view_ask, auth));
}

static void
view_asked(void *owner, struct sq_admin_ask *ask)
{
	struct sq_view_pages *p = owner;
	struct view_ask *a = sq_xcalloc(1, sizeof *a);
	const char *why;
	unsigned status;

	a->pages = p;
	a->ask = ask;
	a->broker = atomic_load(&p->broker);
	if (a->broker == NULL) {
		view_refuse(a, 503, "the broker is starting");
		return;
	}
	if (ask->token.len == 0) {
		status = sq_view_access_local(ask, &why);
		if (status == 200)
			view_known(a);
		else
			view_refuse(a, status, why);
		return;
	}
	if (p->auth == NULL || !sq_auth_asks(p->auth)) {
		view_refuse(a, 401, "this broker knows no tokens");
		return;
	}
	if (!view_take(&p->judged, JUDGED_MAX)) {
		view_refuse(a, 503, "other requests' tokens are being verified");
		return;
	}
	a->auth.credential = ask->token;
	a->auth.done = view_auth_done;
	if (sq_auth_ask(p->auth, &a->auth))
		view_judged(a);
}

/* ---- life ---- */

struct sq_view_pages *
sq_view_pages_new(struct sq_auth *auth, const struct sq_metrics *metrics)
{
	struct sq_view_pages *p = sq_xcalloc(1, sizeof *p);

	p->auth = auth;
	p->metrics = metrics;
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
sq_view_pages_serve(struct sq_view_pages *p, struct sq_broker *b)
{
	atomic_store(&p->broker, b);
}

void
sq_view_pages_free(struct sq_view_pages **pp)
{
	free(*pp);
	*pp = NULL;
}
