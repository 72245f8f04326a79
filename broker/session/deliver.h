/* Messages to a client: from queues through the window to the link.
 *
 * On the session's worker. */
#ifndef SQ_BROKER_SESSION_DELIVER_H
#define SQ_BROKER_SESSION_DELIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/engine/engine.h"
#include "broker/route/router.h"
#include "broker/session/window.h"
#include "core/task.h"

struct sq_session;

struct sq_flow {
	struct sq_sink sink;
	struct sq_consumer consumer; /* of the session's own queue */
	struct sq_task pump;
	bool pump_posted;
	struct sq_demand demanded; /* asked for and not handed out yet */
	uint64_t credit_msgs, credit_bytes, used_msgs, used_bytes;
	uint64_t announced, announced_done; /* numbers of transactions that announce slots: begun,
	                                     * committed */
};

/* The sink of the queue from which an item came. */
static inline struct sq_sink *
sq_flow_sink(struct sq_flow *f, const struct sq_queue_ref *from)
{
	return sq_queue_ref_own(from) ? &f->sink : from->sink;
}

/* Begins to consume from the session's own queue, which is open. */
void sq_deliver_init(struct sq_session *);
/* Begins an attachment, without credit. */
void sq_deliver_begin(struct sq_session *);
/* Whether no item is pending and no delivery is unfinished. */
bool sq_deliver_idle(const struct sq_session *);

#endif
