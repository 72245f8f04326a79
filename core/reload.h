/* A configuration that is read again while the program runs.
 *
 * Keys that are live (core/config.h) count from then on; who reads again puts them in force.  Others
 * count from the next start on: the names of those that have changed are kept here, for the log,
 * /readyz and metrics.  What is malformed changes nothing. */
#ifndef SQ_CORE_RELOAD_H
#define SQ_CORE_RELOAD_H

#include <pthread.h>
#include <stdbool.h>

#include "core/config.h"
#include "core/reload_metrics.h"

struct sq_reload {
	const char *scope; /* of the log */
	const struct sq_config_key *keys;
	size_t n;
	const struct sq_metrics *metrics;
	size_t first;         /* RELOAD_GOOD's */
	pthread_mutex_t lock; /* of 'waits' */
	struct sq_buf waits;  /* names of keys that wait for a restart */
};

/* After a start with a good configuration.  Both outlive it. */
void sq_reload_init(struct sq_reload *, const char *scope, const struct sq_config_key *keys,
    size_t n, const struct sq_metrics *metrics, size_t first);
void sq_reload_fini(struct sq_reload *);
/* 'now' was read from 'source' and is in force, as far as its keys are live; 'running' is what the
 * program was started with.  Logs the keys that wait for a restart, if these are others than at the
 * last call.  Thread: one. */
void sq_reload_good(struct sq_reload *, const char *source, const void *running, const void *now);
/* What was read is not good, for the reason in 'err': logs that 'what' stays as it was. */
void sq_reload_bad(struct sq_reload *, const char *what, const struct sq_buf *err);
/* Appends a line with the keys that wait for a restart, if there are any.  Thread: any.  Locks: its
 * own. */
void sq_reload_say(struct sq_reload *, struct sq_buf *out);

#endif
