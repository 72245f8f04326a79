/* Queues that belong to a user of queues (user.h): those of bridges.  As one that a file declares, a queue
 * is its owner's alone to change; its name begins with SQ_QUEUE_OF_BRIDGES, and nobody else makes one that does.  On the worker that owns the queue, or would. */
#ifndef SQ_BROKER_SUBSCRIBER_OWNED_H
#define SQ_BROKER_SUBSCRIBER_OWNED_H

#include "broker/subscriber/table.h"
#include "core/err.h"

/* Has the queue be declared so, whoever declared it before.  SQ_OK: it is, and declared() of its users was
 * called if that is new; else 'why' has a line, and nothing has happened. */
int sq_subscriber_own_so(struct sq_shard *, const char *space, const char *name,
    const struct sq_declaration *, struct sq_buf *why) SQ_MUST_CHECK;
/* Its owner is gone: it has no binding any more, and ends when it is empty, and nobody takes from it. */
void sq_subscriber_disown(struct sq_subscriber *);

#endif
