/* What the pods of a group declare of its queue, put in force: the queue's limits, its
 * record, gauges and log lines.  group_options.h says whose word counts.
 *
 * 'durable' of a queue that exists is what it was made with, until the group has no member
 * (sq_group_leave()); until then the group waits for that. */
#ifndef SQ_BROKER_GROUP_GROUP_DECLARE_H
#define SQ_BROKER_GROUP_GROUP_DECLARE_H

#include "broker/group/group.h"

/* A subscription's word. */
struct sq_word {
	struct sq_options options;
	uint64_t since_ms; /* wall clock; 0: not known, so it changes nothing */
	struct sq_bytes pod;
};

/* All under the write lock of the tenant's space.  Records go into 'txn'; NULL: the store stays
 * as it is. */

/* A subscription of a session that is attached, or in its grace, holds '*dp' (NULL:
 * nothing) and has that word from now on. */
void sq_group_declare(struct sq_group *, struct sq_declarer **dp, const struct sq_word *,
    uint64_t now_ms, struct sq_txn *txn);
/* It has none any more. */
void
sq_group_undeclare(struct sq_group *, struct sq_declarer **dp, uint64_t now_ms, struct sq_txn *txn);
/* Puts in force what counts by now: after every change, and while time may bring one. */
void sq_group_declared(struct sq_group *, uint64_t now_ms, struct sq_txn *txn);
/* The group is listed no more: it is in no gauge. */
void sq_group_declare_end(struct sq_group *);
/* Where 'durable' of a declaration is in force and waits, or its expiry is cut, says so in
 * 'note'. */
void sq_group_declare_note(
    const struct sq_group *, bool durable, uint32_t expiry_s, struct sq_buf *note);

#endif
