/* What the broker does of its own accord: transactions that nobody waits for, and the origins
 * of messages that no client has published. */
#ifndef SQ_BROKER_SHARD_SYSTEM_TXN_H
#define SQ_BROKER_SHARD_SYSTEM_TXN_H

#include "broker/shard/shard.h"

struct sq_system_txn;

/* The transaction of '*own', made by the first use; it counts as an object of the broker until
 * it is done.  On the shard's worker. */
struct sq_txn *sq_system_txn(struct sq_shard *, struct sq_system_txn **own);
/* Commits it, if it was used, and nulls the pointer. */
void sq_system_commit(struct sq_system_txn **own);

/* Before the first origin is drawn. */
void sq_system_init(struct sq_broker *);
/* An origin that no other message has.  Thread: any. */
struct sq_origin sq_system_origin(struct sq_broker *);

#endif
