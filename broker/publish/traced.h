/* Spans of sampled messages that a publisher's batch brings: from the moment in which each is
 * admitted until all are committed.  Asked only while sq_spans_on().  On the worker of the publish. */
#ifndef SQ_BROKER_PUBLISH_TRACED_H
#define SQ_BROKER_PUBLISH_TRACED_H

#include "core/spans.h"
#include "proto/link/frame.h"

struct sq_traced_message;

/* Messages of a batch that are admitted and not committed; zeroed at first. */
struct sq_traced_batch {
	struct sq_traced_message *v;
	unsigned n;
};

/* A message is admitted, with this code for its publisher; that began at 'began_us' of
 * sq_clock_us().  Returns its span, for the caller to name the client in until the next call; NULL:
 * it is not sampled, or there is no room. */
struct sq_span *sq_traced_admitted(struct sq_traced_batch *, const unsigned char *image,
    const struct sq_origin *, uint8_t code, uint64_t began_us);
/* The batch is committed, or it failed; records the spans and frees them. */
void sq_traced_end(struct sq_traced_batch *, bool committed);

#endif
