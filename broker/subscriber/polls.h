/* Requests for messages that wait at a pull: their turns, their ends, and their answers. */
#ifndef SQ_BROKER_SUBSCRIBER_POLLS_H
#define SQ_BROKER_SUBSCRIBER_POLLS_H

#include "broker/subscriber/pull_priv.h"

void sq_polls_init(struct sq_pull *);
void sq_polls_fini(struct sq_pull *);
/* Takes a RECEIVE over: it waits, or is answered. */
void sq_poll_begin(struct sq_pull *, struct sq_call *);
static inline struct sq_poll *
sq_poll_of(struct sq_dispatch_grant *g)
{
	return SQ_CONTAINER_OF(g, struct sq_poll, grant);
}

/* The item is handed to the poll, if its caller is still there; otherwise the poll ends, and the item
 * goes to another. */
void sq_poll_take(struct sq_pull *, struct sq_poll *, struct sq_pull_item *);
/* The poll has its items: leases them, or has them settled, and answers. */
void sq_poll_served(struct sq_pull *, struct sq_poll *);
/* Has the dispatcher know of all that wait, or of none. */
void sq_polls_grant(struct sq_pull *, bool granted);
/* Answers those whose time is over, and ends those whose callers have left. */
void sq_polls_tick(struct sq_pull *, uint64_t now_ms);
/* Answers all: the queue has gone, or the broker ends. */
void sq_polls_end(struct sq_pull *);

#endif
