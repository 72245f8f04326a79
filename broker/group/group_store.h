/* The records of groups, one each, and one for each binding, which let them outlive the broker.
 * group.c calls the functions. */
#ifndef SQ_BROKER_GROUP_GROUP_STORE_H
#define SQ_BROKER_GROUP_GROUP_STORE_H

#include "broker/group/group.h"

/* Locks: the write lock of the tenant's space is held.  Nothing happens with 'txn' NULL, or for a
 * group that is not stored. */

/* Put the present state of the group, or of the binding, into 'txn'; a binding gets its number. */
void sq_group_store(struct sq_group *, struct sq_txn *txn);
void sq_group_store_binding(struct sq_group *, struct sq_group_binding *, struct sq_txn *txn);
/* Delete the record, if there is one. */
void sq_group_unstore(const struct sq_group *, struct sq_txn *txn);
void sq_group_unstore_binding(
    const struct sq_group *, const struct sq_group_binding *, struct sq_txn *txn);

/* Flags of a group's record. */
enum {
	SQ_GROUP_STORE_DURABLE = 1,
	SQ_GROUP_STORE_SHARE = 2,
	SQ_GROUP_STORE_WAITS = 4,
	SQ_GROUP_STORE_NAMED = 8
};

#endif
