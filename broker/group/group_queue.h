/* The queue of a group: its limits, its beginning and its end. */
#ifndef SQ_BROKER_GROUP_GROUP_QUEUE_H
#define SQ_BROKER_GROUP_GROUP_QUEUE_H

#include "broker/group/group.h"

/* How long a durable group is kept without subscriptions that asks for 'wanted_s'
 * (0: for nothing), in seconds. */
uint32_t sq_group_expiry_s(const struct sq_broker *, uint32_t wanted_s);

/* Opens the queue; a new one is made by 'txn'. */
void sq_group_open(struct sq_group *, struct sq_txn *txn);
/* Gives the queue the limits in force. */
void sq_group_set_limits(struct sq_group *);

/* Gives the queue to its ending.  Without one the broker ends, and what is stored of the queue
 * stays. */
void sq_group_end_queue(struct sq_group *);

#endif
