/* Spans of sampled messages, on their way from the threads that record them to one that exports them.
 *
 * Each thread has a ring of a fixed size, made when the thread records its first span: one writer,
 * one reader, no lock, and what does not fit is dropped and counted.  Nothing here knows an exporter.
 * While sq_spans_on() is false nothing is recorded, and the cost is that of the question. */
#ifndef SQ_CORE_SPANS_H
#define SQ_CORE_SPANS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/trace.h"

/* X(symbol, name).  The name is the span's operation; telemetry/ says what it is to OpenTelemetry. */
#define SQ_SPANS(X) \
	X(PUBLISH, "publish")         /* sidecar: PUBLISH read to acknowledged */ \
	X(RECEIVE, "receive")         /* broker: admitted to committed */ \
	X(QUEUE, "queue")             /* broker: put into a queue to handed out */ \
	X(DELIVER, "deliver")         /* broker: first sent to settled */ \
	X(ATTEMPT, "attempt")         /* broker: sent again to settled */ \
	X(DEAD_LETTER, "dead-letter") /* broker: the moment in which a letter was made */

#define SQ_SPAN_ENUM(sym, name) SQ_SPAN_##sym,
enum sq_span_what { SQ_SPANS(SQ_SPAN_ENUM) SQ_SPAN_WHATS };

enum {
	SQ_SPAN_TOPIC_MAX = 160, /* bytes that are kept of texts, with a NUL */
	SQ_SPAN_CLIENT_MAX = 64,
	SQ_SPAN_QUEUE_MAX = 96,
	SQ_SPAN_NOTE_MAX = 24,
};

struct sq_span {
	unsigned char trace[SQ_TRACE_ID], id[SQ_SPAN_ID];
	unsigned char parent[SQ_SPAN_ID]; /* all zero: none */
	uint64_t start_us, end_us;        /* since 1970 */
	uint64_t origin[3];               /* who published it, run and number; zero: not known */
	uint32_t body_bytes;
	uint16_t attempt; /* returns before this one */
	uint8_t what;     /* enum sq_span_what */
	uint8_t qos;
	uint8_t reason; /* MQTT 5 reason code; from 0x80 on the span has failed */
	bool failed;    /* it has failed for 'note' */
	char note[SQ_SPAN_NOTE_MAX];
	char topic[SQ_SPAN_TOPIC_MAX];
	char client[SQ_SPAN_CLIENT_MAX];
	char queue[SQ_SPAN_QUEUE_MAX];
};

extern atomic_bool sq_spans_are_on;

/* Whether spans are recorded.  Thread: any. */
static inline bool
sq_spans_on(void)
{
	return atomic_load_explicit(&sq_spans_are_on, memory_order_relaxed);
}

/* Has each thread record up to 'per_thread' spans, a power of two, that are not taken yet.  Thread:
 * one, before others record. */
void sq_spans_start(size_t per_thread);
/* Frees all rings, with what is in them.  No thread records any more. */
void sq_spans_stop(void);

/* Begins to record a span of 'trace' that began at 'began_us' of sq_clock_us() and ends now; its
 * parent is the trace's span and its id is drawn.  The caller completes it, then calls
 * sq_span_record().  NULL: the ring is full or the span is not sampled.  Thread: any. */
struct sq_span *sq_span_new(enum sq_span_what, const struct sq_trace *, uint64_t began_us);
/* Copies a text, cut at a character where it is too long. */
void sq_span_text(char *out, size_t max, struct sq_bytes text);
/* What the span has of the message itself: topic, size, QoS. */
void sq_span_message(struct sq_span *, struct sq_bytes topic, size_t body_bytes, unsigned qos);
/* Gives the span of the last sq_span_new() to the reader.  Thread: that of sq_span_new(). */
void sq_span_record(struct sq_span *);

/* Counts a span that is dropped by who would have recorded it.  Thread: any. */
void sq_span_drop(void);

/* Takes up to 'max' spans out of the rings.  Thread: one, the reader. */
size_t sq_spans_take(struct sq_span *out, size_t max);
/* Counts of spans that were recorded, and that were dropped: their ring was full, or
 * sq_span_drop().  Thread: any. */
uint64_t sq_spans_recorded(void);
uint64_t sq_spans_dropped(void);

#endif
