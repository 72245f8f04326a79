/* Who pulls from a named queue: the life of its pull.  On the queue's worker. */
#ifndef SQ_BROKER_SUBSCRIBER_SERVE_H
#define SQ_BROKER_SUBSCRIBER_SERVE_H

#include "broker/subscriber/table.h"

struct sq_call;

/* Has pullers served from now on; at the start before workers turn. */
void sq_subscriber_serve(struct sq_subscriber *);
/* The declaration has changed, or whether the queue is paused. */
void sq_subscriber_serve_so(struct sq_subscriber *);
/* Has nobody served any more; in a later turn 'dismissed' of the table follows. */
void sq_subscriber_dismiss(struct sq_subscriber *);

/* Carry RECEIVE and SETTLE out, which rules allow; take the call over. */
void sq_serve_receive(struct sq_shard *, struct sq_call *);
void sq_serve_settle(struct sq_shard *, struct sq_call *);
/* The queue that a SETTLE without a name is about, by its first lease; NULL: there is none here. */
struct sq_subscriber *sq_serve_settled(const struct sq_shard *, const struct sq_call *);

#endif
