/* What QoS 3 promises of an item that leaves its queue: a dead letter where it is undelivered,
 * and a receipt of each, if the message asks for one.
 *
 * All on the worker of 'txn', which has the letter.  Each returns the receipt, the caller's
 * reference, or a message without an image: none.  It belongs into 'txn' too: who has no lock of a
 * space publishes it (own.h), and who has one queues it for the builder of 'txn' (receipts.h). */
#ifndef SQ_BROKER_PUBLISH_ASSURED_H
#define SQ_BROKER_PUBLISH_ASSURED_H

#include "broker/shard/shard.h"

struct sq_source;

/* As sq_queue_cfg.dead(). */
struct sq_msg
sq_assured_buried(void *source, struct sq_txn *, const struct sq_item *, enum sq_death why);
/* A QoS 3 item that is left in a queue which ends; 'reason' is said in the letter. */
struct sq_msg
sq_assured_ended(struct sq_source *, struct sq_txn *, const struct sq_item *, const char *reason);
/* The client has the item, and its settlement is in the transaction. */
struct sq_msg sq_assured_settled(const struct sq_source *, const struct sq_item *);
/* A delayed QoS 3 message that nothing matches when it is due. */
struct sq_msg sq_assured_unmatched(
    struct sq_broker *, struct sq_tenant *, struct sq_txn *, const struct sq_msg *);

#endif
