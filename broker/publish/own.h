/* Publishes of the broker's own, whose outcome is reported to nobody: due messages, wills,
 * receipts, $SYS.
 *
 * A receipt is in the transaction of the settlement or dead letter that it reports: the builder of
 * a transaction publishes the receipts before the commit. */
#ifndef SQ_BROKER_PUBLISH_OWN_H
#define SQ_BROKER_PUBLISH_OWN_H

#include "broker/publish/message.h"
#include "broker/shard/system_txn.h"

/* A publish of the broker's own, for sq_own_untold().  All pointers must stay valid until its end;
 * the caller may name another publisher. */
struct sq_publish sq_own_publish(struct sq_shard *, struct sq_txn *txn, struct sq_tenant *,
    const struct sq_msg *, const struct sq_origin *);
/* Publishes a message; counts and logs a refusal of the 'what'.  If its transaction has no room and
 * 'more' is not set, the message goes into a transaction of its own, committed before the present
 * one: after a crash between the two, both the message and its cause exist.  Its keys stay locked
 * until sq_publish_committed().  On the shard's worker.  Locks: no space is locked. */
void sq_own_untold(struct sq_publish *, const char *what);
/* Publishes a due message in the transaction of '*own'.  One without room is committed first;
 * '*own' is then the new transaction, with the whole message.  'not_from' as in struct sq_binding.
 * Full queues apply their policy.  False: the store is full, and the message would take more room
 * in several queues than it takes now; nothing has happened, and the caller repeats it later. */
bool sq_own_due(struct sq_shard *, struct sq_system_txn **own, struct sq_tenant *,
    const struct sq_msg *, uint64_t not_from);
/* Puts a QoS 0 message of the broker's into queues that have a binding in 'space', room and a
 * taker.  'txn' is of this worker.  Locks: no space is locked. */
void sq_own_sys(struct sq_shard *, struct sq_txn *txn, struct sq_tenant *, struct sq_space *,
    const struct sq_msg *);

/* Publishes a receipt, whose reference it takes over, and then the shard's waiting receipts, in
 * 'txn'.  Locks: no space is locked. */
void sq_own_receipt(struct sq_shard *, struct sq_txn *txn, struct sq_tenant *, struct sq_msg);
/* Publishes the shard's waiting receipts in 'txn'.  Locks: no space is locked. */
void sq_own_receipts(struct sq_shard *, struct sq_txn *txn);
/* Publishes the shard's waiting receipts in a transaction of its own; for struct sq_receipts. */
void sq_own_receipts_left(struct sq_shard *);

#endif
