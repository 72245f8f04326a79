/* Messages down: from queues through the window to the link. */
#ifndef SQ_BROKER_SESSION_DELIVER_H
#define SQ_BROKER_SESSION_DELIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/engine/engine.h"
#include "broker/route/router.h"
#include "broker/session/window.h"
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

/* The queue's sink that an item came from. */
static inline struct sq_sink *
sq_flow_sink(struct sq_flow *f, const struct sq_queue_ref *from)
{
	return sq_queue_ref_own(from) ? &f->sink : from->sink;
}

/* Begins to take from the session's own queue, which is open. */
void sq_deliver_init(struct sq_session *);
/* An attachment begins, without credit. */
void sq_deliver_begin(struct sq_session *);
/* Nothing waits and nothing is unfinished. */
bool sq_deliver_idle(const struct sq_session *);

#endif
