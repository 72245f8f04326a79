/* Transactions of the broker's own, for which no call waits, and origins of messages that no client
 * has published. */
#ifndef SQ_BROKER_SHARD_SYSTEM_TXN_H
#define SQ_BROKER_SHARD_SYSTEM_TXN_H

#include "broker/shard/shard.h"

struct sq_system_txn;

/* The transaction of '*own', which the first use makes; it counts as an object of the broker until
 * it is done.  On the shard's worker. */
struct sq_txn *sq_system_txn(struct sq_shard *, struct sq_system_txn **own);
/* Commits the transaction, if there is one, and nulls the pointer. */
void sq_system_commit(struct sq_system_txn **own);

/* Called before the first origin is drawn. */
void sq_system_init(struct sq_broker *);
/* Draws an origin that no other message has.  Thread: any.  Locks: none. */
struct sq_origin sq_system_origin(struct sq_broker *);

#endif
