#include "broker/front/access/callers.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "broker/broker.h"
#include "broker/front/access/onward.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "web/admin_ask.h"

enum {
	JUDGED_MAX = 8,        /* credentials that are judged: anybody may show one */
	REFUSED_LOG_MS = 1000, /* between two lines on refused credentials */
};

struct sq_callers {
	struct sq_auth *auth;
	struct sq_onward *onward;
	const struct sq_metrics *metrics;
	_Atomic(struct sq_broker *) broker; /* NULL: not there yet */
	atomic_uint judged;                 /* credentials */
	_Atomic uint64_t quiet_until_ms;
};

static void
caller_end(struct sq_caller *c, unsigned status, const char *why)
{
	c->status = status;
	c->why = why;
	c->judged(c);
}

/* The operator sees why, the caller does not. */
static void
caller_log_refused(struct sq_callers *p, const struct sq_auth_request *r, unsigned status)
{
	uint64_t now_ms = sq_clock_ms(), until = atomic_load(&p->quiet_until_ms);
	size_t known = sq_buf_len(&r->known);

	sq_metric_add(p->metrics, SQ_M_AUTH_REFUSED(r->reason), 1);
	if (now_ms < until ||
	    !atomic_compare_exchange_strong(&p->quiet_until_ms, &until, now_ms + REFUSED_LOG_MS))
		return;
	SQ_WARN("auth", "a request at the admin endpoint refused with %u, %s: %s%s%.*s%s", status,
	    sq_auth_reason_name(r->reason), sq_auth_reason_text(r->reason), known > 0 ? " (" : "",
	    (int)known, known > 0 ? (const char *)sq_buf_data(&r->known) : "",
	    known > 0 ? ")" : "");
}

/* The credential is judged. */
static void
caller_judged(struct sq_caller *c)
{
	unsigned status = sq_auth_reason_status(c->auth.reason);

	atomic_fetch_sub(&c->of->judged, 1);
	if (c->auth.reason != SQ_AUTH_NONE) {
		caller_log_refused(c->of, &c->auth, status);
		caller_end(c, status,
		    status == 401 ? "the token is not good"
				  : "the keys to verify the token with can't be had");
		return;
	}
	c->access.acl = sq_broker_acl(c->broker);
	c->access.who = c->auth.identity;
	caller_end(c, 200, NULL);
}

/* Thread: one of broker/auth. */
static void
caller_auth_done(struct sq_auth_request *r)
{
	caller_judged(SQ_CONTAINER_OF(r, struct sq_caller, auth));
}

/* Takes one of the places; false: there is none. */
static bool
callers_take(struct sq_callers *p)
{
	if (atomic_fetch_add(&p->judged, 1) < JUDGED_MAX)
		return true;
	atomic_fetch_sub(&p->judged, 1);
	return false;
}

bool
sq_callers_pass_on(struct sq_callers *p, struct sq_admin_ask *ask)
{
	if (p->onward == NULL || atomic_load(&p->broker) != NULL)
		return false;
	sq_onward_take(p->onward, ask);
	return true;
}

void
sq_caller_judge(struct sq_callers *p, struct sq_caller *c)
{
	const char *why = NULL;

	c->of = p;
	c->broker = atomic_load(&p->broker);
	if (c->broker == NULL) {
		caller_end(c, 503, "the broker is starting");
	} else if (c->ask->token.len == 0) {
		unsigned status = sq_access_local(c->ask, &why);

		caller_end(c, status, why);
	} else if (p->auth == NULL || !sq_auth_asks(p->auth)) {
		caller_end(c, 401, "this broker knows no tokens");
	} else if (!callers_take(p)) {
		caller_end(c, 503, "other requests' tokens are being verified");
	} else {
		c->auth.credential = c->ask->token;
		c->auth.done = caller_auth_done;
		if (sq_auth_ask(p->auth, &c->auth))
			caller_judged(c);
	}
}

void
sq_caller_fini(struct sq_caller *c)
{
	sq_access_fini(&c->access);
	sq_auth_request_fini(&c->auth);
}

struct sq_callers *
sq_callers_new(struct sq_auth *auth, struct sq_onward *onward, const struct sq_metrics *metrics)
{
	struct sq_callers *p = sq_xcalloc(1, sizeof *p);

	p->auth = auth;
	p->onward = onward;
	p->metrics = metrics;
	return p;
}

void
sq_callers_serve(struct sq_callers *p, struct sq_broker *b)
{
	atomic_store(&p->broker, b);
}

void
sq_callers_free(struct sq_callers **pp)
{
	free(*pp);
	*pp = NULL;
}
