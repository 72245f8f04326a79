/* The dead-letter queues of tenants.
 *
 * Each tenant has two, durable pinned groups that clients join together by subscribing to $dead/#.
 * One is for QoS 3 messages: all undelivered ones become letters, and while it is full such
 * messages are refused.  The other is for messages that a durable queue has dropped for too many
 * attempts, a client's refusal, or a lack of takers; it has half of the limits, and drops its
 * oldest letters for newer ones. */
#ifndef SQ_BROKER_PUBLISH_DEAD_QUEUES_H
#define SQ_BROKER_PUBLISH_DEAD_QUEUES_H

#include "broker/shard/shard.h"

struct sq_dead; /* of a broker */
struct sq_group;

struct sq_dead *sq_dead_new(struct sq_broker *);
/* Opens the queues of the store, before sq_engine_ops.start.ready(); the engine's error. */
int sq_dead_load(struct sq_dead *) SQ_MUST_CHECK;
/* Frees it and nulls the pointer; all sessions and groups have ended. */
void sq_dead_free(struct sq_dead **);

enum sq_dead_kind { SQ_DEAD_ASSURED, SQ_DEAD_OTHERS, SQ_DEAD_KINDS };

/* A group that $dead/# joins, made if it is missing, with a reference.  Thread: any worker.  Locks:
 * its own. */
struct sq_group *sq_dead_group(struct sq_dead *, struct sq_tenant *, enum sq_dead_kind);
/* Such a group if it is there, with a reference; NULL: it is not made.  Thread: any worker.  Locks:
 * its own. */
struct sq_group *sq_dead_there(struct sq_dead *, struct sq_tenant *, enum sq_dead_kind);
/* For a walk over all tenants' queues: moves '*place' to the first tenant there or behind; 'out' gets
 * its groups, NULL for one that is not made.  False: there is none.  On the first worker, until whose
 * next sq_dead_sweep() the groups stay.  Locks: its own. */
bool sq_dead_seek(struct sq_dead *, uint64_t *place, struct sq_group *out[SQ_DEAD_KINDS]);
/* Whether the tenant's letters of QoS 3 have reached a limit or the tenant's share, so that a
 * letter of 'bytes' has no room and QoS 3 messages are refused.  Thread: any worker.  Locks: its
 * own. */
bool sq_dead_full(struct sq_dead *, struct sq_tenant *, uint32_t bytes);
/* Deletes empty dead-letter queues of tenants without other objects, a bounded number.  On a
 * worker.  Locks: its own. */
void sq_dead_sweep(struct sq_dead *);

#endif
