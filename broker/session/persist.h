/* What the engine stores of sessions and groups, so that they outlive the
 * broker (broker/engine/record.h has the kinds, stored.c the bytes).
 *
 * Durable sessions are stored whole.  Of a transient one goes to the store what
 * concerns durable queues, and its base record with the first of that (docs/link.md,
 * "A transient session after its broker's restart").  With an engine that keeps
 * nothing all of this does nothing. */
#ifndef SQ_BROKER_SESSION_PERSIST_H
#define SQ_BROKER_SESSION_PERSIST_H

#include "broker/shard/shard.h"

struct sq_queue_ref;
struct sq_session;
struct sq_slot;
struct sq_sub;
struct sq_subscription;

/* What the store has of a session. */
struct sq_persisted {
	bool base; /* a base record, which names this holder */
	uint64_t instance, ordinal;
	bool lane;         /* and one of lane 1 */
	bool restored;     /* it is from before a restart, and not used since */
	uint32_t next_sub; /* number of the next record of a subscription */
};

/* Whether the engine keeps what it is given over a restart. */
static inline bool
sq_persist_engine(const struct sq_broker *b)
{
	return b->engine->ops->durable;
}

/* Puts the session's base record, as it is now, into 'txn'. */
void sq_persist_base(struct sq_session *, struct sq_txn *);
/* The same if it has one; in a transaction of its own. */
void sq_persist_changed(struct sq_session *);
/* The will was published by 'txn', or is not wanted: so it is not published again. */
void sq_persist_will_gone(struct sq_session *, struct sq_txn *txn);

/* At the end of a batch's transaction, before its commit: the last number
 * of the lane that it admits, and the 'n' ids of 'held' that this batch added, if it is to
 * be stored at all. */
void sq_persist_batch(struct sq_session *, struct sq_txn *, uint8_t lane, uint64_t last,
    const uint16_t *held, uint16_t n);
/* The held id 'packet_id', which is stored, is released. */
void sq_persist_released(struct sq_session *, struct sq_txn *, uint16_t packet_id);

/* A slot as it is now: QoS 2 sent or received, or an orphan. */
void sq_persist_open(struct sq_session *, struct sq_txn *, struct sq_slot *);
/* The slot is about to be freed. */
void sq_persist_finished(struct sq_session *, struct sq_txn *, struct sq_slot *);
/* Whether a QoS 2 delivery from there must be stored before it is sent. */
bool sq_persist_announced(const struct sq_session *, const struct sq_queue_ref *from);

/* A subscription of a durable session as its entry says it; for others nothing. */
void sq_persist_subscription(
    struct sq_session *, struct sq_txn *, struct sq_subscription *, const struct sq_sub *);
void sq_persist_unsubscribed(struct sq_session *, struct sq_txn *, struct sq_subscription *);

/* Deletes all that is left of the session, but for what the calls above have. */
void sq_persist_end(struct sq_session *, struct sq_txn *);

#endif
