/* Publishing what no client sends just now: delayed messages, receipts. */
#ifndef SQ_BROKER_PUBLISH_PUBLISH_H
#define SQ_BROKER_PUBLISH_PUBLISH_H

#include "broker/shard/shard.h"

struct sq_system_txn;

/* On the shard's worker, with no space locked: routes the message with an
 * origin of the broker's own.  Nobody is there to be refused: full queues take it as
 * their policy says.  'not_from' as in struct sq_binding.
 *
 * Where 'txn' has no room for it, it goes into a transaction of its own, which is committed
 * before that: a crash between the two leaves both the message and what it is of. */
void sq_publish_own(struct sq_shard *, struct sq_txn *txn, struct sq_tenant *,
    const struct sq_msg *, uint64_t not_from);
/* With no space locked: puts a message of QoS 0 and the broker's own into the queues
 * that have a binding in 'space', have room, and somebody takes from.  'txn' of that worker. */
void sq_publish_sys(struct sq_shard *, struct sq_txn *txn, struct sq_tenant *, struct sq_space *,
    const struct sq_msg *);
/* The same as sq_publish_own() in the transaction of '*own', which is committed first where it
 * has no room: then the message is in the one that is '*own' now, whole.
 * False: the store is full, and the message would take more room in several queues than it
 * does now; nothing has happened, and it is to be offered again. */
bool sq_publish_due(struct sq_shard *, struct sq_system_txn **own, struct sq_tenant *,
    const struct sq_msg *, uint64_t not_from);

#endif
