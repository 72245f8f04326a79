/* Lanes of which a message that has arrived could not be taken: those behind it that are here already
 * have to come again, too.  Pure. */
#ifndef SQ_BROKER_BRIDGE_LANE_HOLDS_H
#define SQ_BROKER_BRIDGE_LANE_HOLDS_H

#include <stdbool.h>

#include "core/htab.h"
#include "core/list.h"

struct sq_lane_holds {
	struct sq_htab held; /* struct lane_hold */
	struct sq_list all;
};

void sq_lane_holds_init(struct sq_lane_holds *);

/* A message of the lane could not be taken. */
void sq_lane_holds_add(struct sq_lane_holds *, uint64_t lane);
/* The inlet has heard so, and has brought messages up to number 'upto': what follows is tried again. */
void sq_lane_holds_told(struct sq_lane_holds *, uint64_t lane, uint64_t upto);
/* Whether message 'number' of the lane has to come again. */
bool sq_lane_holds_back(struct sq_lane_holds *, uint64_t lane, uint64_t number);
/* Forgets lanes that hold no message up to 'number' back any more. */
void sq_lane_holds_pass(struct sq_lane_holds *, uint64_t number);
void sq_lane_holds_fini(struct sq_lane_holds *);

static inline bool
sq_lane_holds_any(const struct sq_lane_holds *l)
{
	return l->held.n > 0;
}

#endif
