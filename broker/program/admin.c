/* What the admin endpoint says of the program, and whose pages are there. */
#include "broker/program/main_priv.h"

#include "broker/auth/auth.h"
#include "broker/broker.h"
#include "broker/engine/engine.h"
#include "broker/front/access/onward.h"
#include "broker/front/access/pages.h"
#include "broker/front/console/pages.h"
#include "broker/front/deeds/pages.h"
#include "broker/front/http/front.h"
#include "broker/front/tap/tap.h"
#include "broker/front/view/pages.h"
#include "broker/metrics/metrics.h"
#include "broker/program/shared.h"
#include "web/admin.h"
#include "web/crew.h"

enum { LIVE_MS = 5000 }; /* a loop that has not turned for so long is stuck */

/* Problems that leave the program in service, and need attention. */
static void
main_notes(struct sq_main *p, struct sq_buf *why)
{
	int64_t bad = sq_metric_get(&sq_broker_metrics, SQ_M_AUTH_BAD_FILES);

	if (bad > 0)
		sq_buf_printf(why,
		    "auth: %lld file%s; the last good content stays, the log says why\n",
		    (long long)bad,
		    bad > 1 ? "s can't be taken as they are" : " can't be taken as it is");
	if (sq_metric_get(&sq_broker_metrics, SQ_M_CLIENT_CRL_ENDS) < 0)
		sq_buf_printf(why, "auth.client-crl-file: a list has ended\n");
	if (sq_metric_get(&sq_broker_metrics, SQ_M_ACL_STALE) > 0)
		sq_buf_printf(why,
		    "configuration: the file can't be taken as it is; what was read last "
		    "stays, rules of acl too, the log says why\n");
	sq_reload_say(&p->reload, why);
}

/* One that serves.  A log of several brokers that takes nothing leaves it ready: another would fare no
 * better. */
static bool
main_serves(struct sq_main *p, struct sq_buf *why)
{
	bool healthy = sq_broker_healthy(p->broker, why);

	return healthy || (p->shared != NULL && p->engine->ops->stalled(p->engine));
}

/* One that owns the log, and does not serve what is in it yet. */
static bool
main_loads(const struct sq_main *p, struct sq_buf *why)
{
	if (!sq_main_shared_owns(p->shared))
		return false;
	sq_buf_printf(why, "its sessions are being loaded\n");
	return true;
}

bool
sq_main_ready(struct sq_main *p, struct sq_buf *why)
{
	bool ready;

	if (!p->listening && p->shared == NULL)
		sq_buf_printf(why, "not listening yet\n");
	if (p->end)
		sq_buf_printf(why, "draining\n");
	main_notes(p, why);
	/* One that leaves a new log to another has nothing open yet, and no keys for credentials. */
	if (p->shared != NULL && sq_main_shared_waits(p->shared))
		return sq_main_shared_ready(p->shared, why) && !p->end;
	ready = sq_auth_ready(p->auth, why);
	if (p->shared != NULL)
		ready &= sq_main_shared_ready(p->shared, why);
	if (p->listening)
		ready = ready && main_serves(p, why);
	else
		ready &= p->shared != NULL && !main_loads(p, why);
	return ready && !p->end;
}

static void
main_more_metrics(void *owner, struct sq_buf *out)
{
	const struct sq_main *p = owner;

	if (p->listening)
		sq_broker_write_queues(p->broker, out);
	if (p->shared != NULL)
		sq_main_shared_metrics(p->shared, out);
	if (p->services[SQ_MAIN_HTTP] != NULL)
		sq_http_front_metrics(p->services[SQ_MAIN_HTTP], out);
}

bool
sq_main_live(const struct sq_main *p, struct sq_buf *why)
{
	return sq_crew_live(p->crew, LIVE_MS, why);
}

static bool
main_ready(void *owner, struct sq_buf *why)
{
	return sq_main_ready(owner, why);
}

static bool
main_live(void *owner, struct sq_buf *why)
{
	return sq_main_live(owner, why);
}

bool
sq_main_start_admin(struct sq_main *p, struct sq_buf *err)
{
	const struct sq_admin_cfg cfg = {.listen = p->config->admin_listen,
	    .metrics = &sq_broker_metrics,
	    .more = main_more_metrics,
	    .ready = main_ready,
	    .live = main_live,
	    .pages = p->admin.list,
	    .owner = p};
	unsigned n = 0;

	if (!sq_config_is_set(p->config->admin_listen))
		return true;
	if (p->shared != NULL)
		p->admin.onward = sq_onward_new(sq_main_shared_place(p->shared));
	p->admin.callers = sq_callers_new(p->auth, p->admin.onward, &sq_broker_metrics);
	p->admin.pages[0] = sq_view_pages_new(p->admin.callers);
	p->admin.pages[1] = sq_tap_pages_new(p->admin.callers);
	p->admin.pages[2] = sq_deed_pages_new(p->admin.callers, &p->redrives);
	for (; n < SQ_MAIN_PAGES; n++)
		p->admin.list[n] = &p->admin.pages[n]->admin;
	if (p->config->console)
		p->admin.list[n] = &sq_console_pages;
	p->admin.server = sq_admin_start(&cfg, err);
	return p->admin.server != NULL;
}

void
sq_main_stop_admin(struct sq_main *p)
{
	sq_admin_stop(&p->admin.server); /* waits for pages, and these for credentials */
	for (unsigned i = 0; i < SQ_MAIN_PAGES; i++)
		sq_pages_free(&p->admin.pages[i]);
	sq_callers_free(&p->admin.callers);
	sq_onward_free(&p->admin.onward);
}
