/* Traces of what local apps publish (core/trace.h).  Of the messages without a traceparent those that
 * are sampled get one, and the others, unless all are to have one, pass as they are: a message without
 * one is not sampled, for all who see it later.  One that is sampled gets a span of the publish.  On
 * the loop's thread. */
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
	uint64_t began_us; /* sq_clock_us(); 0: it has no span */
	bool made;         /* the trace was made here: its span is that of the publish */
};

/* 'share' is the share of new traces that are sampled: see sq_trace_share().  'all': the others get a
 * traceparent, too, which says that they are not. */
struct sq_tracer *sq_tracer_new(uint64_t share, bool all);
/* Frees '*tp', if any. */
void sq_tracer_free(struct sq_tracer **tp);

/* Bytes by which a packet may grow. */
enum { SQ_TRACER_ADDS = 80 };

/* Gives 'm' a trace, if it is sampled, or all are to have one, and the app did not; a malformed one is taken away.
 * 'm->props', which has forwarded properties only, may then point into 'props', a buffer of the
 * caller's, empty before.  'room': the message may grow by SQ_TRACER_ADDS; if not, one without a
 * trace stays without.  False: the message is as it was, it has no span, and 'out' is not set, as is
 * so for most. */
bool sq_tracer_publish(struct sq_tracer *, struct sq_lane_publish *m, bool room,
    struct sq_buf *props, struct sq_traced *out);
/* The message of which sq_tracer_publish() said true was taken: its span ends when the client is
 * acknowledged, or now at QoS 0.  'client' is the connection. */
void sq_tracer_taken(struct sq_tracer *, const void *client, const char *client_id,
    const struct sq_lane_publish *, const struct sq_traced *);
/* The publish with this packet identifier has its outcome, which may be of another message. */
void sq_tracer_acked(struct sq_tracer *, const void *client, uint16_t packet_id, uint8_t reason);
/* The connection ends: spans that are open are recorded as they are. */
void sq_tracer_left(struct sq_tracer *, const void *client);

#endif
