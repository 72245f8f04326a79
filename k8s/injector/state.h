/* The state of all that the injector needs: the text of /readyz, and a log line when it changes.
 *
 * An item that was once good stays ready while it cannot be checked: an API server that is away calls
 * no webhook, and when it is back, it must find the injector.  An item stops being ready only when it
 * is found wrong. */
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
/* Makes the item count; it is not ready until it is good. */
void sq_state_need(struct sq_state *, enum sq_state_item);
void sq_state_good(struct sq_state *, enum sq_state_item);
/* Sets a problem: the item could not be checked, or not be repaired.  It stays ready if it was. */
void sq_state_troubled(struct sq_state *, enum sq_state_item, const char *fmt, ...) SQ_PRINTF(3, 4);
/* Sets a problem: the item is wrong, and not ready. */
void sq_state_wrong(struct sq_state *, enum sq_state_item, const char *fmt, ...) SQ_PRINTF(3, 4);
/* Whether all items that count are ready; appends a line for each problem in any case. */
bool sq_state_ready(struct sq_state *, struct sq_buf *why);

#endif
