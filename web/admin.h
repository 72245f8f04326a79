/* The admin endpoint: /livez, /readyz and /metrics over HTTP/1.1 and HTTP/2, and pages of the
 * program (web/admin_ask.h).
 *
 * The endpoint has a small thread of its own (h2o's evloop), so it answers while a loop is
 * busy.  The callbacks run on that thread and wait for no loop: a lock which they take is never
 * held while a loop works.
 *
 * The caller may be a stranger: a connection ends behind its answer, or after 2 s; when a 17th
 * comes, the oldest goes. */
#ifndef SQ_WEB_ADMIN_H
#define SQ_WEB_ADMIN_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/metrics.h"

/* The setting of the address; error lines name it. */
#define SQ_ADMIN_KEY "admin.listen"

struct sq_admin;
struct sq_admin_pages;

struct sq_admin_cfg {
	const char *listen; /* ":9090", "localhost:9090"; see sq_listen_open() */
	const struct sq_metrics *metrics;
	/* Sets gauges before the metrics are written; NULL: there are none to set. */
	void (*refresh)(void *owner);
	/* Appends lines of metrics that are in no table; NULL: there are none. */
	void (*more)(void *owner, struct sq_buf *out);
	/* True when the program is ready; text that is appended then stands behind "ok".
	 * False: appends the reasons, a line for each. */
	bool (*ready)(void *owner, struct sq_buf *why);
	/* True while the program's loops turn.  False: appends the reason. */
	bool (*live)(void *owner, struct sq_buf *why);
	/* Paths that the program answers itself, a NULL behind the last; NULL: none.  List and
	 * pages outlive the endpoint. */
	const struct sq_admin_pages *const *pages;
	void *owner;
};

/* Starts the endpoint.  On error returns NULL with a line in 'err'. */
struct sq_admin *sq_admin_start(const struct sq_admin_cfg *, struct sq_buf *err);
/* The port on which the endpoint listens. */
unsigned sq_admin_port(const struct sq_admin *);
/* Stops the thread and frees '*adminp', if any.  Waits until each ask is answered. */
void sq_admin_stop(struct sq_admin **adminp);

#endif
