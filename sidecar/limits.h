/* What local clients may do: the sidecar's own limits and switches, and what MQTT says of
 * them.  Pure.  The broker's come by an attach; hub->limits has of both the stricter. */
#ifndef SQ_SIDECAR_LIMITS_H
#define SQ_SIDECAR_LIMITS_H

#include "proto/link/limits.h"
#include "proto/mqtt/props.h"
#include "proto/topic/topic.h"
#include "sidecar/config.h"

struct sq_limits sq_limits_own(const struct sq_sidecar_cfg *);
/* Puts what is not available into the properties of a CONNACK (MQTT 5.0 §3.2.2.3). */
void sq_limits_props(const struct sq_limits *, struct sq_mqtt_props *);
/* What a SUBSCRIBE with 'filter', which was parsed into 'f', is refused with; 0: nothing.
 * '*why' then says why. */
uint8_t sq_limits_filter(const struct sq_limits *, struct sq_bytes filter,
    const struct sq_topic_filter *f, const char **why);
/* One line for the log. */
void sq_limits_print(const struct sq_limits *, struct sq_buf *);

#endif
