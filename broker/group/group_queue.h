/* The queue of a group: its limits, its beginning and its end. */
#ifndef SQ_BROKER_GROUP_GROUP_QUEUE_H
#define SQ_BROKER_GROUP_GROUP_QUEUE_H

#include "broker/group/group.h"

/* The time in seconds for which a durable group without subscriptions is kept, for the wanted one
 * (0: the default). */
uint32_t sq_group_expiry_s(const struct sq_broker *, uint32_t wanted_s);

/* Opens the queue; 'txn' makes a new one. */
void sq_group_open(struct sq_group *, struct sq_txn *txn);
/* Applies the limits in force to the queue. */
void sq_group_set_limits(struct sq_group *);

/* Hands the queue to the group's ending.  Without an ending, closes it because the broker ends, and
 * its records stay. */
void sq_group_end_queue(struct sq_group *);

#endif
