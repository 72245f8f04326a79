/* Sources: where a dead letter, a receipt or a line of the log says that a message was.
 *
 * Each queue has one; its sink holds it, and its engine queue gives it to sq_queue_cfg.dead(). */
#ifndef SQ_BROKER_SHARD_SOURCE_H
#define SQ_BROKER_SHARD_SOURCE_H

#include <stdbool.h>

#include "broker/engine/engine.h"

struct sq_broker;
struct sq_source;
struct sq_tenant;

/* 'name' is copied, as people read it; 'durable': the queue outlives its last consumer. */
struct sq_source *
sq_source_new(struct sq_broker *, struct sq_tenant *, const char *name, bool durable);
/* The queue is deleted or closed.  Nulls the pointer; freed once 'owner' has ended its turn, in
 * which the queue may bury items. */
void sq_source_free(struct sq_source **, struct sq_worker *owner);

/* Thread: any. */
struct sq_broker *sq_source_broker(const struct sq_source *);
/* The queue's name for people: of letters, logs, metrics, reason strings. */
const char *sq_source_name(const struct sq_source *);
struct sq_tenant *sq_source_tenant(const struct sq_source *);
bool sq_source_durable(const struct sq_source *);

/* What becomes of items that leave a queue: publish/ makes dead letters and receipts of them, and
 * broker.c gives its functions to all others.  On the worker of the transaction. */
struct sq_burial {
	/* sq_queue_cfg.dead; 'source' is the queue's. */
	void (*item)(void *source, struct sq_txn *, const struct sq_item *, enum sq_death why);
	/* A QoS 3 item that is left in a queue which ends; 'reason' is said in the letter. */
	void (*ended)(
	    struct sq_source *, struct sq_txn *, const struct sq_item *, const char *reason);
	/* A client has the item: the settlement is in the transaction. */
	void (*settled)(struct sq_source *, struct sq_txn *, const struct sq_item *);
};

#endif
