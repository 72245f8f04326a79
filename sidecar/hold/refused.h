/* Publishes that the broker refuses while their client can't be told, for this folder's files.
 *
 * MQTT 3.1.1 has no way to refuse a publish, and one of QoS 0 (which a rule raised) has no
 * acknowledgement.  Such a message is held and tried again, and every acknowledgement behind
 * it waits.  Where nothing at all goes on meanwhile for session.refused-max, the connection
 * ends: its client may be the one that would make room, and not be read. */
#ifndef SQ_SIDECAR_HOLD_REFUSED_H
#define SQ_SIDECAR_HOLD_REFUSED_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/link/inbox.h"
#include "proto/link/lane_out.h"

struct sq_hold;

/* Whether the client is told of a refusal. */
bool sq_hold_hears(const struct sq_hold *, const struct sq_lane_outcome *);
/* Counts and logs what the broker has refused. */
void sq_hold_publish_refused(struct sq_hold *, const struct sq_lane_outcome *);
/* A refusal that the client is not told.  True: the message, whose outcome was just taken
 * from the lane, is held; else it is dropped (QoS 0), or the connection has ended. */
bool sq_hold_park_refused(
    struct sq_hold *, struct sq_lane_out *, const struct sq_lane_outcome *, uint64_t now_ms);
/* While something is refused: a batch was answered, settlements were committed.  Either may
 * be that something goes on. */
void sq_hold_accepted(struct sq_hold *, const struct sq_outcomes *);
void sq_hold_settled(struct sq_hold *, const struct sq_inbox_flight *);

#endif
