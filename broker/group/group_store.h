/* What the engine stores of groups: one record each, and one for each binding, so that
 * they outlive the broker.  group.c says when. */
#ifndef SQ_BROKER_GROUP_GROUP_STORE_H
#define SQ_BROKER_GROUP_GROUP_STORE_H

#include "broker/group/group.h"

/* Under the write lock of the tenant's space.  'txn' NULL, or a group that is not stored:
 * nothing. */

/* Puts the group, or the binding, as it is now into 'txn'; a binding gets its number. */
void sq_group_store(struct sq_group *, struct sq_txn *txn);
void sq_group_store_binding(struct sq_group *, struct sq_group_binding *, struct sq_txn *txn);
/* Deletes its record, if it has one. */
void sq_group_unstore(const struct sq_group *, struct sq_txn *txn);
void sq_group_unstore_binding(
    const struct sq_group *, const struct sq_group_binding *, struct sq_txn *txn);

/* Start: makes what the store has, without queues, so that subscriptions find it.
 * SQ_EINVAL: a record can't be read; it was logged. */
int sq_groups_load(struct sq_broker *, uint64_t now_ms) SQ_MUST_CHECK;

#endif
