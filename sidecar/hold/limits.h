/* What MQTT says of the limits of local clients: holds->told.limits, of the sidecar's own and the
 * broker's, which come by an attach, the stricter.  Pure. */
#ifndef SQ_SIDECAR_HOLD_LIMITS_H
#define SQ_SIDECAR_HOLD_LIMITS_H

#include "proto/link/limits.h"
#include "proto/mqtt/props.h"
#include "proto/topic/topic.h"

/* Puts what is not available into the properties of a CONNACK (MQTT 5.0 §3.2.2.3). */
void sq_limits_props(const struct sq_limits *, struct sq_mqtt_props *);
/* What a SUBSCRIBE with 'filter', which was parsed into 'f', is refused with; 0: nothing.
 * '*why' then says why. */
uint8_t sq_limits_filter(const struct sq_limits *, struct sq_bytes filter,
    const struct sq_topic_filter *f, const char **why);
/* One line for the log. */
void sq_limits_print(const struct sq_limits *, struct sq_buf *);

#endif
