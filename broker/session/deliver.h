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

struct sq_session;

struct sq_flow {
	struct sq_consumer consumer; /* of the session's own queue */
	struct sq_demand demanded;   /* asked for and not handed out yet; demand.c */
	uint64_t credit_msgs, credit_bytes, used_msgs, used_bytes;
	uint64_t announced, announced_done; /* numbers of transactions that announce slots: begun,
	                                     * committed */
};

/* Begins to consume from the session's own queue, which is open. */
void sq_deliver_init(struct sq_session *);
/* Begins an attachment, without credit. */
void sq_deliver_begin(struct sq_session *);
/* Raises the credit, in messages and bytes of the attachment; a lower value changes nothing. */
void sq_deliver_credit(struct sq_session *, uint64_t msgs, uint64_t bytes);
/* For struct sq_session_hooks: sends all that may be sent; and passes an item, now or soon, as struct
 * sq_sink says. */
void sq_deliver_run(struct sq_session *);
bool sq_deliver_pass(struct sq_sink *, struct sq_txn *, struct sq_item *);
void sq_deliver_soon(const struct sq_sink *);
/* Whether no item is pending and no delivery is unfinished. */
bool sq_deliver_idle(const struct sq_session *);

#endif
