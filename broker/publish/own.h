/* Publishing for the broker itself, which nobody is told of: messages that are due, wills,
 * receipts, $SYS.
 *
 * Receipts are in the same transaction as the settlement, or the dead letter, that they are of:
 * who builds a transaction publishes them before its commit. */
#ifndef SQ_BROKER_PUBLISH_OWN_H
#define SQ_BROKER_PUBLISH_OWN_H

#include "broker/publish/message.h"
#include "broker/shard/system_txn.h"

/* On the shard's worker, with no space locked: publishes a message, and counts and logs a refusal
 * of the 'what', as nobody is there to hear of it.  Where its transaction has no room and
 * 'more' is not set, it goes into one of its own, which is committed before that: after a crash
 * between the two there are both the message and what it is of.  Its keys stay locked until
 * sq_publish_committed(). */
void sq_own_untold(struct sq_publish *, const char *what);
/* The same of a message that is due, in the transaction of '*own', which is committed first where
 * it has no room: then the message is in the one that is '*own' now, whole.  'not_from' as in
 * struct sq_binding.  Full queues take it as their policy says.
 * False: the store is full, and the message would take more room in several queues than it
 * does now; nothing has happened, and it is to be offered again. */
bool sq_own_due(struct sq_shard *, struct sq_system_txn **own, struct sq_tenant *,
    const struct sq_msg *, uint64_t not_from);
/* With no space locked: puts a message of QoS 0 and the broker's own into the queues
 * that have a binding in 'space', have room, and somebody takes from.  'txn' of that worker. */
void sq_own_sys(struct sq_shard *, struct sq_txn *txn, struct sq_tenant *, struct sq_space *,
    const struct sq_msg *);

/* With no space locked: publishes a receipt, whose reference it takes, and behind it the shard's
 * receipts that wait, in 'txn'. */
void sq_own_receipt(struct sq_shard *, struct sq_txn *txn, struct sq_tenant *, struct sq_msg);
/* With no space locked: publishes the shard's receipts that wait, in 'txn'. */
void sq_own_receipts(struct sq_shard *, struct sq_txn *txn);
/* The same in a transaction of its own: for struct sq_receipts. */
void sq_own_receipts_left(struct sq_shard *);

#endif
