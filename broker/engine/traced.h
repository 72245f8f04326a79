/* Spans of messages that are sampled (core/spans.h), in the broker's words: each is a child of what the
 * message's traceparent names.  All of it is asked for only of those of which sq_traced_maybe().
 * Thread: any. */
#ifndef SQ_BROKER_ENGINE_TRACED_H
#define SQ_BROKER_ENGINE_TRACED_H

#include "broker/engine/item.h"
#include "core/spans.h"

/* Whether spans of the message may be recorded: they are on, and it is here and has properties, which
 * most have not. */
static inline bool
sq_traced_maybe(const unsigned char *image)
{
	return sq_spans_on() && image != NULL && sq_image_props(image).len > 0;
}

/* Whether spans of the message are recorded; 'out' is its trace.  It is asked before anything else. */
bool sq_traced(const unsigned char *image, struct sq_trace *out);

/* Begins the span of a message with this trace and origin (NULL: none), which began at 'began_us' of
 * sq_clock_us() and ends now; the caller completes and records it.  NULL: there is no room. */
struct sq_span *sq_traced_span(enum sq_span_what, const struct sq_trace *,
    const unsigned char *image, const struct sq_origin *, uint64_t began_us);
/* The span has failed for 'why', a word or two. */
void sq_traced_fail(struct sq_span *, const char *why);

#endif
