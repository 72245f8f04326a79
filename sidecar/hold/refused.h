/* Refused publishes whose client cannot be told, for the files of this folder.
 *
 * MQTT 3.1.1 has no refusal of a publish, and a publish of QoS 0 (which a rule raised) has no
 * acknowledgement.  The hold keeps such a message and sends it again; acknowledgements behind it
 * wait.  If nothing else proceeds for session.refused-max, the connection ends: the waiting client
 * may be the one whose acknowledgements would make room. */
#ifndef SQ_SIDECAR_HOLD_REFUSED_H
#define SQ_SIDECAR_HOLD_REFUSED_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/link/inbox.h"
#include "proto/link/lane_out.h"

struct sq_hold;

/* Whether the client can be told of this outcome's refusal. */
bool sq_hold_hears(const struct sq_hold *, const struct sq_lane_outcome *);
/* Counts and logs a publish that the broker has refused. */
void sq_hold_publish_refused(struct sq_hold *, const struct sq_lane_outcome *);
/* Handles a refusal that the client cannot be told; the outcome was just taken from the lane.
 * True: the message is kept.  False: it was dropped (QoS 0), or the connection has ended. */
bool sq_hold_park_refused(
    struct sq_hold *, struct sq_lane_out *, const struct sq_lane_outcome *, uint64_t now_ms);
/* A message was taken, or its refusal is told: none is refused any more. */
void sq_hold_refused_over(struct sq_hold *);
/* The time of session.refused-max begins anew with the next refusal. */
void sq_hold_refused_anew(struct sq_hold *);
/* A batch was answered, or settlements were committed, while a message is refused: either may count
 * as progress. */
void sq_hold_accepted(struct sq_hold *, const struct sq_outcomes *);
void sq_hold_settled(struct sq_hold *, const struct sq_inbox_flight *);

#endif
