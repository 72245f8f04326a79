/* Spans of messages that are sampled (core/spans.h), in the broker's words: each is a child of what the
 * message's traceparent names.  All of it is asked for only while sq_spans_on().
 * Thread: any. */
#ifndef SQ_BROKER_ENGINE_TRACED_H
#define SQ_BROKER_ENGINE_TRACED_H

#include "broker/engine/item.h"
#include "core/spans.h"

/* Begins the span of a message with this origin (NULL: none), which began at 'began_us' of
 * sq_clock_us() and ends now; the caller completes and records it.  NULL: the message is not sampled,
 * or there is no room. */
struct sq_span *sq_traced_span(
    enum sq_span_what, const unsigned char *image, const struct sq_origin *, uint64_t began_us);
/* Whether spans of the message are recorded; 'out' is its trace. */
bool sq_traced(const unsigned char *image, struct sq_trace *out);
/* The span has failed for 'why', a word or two. */
void sq_traced_fail(struct sq_span *, const char *why);

#endif
