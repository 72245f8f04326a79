/* Callers of the admin endpoint: finds out who sent a request, for each folder that answers some.
 *
 *   request -> sq_caller_judge() -> loopback, or broker/auth ~~> judged()
 *
 * Nothing here blocks: a credential may be judged by another thread. */
#ifndef SQ_BROKER_FRONT_ACCESS_CALLERS_H
#define SQ_BROKER_FRONT_ACCESS_CALLERS_H

#include "broker/auth/auth.h"
#include "broker/front/access/access.h"
#include "core/metrics.h"

struct sq_broker;
struct sq_callers;
struct sq_onward;

/* The sender of a request, a part of what the folder keeps of it; zeroed but for these two. */
struct sq_caller {
	struct sq_admin_ask *ask;
	/* The caller is known: 'status' is 200, or that of the answer, with 'why', which is static.
	 * Thread: admin, or one of broker/auth; possibly before sq_caller_judge() returns. */
	void (*judged)(struct sq_caller *);

	unsigned status;
	const char *why;
	struct sq_broker *broker; /* of a good one */
	struct sq_access access;  /* the same */

	/* The judge's. */
	struct sq_callers *of;
	struct sq_auth_request auth;
};

/* 'auth' outlives the object; NULL: there are no credentials.  'onward', which outlives it too, has requests
 * answered until there is a broker; NULL: they are refused with 503. */
struct sq_callers *
sq_callers_new(struct sq_auth *auth, struct sq_onward *onward, const struct sq_metrics *);
/* Has the requests be of this broker from now on.  The broker lives until the endpoint has stopped.
 * Thread: any. */
void sq_callers_serve(struct sq_callers *, struct sq_broker *);
/* Frees the object, after the endpoint has stopped; nulls the pointer, which may be NULL. */
void sq_callers_free(struct sq_callers **);

/* Whether another broker is to answer the ask, and has got it.  Thread: admin. */
bool sq_callers_pass_on(struct sq_callers *, struct sq_admin_ask *);
/* Finds out who the caller is; 'judged' is called once.  Thread: admin. */
void sq_caller_judge(struct sq_callers *, struct sq_caller *);
void sq_caller_fini(struct sq_caller *);

#endif
