/* What the broker does of its own accord: transactions that nobody waits for,
 * and the origins of messages that no client has published. */
#ifndef SQ_BROKER_SHARD_SYSTEM_TXN_H
#define SQ_BROKER_SHARD_SYSTEM_TXN_H

#include "broker/shard/shard.h"

struct sq_own_txn;

/* The transaction of '*own', made by the first use.  On the shard's worker. */
struct sq_txn *sq_own_txn(struct sq_shard *, struct sq_own_txn **own);
/* Commits it, if it was used, and nulls the pointer. */
void sq_own_commit(struct sq_own_txn **own);

/* An origin that no other message has. */
struct sq_origin sq_own_origin(struct sq_broker *);

#endif
