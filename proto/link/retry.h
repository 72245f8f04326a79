/* Messages that a broker refuses for a while, and the wait until one is sent again: what the lanes
 * of a client and the sender of a disk outbox have in common.  Pure. */
#ifndef SQ_PROTO_LINK_RETRY_H
#define SQ_PROTO_LINK_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/mqtt/reason.h"

enum { SQ_RETRY_MIN_MS = 100, SQ_RETRY_MAX_MS = 2000 };

/* For people: the broker has answered a batch of one message with 413. */
#define SQ_RETRY_TOO_BIG "the message is above the broker's limits.max-packet"

/* Whether a message that was refused with 'reason' may be taken later. */
static inline bool
sq_retry_passes(uint8_t reason)
{
	return reason == SQ_MQTT_RC_QUOTA_EXCEEDED || reason == SQ_MQTT_RC_UNSPECIFIED;
}

/* The wait that follows one of 'ms'; 0: there was none since something was taken. */
static inline uint32_t
sq_retry_next_ms(uint32_t ms)
{
	if (ms == 0)
		return SQ_RETRY_MIN_MS;
	return ms * 2 < SQ_RETRY_MAX_MS ? ms * 2 : SQ_RETRY_MAX_MS;
}

#endif
