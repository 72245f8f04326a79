/* Messages from a client: batches of a lane, each committed in as many transactions as the batch
 * needs.
 *
 * On the session's worker, except for 'quiet_until_ms'. */
#ifndef SQ_BROKER_SESSION_BATCH_H
#define SQ_BROKER_SESSION_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/session/qos2_in.h"
#include "core/list.h"
#include "proto/link/lane_in.h"

struct sq_call;
struct sq_session;
struct sq_slices;

struct sq_inbound {
	struct sq_lane_in lanes[SQ_LANES];
	struct sq_qos2_in qos2;
	struct sq_slices *slices[SQ_LANES]; /* a batch that is routed in slices, a turn each */
	uint64_t put_off_ms;             /* since when QoS 0 is not accepted; 0: it is accepted */
	bool sparse;                     /* few of the last batch's messages matched */
	_Atomic uint64_t quiet_until_ms; /* see refused.h */
};

/* Accepts the batch of a call that is in no list, or has the call wait for an older batch.  The
 * call is answered here or later. */
void sq_batch_offer(struct sq_session *, struct sq_call *);
/* Drops the rest of batches that are routed in slices, because the session ends. */
void sq_batch_cut(struct sq_session *);

#endif
