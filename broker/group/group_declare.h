/* Declarations of a group's queue by its pods, and their effect: the queue's limits, its record,
 * gauges and log lines. group_options.h decides which pod's options count.
 *
 * 'durable' of a queue that exists stays until the group has no member (sq_group_leave()); the
 * group waits for that. */
#ifndef SQ_BROKER_GROUP_GROUP_DECLARE_H
#define SQ_BROKER_GROUP_GROUP_DECLARE_H

#include "broker/group/group.h"

/* The declaration of a subscription. */
struct sq_word {
	struct sq_options options;
	uint64_t since_ms; /* wall clock, ms; 0: unknown, so the declaration has no effect */
	struct sq_bytes pod;
};

/* Locks: the write lock of the tenant's space is held, for the functions below.  'txn' gets the
 * records; NULL: none are written. */

/* Sets the declaration of a subscription whose session is attached or in its grace.  '*dp' is its
 * former one; NULL: none. */
void sq_group_declare(struct sq_group *, struct sq_declarer **dp, const struct sq_word *,
    uint64_t now_ms, struct sq_txn *txn);
/* Withdraws the declaration of a subscription. */
void
sq_group_undeclare(struct sq_group *, struct sq_declarer **dp, uint64_t now_ms, struct sq_txn *txn);
/* Applies the options that count now; called after every change, and while time may change them. */
void sq_group_declared(struct sq_group *, uint64_t now_ms, struct sq_txn *txn);
/* Removes the group from the gauges, because it has left the table. */
void sq_group_declare_end(struct sq_group *);
/* Appends a text for people to 'note' if 'durable' of the declaration has to wait, or its expiry is
 * cut. */
void sq_group_declare_note(
    const struct sq_group *, bool durable, uint32_t expiry_s, struct sq_buf *note);

#endif
