/* Limits in the terms of MQTT: the effective limits of local clients are in holds->told.limits, the
 * stricter of the sidecar's and the broker's, which comes by an attach.  Pure. */
#ifndef SQ_SIDECAR_HOLD_LIMITS_H
#define SQ_SIDECAR_HOLD_LIMITS_H

#include "proto/link/limits.h"
#include "proto/mqtt/props.h"
#include "proto/topic/topic.h"

/* Puts the features that are not available into the properties of a CONNACK (MQTT 5.0 §3.2.2.3). */
void sq_limits_props(const struct sq_limits *, struct sq_mqtt_props *);
/* The reason code that refuses a SUBSCRIBE with 'filter', parsed into 'f', with a static text for
 * people in '*why'; 0: it is allowed. */
uint8_t sq_limits_filter(const struct sq_limits *, struct sq_bytes filter,
    const struct sq_topic_filter *f, const char **why);
/* Appends the limits in one line, for the log. */
void sq_limits_print(const struct sq_limits *, struct sq_buf *);

#endif
