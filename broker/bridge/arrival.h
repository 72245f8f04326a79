/* What of a message that has arrived over a bridge becomes a message here.  Pure. */
#ifndef SQ_BROKER_BRIDGE_ARRIVAL_H
#define SQ_BROKER_BRIDGE_ARRIVAL_H

#include "broker/bridge/bridge.h"

struct sq_bridge_in;

/* Each returns a message with one reference, the caller's. */

/* As it is published: of the rule's QoS and tag, with its hops, and without properties that do not go
 * along (carry.h).  The same image where it is so already. */
struct sq_msg sq_arrival_message(const struct sq_arrived *, const struct sq_bridge_in *rule);
/* As it becomes a dead letter: where its topic is none, with 'topic' in its place; 'too_large': without
 * payload, and without properties if they are large. */
struct sq_msg sq_arrival_letter(const struct sq_arrived *, const char *topic, bool too_large);

/* A number of the lane that it belongs to: that of its order key, else of its topic. */
uint64_t sq_arrival_lane(const struct sq_arrived *);

#endif
