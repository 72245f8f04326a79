/* Spans of sampled messages that a publisher's batch brings: from the moment in which each is
 * admitted until all are committed.  On the worker of the publish. */
#ifndef SQ_BROKER_PUBLISH_TRACED_H
#define SQ_BROKER_PUBLISH_TRACED_H

#include "broker/engine/traced.h"
#include "core/clock.h"
#include "core/spans.h"
#include "proto/link/frame.h"

struct sq_traced_message;

/* Messages of a batch that are admitted and not committed; zeroed at first. */
struct sq_traced_batch {
	struct sq_traced_message *v;
	unsigned n;
};

/* A message is about to be admitted: the time on sq_clock_us(), for sq_traced_admitted(); 0: it has
 * no span. */
static inline uint64_t
sq_traced_begin(const unsigned char *image)
{
	struct sq_trace trace;

	return sq_traced_maybe(image) && sq_traced(image, &trace) ? sq_clock_us() : 0;
}

/* The message is admitted, with this code for its publisher; only of one that has a span.  Returns
 * that, for the caller to name the client in until the next call; NULL: there is no room. */
struct sq_span *sq_traced_admitted(struct sq_traced_batch *, const unsigned char *image,
    const struct sq_origin *, uint8_t code, uint64_t began_us);
/* The batch is committed, or it failed; records the spans and frees them. */
void sq_traced_end(struct sq_traced_batch *, bool committed);

#endif
