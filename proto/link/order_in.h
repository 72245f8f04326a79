/* The broker's end of the order of a connection: admits Subscriptions and batches (docs/link.md,
 * "Order of a connection").
 *
 * Pure.  Marks count from 1 in each attachment.  A mark is admitted after everything given out
 * before it is admitted: accepted, refused, or waiting for its commit. */
#ifndef SQ_PROTO_LINK_ORDER_IN_H
#define SQ_PROTO_LINK_ORDER_IN_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/link/subs.h"

struct sq_order_in {
	uint32_t mark;     /* the last one admitted */
	uint32_t answered; /* the last one whose answer was written */
};

enum sq_order_verdict {
	SQ_ORDER_ADMIT,    /* it is the next one */
	SQ_ORDER_EARLY,    /* an earlier request or message is missing: park it or answer 409 gap */
	SQ_ORDER_KNOWN,    /* admitted before: answer when the frame was written */
	SQ_ORDER_ANSWERED, /* the frame was written */
};

/* The verdict on a Subscriptions with a mark; 'last' has the lanes' last admitted numbers.  Changes
 * nothing. */
enum sq_order_verdict sq_order_in_offer(
    const struct sq_order_in *, const struct sq_subs_head *, const uint64_t last[SQ_LANES]);

/* Whether marks allow a batch to be admitted. */
static inline bool
sq_order_in_batch(const struct sq_order_in *o, uint32_t mark)
{
	return mark <= o->mark;
}

#endif
