/* Sources: the description of a queue in dead letters, receipts and log lines.
 *
 * Each queue has one; its sink holds it, and its engine queue passes it to sq_queue_cfg.dead(). */
#ifndef SQ_BROKER_SHARD_SOURCE_H
#define SQ_BROKER_SHARD_SOURCE_H

#include <stdbool.h>

#include "broker/engine/engine.h"

struct sq_broker;
struct sq_source;
struct sq_tenant;

/* Between the parts of a group's name, where a source's, for people, has a '~'. */
enum { SQ_SOURCE_SEPARATOR = 0xff };

/* Makes a source.  'name' is for people, and copied; 'durable': the queue outlives its last
 * consumer. */
struct sq_source *
sq_source_new(struct sq_broker *, struct sq_tenant *, const char *name, bool durable);
/* Ends the source of a queue that is deleted or closed, and nulls the pointer.  Freed after the
 * present turn of 'owner', in which the queue may bury items. */
void sq_source_free(struct sq_source **, struct sq_worker *owner);

/* Thread: any. */
struct sq_broker *sq_source_broker(const struct sq_source *);
/* The queue's name in letters, logs, metrics and reason strings. */
const char *sq_source_name(const struct sq_source *);
struct sq_tenant *sq_source_tenant(const struct sq_source *);
bool sq_source_durable(const struct sq_source *);

/* The burial of items that leave a queue: publish/ makes dead letters and receipts of them, and
 * broker.c gives its functions to other folders.  On the worker of the transaction. */
struct sq_burial {
	/* Buries an item that leaves undelivered: see sq_queue_cfg.dead.  'source' is the queue's. */
	void (*item)(void *source, struct sq_txn *, const struct sq_item *, enum sq_death why);
	/* Buries a QoS 3 item left in a queue that ends; the letter has 'reason'. */
	void (*ended)(
	    struct sq_source *, struct sq_txn *, const struct sq_item *, const char *reason);
	/* An operator purges an item of QoS 1 to 3; 'letter': one of QoS 3 becomes a dead letter. */
	void (*purged)(struct sq_source *, struct sq_txn *, const struct sq_item *, bool letter);
	/* A client has received the item; the transaction has the settlement. */
	void (*settled)(struct sq_source *, struct sq_txn *, const struct sq_item *);
};

#endif
