/* Dead letters and receipts (architecture.md section 8, docs/user-guide.md).
 *
 * An item that leaves its queue undelivered becomes a message of its own in a
 * dead-letter queue of its tenant.  There are two, durable groups that clients join both by
 * subscribing to $dead/#: one of QoS 3 messages, which all become letters, and which are
 * refused while it is full; and one of others: those that a durable queue has given
 * up for too many attempts, a client's refusal, or because nobody takes from it.  That one
 * has half of the limits, and its oldest go for newer ones.
 *
 * A QoS 3 message may name a topic for receipts: a message goes there for each
 * target that has it, or whose copy is dead.  Both belong to the transaction that
 * settles the item. */
#ifndef SQ_BROKER_PUBLISH_DEAD_LETTERS_H
#define SQ_BROKER_PUBLISH_DEAD_LETTERS_H

#include "broker/shard/shard.h"
#include "broker/shard/source.h"

struct sq_dead; /* all of a broker's */
struct sq_group;

struct sq_dead *sq_dead_new(struct sq_broker *);
/* The queues that the store has, before sq_engine_ops.start.ready(); the engine's error. */
int sq_dead_load(struct sq_dead *) SQ_MUST_CHECK;
/* All sessions and groups have ended. */
void sq_dead_free(struct sq_dead **);

/* sq_queue_cfg.dead */
void sq_dead_item(void *source, struct sq_txn *, const struct sq_item *, enum sq_death why);
/* The client has the item: the settlement is in 'txn'. */
void sq_dead_settled(struct sq_source *, struct sq_txn *, const struct sq_item *);
/* A QoS 3 item that is left in a queue which ends; 'reason' is said in the letter. */
void sq_dead_ended(struct sq_source *, struct sq_txn *, const struct sq_item *, const char *reason);
/* These two, for the folders below. */
extern const struct sq_burial sq_dead_burial;
/* A delayed QoS 3 message that nothing matches when it is due. */
void
sq_dead_unmatched(struct sq_broker *, struct sq_tenant *, struct sq_txn *, const struct sq_msg *);

enum sq_dead_kind { SQ_DEAD_ASSURED, SQ_DEAD_OTHERS, SQ_DEAD_KINDS };

/* A group that $dead/# joins, made when missing, with a reference. */
struct sq_group *sq_dead_group(struct sq_dead *, struct sq_tenant *, enum sq_dead_kind);
/* Whether the tenant has as many letters of QoS 3 as it may, by the limits or by its share, so
 * that one of 'bytes' finds no room: then no more such messages come in. */
bool sq_dead_full(struct sq_dead *, struct sq_tenant *, uint32_t bytes);
/* Deletes the queues of tenants who have nothing else, and no letters in them; of a bounded
 * number.  On a worker.  Locks: its own. */
void sq_dead_sweep(struct sq_dead *);

/* With no space locked: publishes the receipts that had to wait for that, in 'txn'.  Whoever
 * routes calls it before he commits. */
void sq_dead_flush(struct sq_shard *, struct sq_txn *txn);

#endif
