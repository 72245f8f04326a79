/* The place of a hold's requests to subscribe among its client's publishes, for the files of this
 * folder. */
#ifndef SQ_SIDECAR_HOLD_ORDER_H
#define SQ_SIDECAR_HOLD_ORDER_H

#include <stdbool.h>
#include <stdint.h>

struct sq_hold;

/* Posts the batches and requests that may be sent now, each in its place. */
void sq_hold_post_in_order(struct sq_hold *, uint64_t now_ms);
/* A new attachment has begun: requests without an answer are sent again, with marks from the first
 * on. */
void sq_hold_order_attached(struct sq_hold *);
/* The client is gone: its requests that were not posted are posted only if its session stays. */
void sq_hold_order_leave(struct sq_hold *);
/* The session has ended: drops all requests. */
void sq_hold_order_end(struct sq_hold *);
/* Whether each request to subscribe has its answer, and each HTTP request its response. */
bool sq_hold_order_flushed(const struct sq_hold *);

#endif
