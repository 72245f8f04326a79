/* Messages down: from queues through the window to the link. */
#ifndef SQ_BROKER_SESSION_DELIVER_H
#define SQ_BROKER_SESSION_DELIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/engine/engine.h"
#include "broker/route/router.h"
#include "web/worker.h"

struct sq_session;

struct sq_flow {
	struct sq_sink sink;
	struct sq_consumer consumer; /* of the own queue */
	struct sq_task pump;
	bool pump_posted;
	struct sq_demand demanded; /* and not handed out yet */
	uint64_t credit_msgs, credit_bytes, used_msgs, used_bytes;
	uint64_t announced, announced_done; /* transactions that announce slots */
};

void sq_deliver_init(struct sq_session *);
void sq_deliver_fini(struct sq_session *);
void sq_deliver_pump(struct sq_session *); /* at the end of the turn */
/* The link is full: goes on when it is not. */
void sq_deliver_blocked(struct sq_session *);
/* Sends the item now if nothing stands before it and the session has credit:
 * 'item' is then taken.  False: put it.  So a message goes to all sessions of a
 * link in one frame, and not through their queues. */
bool sq_deliver_now(struct sq_session *, struct sq_txn *, struct sq_item *item);
/* Nothing waits and nothing is unfinished. */
bool sq_deliver_idle(const struct sq_session *);
void sq_deliver_take_member(struct sq_consumer *, struct sq_item *, size_t n);

#endif
