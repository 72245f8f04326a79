/* Publishing what no client sends just now: delayed messages, receipts. */
#ifndef SQ_BROKER_PUBLISH_H
#define SQ_BROKER_PUBLISH_H

#include "broker/shard.h"

/* Under the router's read lock, on the shard's worker: routes the message with an
 * origin of the broker's own.  Nobody is there to be refused: full queues take it as
 * their policy says.  'not_from' as in struct sq_binding. */
void sq_publish_own(struct sq_shard *, struct sq_txn *, struct sq_space *, const struct sq_msg *,
    uint64_t not_from);

#endif
