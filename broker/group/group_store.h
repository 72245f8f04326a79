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

/* Flags of a group's record. */
enum { SQ_GROUP_STORE_DURABLE = 1, SQ_GROUP_STORE_SHARE = 2, SQ_GROUP_STORE_WAITS = 4 };

#endif
