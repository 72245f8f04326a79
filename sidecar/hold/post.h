/* Requests of a hold, for the files of this folder and for a source of batches (struct
 * sq_hold_source).  All on the loop's thread. */
#ifndef SQ_SIDECAR_HOLD_POST_H
#define SQ_SIDECAR_HOLD_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/list.h"
#include "net/pool.h"

struct sq_hold;

/* The head of each request; its maker appends members of its own. */
struct sq_hold_post {
	struct sq_request req; /* its link is not to be used when the answer has status 0 */
	struct sq_list all;    /* the table's */
	struct sq_hold *hold;
	uint32_t attach_seq; /* number of the attachment that it belongs to */
};

/* Makes a zeroed request of 'size' bytes that starts with a struct sq_hold_post.  'what' is the
 * last part of its path; NULL: the PUT. */
void *sq_hold_post_new(struct sq_hold *, size_t size, const char *what);
/* Sends the request; its 'done' ends with sq_hold_post_free(). */
void sq_hold_post_send(struct sq_hold_post *, struct sq_uplink *);
/* Frees a request that has been answered, and its reference to the hold. */
void sq_hold_post_free(struct sq_hold_post *);
/* Acts on an answer other than 2xx for the attachment.  True: the request may be sent again under
 * it. */
bool sq_hold_refused(struct sq_hold *, const struct sq_hold_post *, const struct sq_answer *);

/* Schedules the hold's turn for the end of the present one. */
void sq_hold_wake(struct sq_hold *);
/* Attaches again, after a backoff if attaches have failed.  'least_ms': the wait that the broker
 * asked for. */
void sq_hold_again(struct sq_hold *, unsigned least_ms);
/* Ends the hold, which is freed when its last request is answered. */
void sq_hold_end(struct sq_hold *);

/* --- for sources --- */

/* The link of the attachment; NULL: the hold is not attached. */
struct sq_uplink *sq_hold_link(const struct sq_hold *);
bool sq_hold_ended(const struct sq_hold *);
/* A broker has accepted the request: the next attach begins without a backoff. */
void sq_hold_post_good(const struct sq_hold_post *);
/* Whether the attachment of the request still exists. */
bool sq_hold_post_holds(const struct sq_hold_post *);
/* Attaches again, if the attachment of the request still exists. */
void sq_hold_post_again(const struct sq_hold_post *);
/* Sets the number that the detach sends: of the last entry of lane 1 with an outcome. */
void sq_hold_set_last(struct sq_hold *, uint64_t last);
/* Has the source's post() called at 'due_ms'; 0: at the next event only. */
void sq_hold_retry_at(struct sq_hold *, uint64_t due_ms);

#endif
