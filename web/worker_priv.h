/* The life of a worker, for the front that owns them. */
#ifndef SQ_WEB_WORKER_PRIV_H
#define SQ_WEB_WORKER_PRIV_H

#include <h2o.h>

#include "web/worker.h"

enum { SQ_WORKER_TICK_MS = 100 };

struct sq_worker_cfg {
	unsigned index;
	h2o_globalconf_t *conf; /* complete; outlives the worker */
	/* On the worker's thread, about every SQ_WORKER_TICK_MS. */
	void (*tick)(void *owner);
	void (*turned)(void *owner); /* likewise, at the end of each turn; not before 'tick' ran */
	void *owner;
};

/* Starts the thread and returns when its loop can be posted to. */
struct sq_worker *sq_worker_start(const struct sq_worker_cfg *);
/* Ends the loop after its turn and waits for that.  Tasks may still be posted. */
void sq_worker_stop(struct sq_worker *);
/* Runs what was posted since, on the worker's thread, then frees '*wp'.  Such a
 * task posts to its own worker at most.  Connections are closed before. */
void sq_worker_free(struct sq_worker **wp);

/* Its own thread only. */
h2o_context_t *sq_worker_context(struct sq_worker *);
/* When its loop last turned, on sq_clock_ms(); any thread. */
uint64_t sq_worker_turned_ms(const struct sq_worker *);

#endif
