/* The dead-letter queues of tenants.
 *
 * There are two of each, durable pinned groups that clients join both by subscribing to
 * $dead/#: one of QoS 3 messages, which all become letters, and which are refused while it is
 * full; and one of others: those that a durable queue has given up for too many attempts, a
 * client's refusal, or because nobody takes from it.  That one has half of the limits, and its
 * oldest go for newer ones. */
#ifndef SQ_BROKER_PUBLISH_DEAD_QUEUES_H
#define SQ_BROKER_PUBLISH_DEAD_QUEUES_H

#include "broker/shard/shard.h"

struct sq_dead; /* all of a broker's */
struct sq_group;

struct sq_dead *sq_dead_new(struct sq_broker *);
/* The queues that the store has, before sq_engine_ops.start.ready(); the engine's error. */
int sq_dead_load(struct sq_dead *) SQ_MUST_CHECK;
/* All sessions and groups have ended. */
void sq_dead_free(struct sq_dead **);

enum sq_dead_kind { SQ_DEAD_ASSURED, SQ_DEAD_OTHERS, SQ_DEAD_KINDS };

/* A group that $dead/# joins, made when missing, with a reference. */
struct sq_group *sq_dead_group(struct sq_dead *, struct sq_tenant *, enum sq_dead_kind);
/* Whether the tenant has as many letters of QoS 3 as it may, by the limits or by its share, so
 * that one of 'bytes' finds no room: then no more such messages come in. */
bool sq_dead_full(struct sq_dead *, struct sq_tenant *, uint32_t bytes);
/* Deletes the queues of tenants who have nothing else, and no letters in them; of a bounded
 * number.  On a worker.  Locks: its own. */
void sq_dead_sweep(struct sq_dead *);

#endif
