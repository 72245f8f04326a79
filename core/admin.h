/* The admin endpoint: /livez, /readyz and /metrics over HTTP/1.1 and HTTP/2.
 *
 * Runs on a small thread of its own (h2o's evloop), so it answers while a loop
 * is busy.  What it shows is read through the callbacks, which must be safe
 * from that thread and wait for no loop: a lock that they take is never held while
 * a loop works.
 *
 * Who asks is a stranger: a connection ends behind its answer, or after 2 s, and of 16 the
 * oldest goes when one more comes. */
#ifndef SQ_CORE_ADMIN_H
#define SQ_CORE_ADMIN_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/metrics.h"

/* The setting that has its address, as errors name it. */
#define SQ_ADMIN_KEY "admin.listen"

struct sq_admin;

struct sq_admin_cfg {
	const char *listen; /* ":9090", "localhost:9090"; see sq_listen_open() */
	const struct sq_metrics *metrics;
	/* Called before the metrics are written, to set gauges; may be NULL. */
	void (*refresh)(void *owner);
	/* Appends lines of metrics that are in no table; may be NULL. */
	void (*more)(void *owner, struct sq_buf *out);
	/* True when ready; else appends why, one line per reason.  What it appends
	 * when ready is shown behind "ok". */
	bool (*ready)(void *owner, struct sq_buf *why);
	/* True while the program's loops turn; else appends why. */
	bool (*live)(void *owner, struct sq_buf *why);
	void *owner;
};

/* Starts the endpoint.  On error returns NULL with a line in 'err'. */
struct sq_admin *sq_admin_start(const struct sq_admin_cfg *, struct sq_buf *err);
/* The port it listens on. */
unsigned sq_admin_port(const struct sq_admin *);
/* Stops the thread and frees '*adminp', if any. */
void sq_admin_stop(struct sq_admin **adminp);

#endif
