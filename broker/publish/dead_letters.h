/* Dead letters (docs/user-guide.md): an item that leaves its queue undelivered becomes a message in
 * a dead-letter queue of its tenant. */
#ifndef SQ_BROKER_PUBLISH_DEAD_LETTERS_H
#define SQ_BROKER_PUBLISH_DEAD_LETTERS_H

#include "broker/shard/shard.h"

/* Puts the letter of 'm', which was in 'queue', into the tenant's dead-letter queue for QoS 3
 * ('assured') or for others, with a 'detail' or NULL: in 'txn', or, for lack of room there, in a transaction committed
 * before it.  On the worker of 'txn'. */
void
sq_dead_letter(struct sq_broker *, struct sq_tenant *, struct sq_txn *txn, const struct sq_msg *m,
    const char *queue, const char *reason, const char *detail, bool assured);

#endif
