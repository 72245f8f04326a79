/* Traces of what local apps publish (core/trace.h): a message without a traceparent gets one, and one
 * that is sampled gets a span of the publish.  On the loop's thread. */
#ifndef SQ_SIDECAR_MQTT_TRACER_H
#define SQ_SIDECAR_MQTT_TRACER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/trace.h"
#include "proto/link/lane_out.h"

struct sq_tracer;

/* The trace of one publish. */
struct sq_traced {
	struct sq_trace trace;
	uint64_t began_us; /* sq_clock_us() */
	bool any;          /* the message has a trace */
	bool made;         /* it was made here: the trace's span is that of the publish */
};

/* 'share' is the share of new traces that are sampled: see sq_trace_share(). */
struct sq_tracer *sq_tracer_new(uint64_t share);
/* Frees '*tp', if any. */
void sq_tracer_free(struct sq_tracer **tp);

/* Bytes by which a packet may grow. */
enum { SQ_TRACER_ADDS = 80 };

/* Gives 'm' a trace, unless the app did.  'm->props', which has forwarded properties only, may then
 * point into 'props', a buffer of the caller's, empty before.  'room': the message may grow by
 * SQ_TRACER_ADDS; if not, one without a trace stays without, and a malformed one stays as it is. */
void sq_tracer_publish(struct sq_tracer *, struct sq_lane_publish *m, bool room,
    struct sq_buf *props, struct sq_traced *out);
/* The message was taken: its span ends when the client is acknowledged, or now at QoS 0.
 * 'client' is the connection. */
void sq_tracer_taken(struct sq_tracer *, const void *client, const char *client_id,
    const struct sq_lane_publish *, const struct sq_traced *);
/* The publish with this packet identifier has its outcome, which may be of another message. */
void sq_tracer_acked(struct sq_tracer *, const void *client, uint16_t packet_id, uint8_t reason);
/* The connection ends: spans that are open are recorded as they are. */
void sq_tracer_left(struct sq_tracer *, const void *client);

#endif
