/* Groups at the start: those that the store has (group_store.h). */
#ifndef SQ_BROKER_GROUP_GROUP_LOAD_H
#define SQ_BROKER_GROUP_GROUP_LOAD_H

#include "broker/group/group.h"

/* Makes the groups of the store, without queues, so that subscriptions find them.  SQ_EINVAL: a
 * record is malformed; it was logged. */
int sq_groups_load(struct sq_broker *, uint64_t now_ms) SQ_MUST_CHECK;

#endif
