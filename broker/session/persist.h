/* Persistence of sessions: writes the records that let a session outlive the broker
 * (broker/engine/record.h has the kinds, broker/session/record.h the bytes).
 *
 * A durable session is stored whole.  Of a transient session, only the state that concerns durable
 * queues is stored; the first such record brings its base record with it (docs/link.md, "A
 * transient session after its broker's restart").  With an engine that stores nothing, the
 * functions do nothing.  On the session's worker. */
#ifndef SQ_BROKER_SESSION_PERSIST_H
#define SQ_BROKER_SESSION_PERSIST_H

#include "broker/shard/shard.h"

struct sq_queue_ref;
struct sq_session;
struct sq_slot;
struct sq_sub;
struct sq_subscription;

/* The records that the store has of a session. */
struct sq_persisted {
	bool base; /* a base record, which names the holder below */
	uint64_t instance, ordinal;
	bool lane;         /* a record of lane 1 */
	uint32_t next_sub; /* number of the next subscription's record */
};

/* Whether the engine's records outlive a restart of the broker. */
static inline bool
sq_persist_engine(const struct sq_broker *b)
{
	return b->engine->ops->durable;
}

/* Puts the session's base record, in its present state, into 'txn'. */
void sq_persist_base(struct sq_session *, struct sq_txn *);
/* Writes the base record anew, if there is one, in a transaction of its own. */
void sq_persist_changed(struct sq_session *);
/* Removes the will from the stored session, in the transaction that publishes or drops it: a
 * restart must not publish it again. */
void sq_persist_will_gone(struct sq_session *, struct sq_txn *txn);

/* Called at the end of a batch's transaction, before its commit: puts the last admitted number of
 * the lane and the 'n' QoS 2 ids that the batch added, if the session is stored. */
void sq_persist_batch(struct sq_session *, struct sq_txn *, uint8_t lane, uint64_t last,
    const uint16_t *held, uint16_t n);
/* Deletes the record of the QoS 2 id 'packet_id', which the client has released. */
void sq_persist_released(struct sq_session *, struct sq_txn *, uint16_t packet_id);

/* Puts the record of a slot in its present state: QoS 2 sent or received, or an orphan. */
void sq_persist_open(struct sq_session *, struct sq_txn *, struct sq_slot *);
/* Deletes the slot's record, if there is one; the slot is freed next. */
void sq_persist_finished(struct sq_session *, struct sq_txn *, struct sq_slot *);
/* Whether a QoS 2 delivery from that queue must be stored before it is sent. */
bool sq_persist_announced(const struct sq_session *, const struct sq_queue_ref *from);

/* Puts the record of a subscription of a durable session, in the form of its entry.  Nothing for a
 * transient session. */
void sq_persist_subscription(
    struct sq_session *, struct sq_txn *, struct sq_subscription *, const struct sq_sub *);
void sq_persist_unsubscribed(struct sq_session *, struct sq_txn *, struct sq_subscription *);

/* Deletes the remaining records of the session, which ends. */
void sq_persist_end(struct sq_session *, struct sq_txn *);

#endif
