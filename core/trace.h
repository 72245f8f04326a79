/* The trace of a message: W3C Trace Context, version 00 (https://www.w3.org/TR/trace-context/), as a
 * user property of the message, and the draws of new ids.  Pure: randomness comes in as an argument.
 * Spans are in core/spans.h. */
#ifndef SQ_CORE_TRACE_H
#define SQ_CORE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/msg.h"

#define SQ_PROP_TRACEPARENT "traceparent"
#define SQ_PROP_TRACESTATE "tracestate"

enum {
	SQ_TRACE_ID = 16,
	SQ_SPAN_ID = 8,
	SQ_TRACEPARENT_LEN = 55, /* of version 00, without a NUL */
};

/* What a traceparent says: the trace, and the span that is the parent of what follows. */
struct sq_trace {
	unsigned char id[SQ_TRACE_ID];  /* never all zero */
	unsigned char span[SQ_SPAN_ID]; /* never all zero */
	bool sampled;
};

/* Reads a traceparent.  SQ_EINVAL: malformed, an all-zero id, or the version ff.  Of a later version
 * it reads what version 00 has. */
int sq_traceparent_parse(struct sq_bytes text, struct sq_trace *out) SQ_MUST_CHECK;
/* Writes SQ_TRACEPARENT_LEN characters, of version 00, and a NUL. */
void sq_traceparent_format(const struct sq_trace *, char out[SQ_TRACEPARENT_LEN + 1]);
/* Writes the trace's id as 32 characters and a NUL. */
void sq_trace_id_format(const struct sq_trace *, char out[2 * SQ_TRACE_ID + 1]);

enum sq_trace_found {
	SQ_TRACE_NONE, /* no user property has the name traceparent */
	SQ_TRACE_GOOD, /* one has, and it is well-formed */
	SQ_TRACE_BAD,  /* it is malformed, or there is more than one */
};

/* Looks for the traceparent among the user properties of a message; 'out' is set where it is good. */
enum sq_trace_found sq_trace_find(struct sq_bytes props, struct sq_trace *out);

/* Whether the message has a good traceparent, and that is sampled; 'out' is set then.  Cheaper than
 * sq_trace_find() where it is not sampled. */
bool sq_trace_sampled(struct sq_bytes props, struct sq_trace *out);

/* For the end of a line of the log about a message with these properties: " trace_id=" and its trace's
 * id, or "" where it has none. */
enum { SQ_TRACE_WORDS = 48 };
const char *sq_trace_words(struct sq_bytes props, char out[SQ_TRACE_WORDS]);

/* A generator of ids (xoshiro256**), not for secrets. */
struct sq_trace_random {
	uint64_t s[4]; /* not all zero */
};

void sq_trace_seed(struct sq_trace_random *, uint64_t seed);
uint64_t sq_trace_draw(struct sq_trace_random *);

/* The share of new traces that are sampled, from 0 to 1, in the form of sq_trace_new(). */
uint64_t sq_trace_share(double share);
/* Reads a share as it is written in a configuration: a decimal number from 0 to 1.  SQ_EINVAL: it is
 * none. */
int sq_trace_share_parse(const char *text, uint64_t *out) SQ_MUST_CHECK;
/* Whether a new trace is sampled, with the probability of 'share'; 'out' is drawn then, with a span,
 * and the last 56 bits of its id are below the share, so that others who decide by the id agree.
 * Nothing is drawn of one that is not but what decides it. */
bool sq_trace_new(struct sq_trace_random *, uint64_t share, struct sq_trace *out);
/* Draws a trace that is not sampled, with a span, by whose id others decide the same.  'share' is below
 * 1. */
void sq_trace_unsampled(struct sq_trace_random *, uint64_t share, struct sq_trace *out);
/* Draws a span's id. */
void sq_trace_span(struct sq_trace_random *, unsigned char out[SQ_SPAN_ID]);

#endif
