/* Requests of a hold, for hold/ and for who sends batches by it (struct sq_hold_source). */
#ifndef SQ_SIDECAR_HOLD_POST_H
#define SQ_SIDECAR_HOLD_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/list.h"
#include "net/pool.h"

struct sq_hold;

/* The head of each request; the rest is its maker's. */
struct sq_hold_post {
	struct sq_request req;
	struct sq_list all; /* the table's */
	struct sq_hold *hold;
	struct sq_uplink *link; /* dead when the answer has status 0 */
	uint32_t attach_seq;    /* which attachment it was made under */
};

/* A zeroed request of 'size' bytes that starts with a struct sq_hold_post, with a path of its own;
 * 'what' is NULL for the PUT. */
void *sq_hold_post_new(struct sq_hold *, size_t size, const char *what);
/* Sends it; its 'done' ends with sq_hold_post_free(). */
void sq_hold_post_send(struct sq_hold_post *, struct sq_uplink *);
/* It has been answered: frees it and lets go of its hold. */
void sq_hold_post_free(struct sq_hold_post *);
/* What an answer other than 2xx means for the attachment; true: the request may be sent again under
 * it. */
bool sq_hold_refused(struct sq_hold *, const struct sq_hold_post *, const struct sq_answer *);

/* Has the turn of the hold come at the end of this one. */
void sq_hold_wake(struct sq_hold *);
/* Attaches again, after a wait if that failed before; 'least_ms' is the broker's wish. */
void sq_hold_again(struct sq_hold *, unsigned least_ms);
/* Ends the hold, which goes when its last request is answered. */
void sq_hold_end(struct sq_hold *);

/* --- for sources --- */

/* The link that it is attached over. */
struct sq_uplink *sq_hold_link(const struct sq_hold *);
bool sq_hold_ended(const struct sq_hold *);
/* A broker took the request, so that the next attach need not wait. */
void sq_hold_post_good(const struct sq_hold_post *);
/* The attachment that the request was made under, if it is still there, is of no use: attaches
 * again. */
void sq_hold_post_again(const struct sq_hold_post *);
/* The number of the last entry of lane 1 with an outcome, as the detach says it. */
void sq_hold_set_last(struct sq_hold *, uint64_t last);
/* Has post() called again at 'due_ms'; 0: when something happens. */
void sq_hold_retry_at(struct sq_hold *, uint64_t due_ms);

#endif
