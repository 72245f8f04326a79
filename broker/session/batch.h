/* Messages up: batches of a lane, each in as many transactions as it needs. */
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
	struct sq_list batches[SQ_LANES];   /* struct sq_batch_txn: not answered */
	struct sq_slices *slices[SQ_LANES]; /* a batch that is taken in bit by bit */
	bool failed[SQ_LANES];              /* a commit failed: attach again */
	uint64_t put_off_ms;                /* since when its QoS 0 is not taken; 0: it is */
	bool sparse;                        /* few of the last batch's messages matched */
	_Atomic uint64_t quiet_until_ms;    /* see refused.h */
};

/* Takes a batch in, or lets it wait; the call is in no list. */
void sq_batch_offer(struct sq_session *, struct sq_call *);
/* The session ends: nothing more is taken in of batches that come in slices. */
void sq_batch_cut(struct sq_session *);

#endif
