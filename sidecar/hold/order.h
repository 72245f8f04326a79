/* The place of a session's requests to subscribe among what its client publishes
 * (order.c), for this folder's files. */
#ifndef SQ_SIDECAR_HOLD_ORDER_H
#define SQ_SIDECAR_HOLD_ORDER_H

#include <stdbool.h>
#include <stdint.h>

struct sq_hold;

/* Posts what is due of both, each in its place. */
void sq_hold_post_in_order(struct sq_hold *, uint64_t now_ms);
/* There is a new attachment: what has no answer is asked again, counted from its first. */
void sq_hold_order_attached(struct sq_hold *);
/* The client is gone: what it asked for and was not posted yet is posted only where its
 * session stays. */
void sq_hold_order_leave(struct sq_hold *);
/* The session is over: nothing is asked any more. */
void sq_hold_order_end(struct sq_hold *);
/* Everything that was asked has its answer, and every request its response. */
bool sq_hold_order_flushed(const struct sq_hold *);

#endif
