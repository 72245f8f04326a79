/* What a message asks the broker for by user properties (docs/user-guide.md). */
#ifndef SQ_BROKER_ASKED_H
#define SQ_BROKER_ASKED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/msg.h"

enum { SQ_ASKED_KEY_MAX = 256 }; /* bytes of an idempotency key */

struct sq_asked {
	bool assured;            /* sqmqos-qos: 3 */
	uint32_t delay_s;        /* sqmqos-delay; 0: none */
	struct sq_bytes key;     /* sqmqos-key, for QoS 3; empty: none */
	struct sq_bytes receipt; /* sqmqos-receipt, a topic, for QoS 3; empty: none */
};

/* Reads the properties of an image; of one that is there twice the last counts.
 * Returns 0, or the reason code of what can't be had. */
uint8_t sq_asked_parse(const unsigned char *image, struct sq_asked *out);

/* Whether a topic name or filter is one of dead letters: "$dead", or below it. */
bool sq_asked_is_dead(struct sq_bytes topic);

#endif
