/* What outlives a pull whose queue may stay after all: the requests that were settled, and the leases
 * that were acknowledged.  Their records stay, too.  On the queue's worker. */
#ifndef SQ_BROKER_SUBSCRIBER_PULL_PAST_H
#define SQ_BROKER_SUBSCRIBER_PULL_PAST_H

#include "broker/engine/record.h"
#include "broker/subscriber/settled.h"

struct sq_pull_past {
	struct sq_settled requests, acked;
};

/* Takes both tables over, which are empty afterwards. */
struct sq_pull_past *sq_pull_past_new(struct sq_settled *requests, struct sq_settled *acked);
/* Gives both tables over to a pull, whose tables are empty, and frees it. */
void
sq_pull_past_give(struct sq_pull_past **, struct sq_settled *requests, struct sq_settled *acked);
/* The records of these: of a lease, by the place of its message; of a settled request. */
struct sq_record_key sq_lease_record(uint64_t queue, uint64_t seq);
struct sq_record_key sq_request_record(const struct sq_settled_name *);
/* Frees it; the records stay.  Also of NULL. */
void sq_pull_past_free(struct sq_pull_past **);

#endif
