/* What the injector needs before it is of use, and what it knows of each: the text of
 * /readyz, and a log line when it changes.
 *
 * An item that was once good stays ready while it can't be looked at: an API server that is
 * away calls no webhook, and one that is back shall find us.  It stops being ready only
 * when it is seen to be wrong. */
#ifndef SQ_K8S_INJECTOR_STATE_H
#define SQ_K8S_INJECTOR_STATE_H

#include <pthread.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

enum sq_state_item {
	SQ_STATE_SETTINGS,
	SQ_STATE_CA,
	SQ_STATE_BROKER,
	SQ_STATE_SERVING,
	SQ_STATE_MUTATING,
	SQ_STATE_VALIDATING,
	SQ_STATE_ITEMS,
};

/* All functions.  Thread: any.  Locks: 'lock'. */
struct sq_state {
	pthread_mutex_t lock;
	struct {
		bool needed, ready;
		char *problem; /* or NULL */
	} items[SQ_STATE_ITEMS];
};

void sq_state_init(struct sq_state *);
void sq_state_fini(struct sq_state *);
/* The item counts; until it is good it is not ready. */
void sq_state_need(struct sq_state *, enum sq_state_item);
void sq_state_good(struct sq_state *, enum sq_state_item);
/* It can't be told, or not be done: a problem, and ready if it was. */
void sq_state_troubled(struct sq_state *, enum sq_state_item, const char *fmt, ...) SQ_PRINTF(3, 4);
/* It is seen to be wrong. */
void sq_state_wrong(struct sq_state *, enum sq_state_item, const char *fmt, ...) SQ_PRINTF(3, 4);
/* Whether all that count are ready; appends a line for each problem, also when so. */
bool sq_state_ready(struct sq_state *, struct sq_buf *why);

#endif
