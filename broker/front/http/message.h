/* A message of a request that has been read: what the broker's limits say to it.  Pure. */
#ifndef SQ_BROKER_FRONT_HTTP_MESSAGE_H
#define SQ_BROKER_FRONT_HTTP_MESSAGE_H

#include <stdint.h>

#include "broker/front/http/fields.h"
#include "proto/link/limits.h"

struct sq_http_bounds {
	struct sq_limits limits; /* of topics, QoS and features, as clients have them */
	uint32_t max_packet;     /* bytes of a message as an MQTT packet */
};

/* Makes the message of what was read, with one reference.  SQ_EINVAL: see 'fault'. */
int
sq_http_message(const struct sq_http_bounds *, const struct sq_http_fields *, struct sq_bytes topic,
    struct sq_bytes payload, struct sq_msg *out, struct sq_http_fault *fault) SQ_MUST_CHECK;

#endif
