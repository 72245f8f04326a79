/* The guarantees of QoS 3 for an item that leaves its queue: a dead letter for an undelivered one,
 * and a receipt of each, if the message asks for one.
 *
 * On the worker of 'txn', which gets the letter.  Each function returns the receipt, with a
 * reference of the caller's, or a message without an image: none.  The caller publishes it in
 * 'txn', or queues it at the worker's shard (receipts.h). */
#ifndef SQ_BROKER_PUBLISH_ASSURED_H
#define SQ_BROKER_PUBLISH_ASSURED_H

#include "broker/shard/shard.h"

struct sq_source;

/* The function for sq_queue_cfg.dead; 'source' is the queue's. */
struct sq_msg
sq_assured_buried(void *source, struct sq_txn *, const struct sq_item *, enum sq_death why);
/* Buries a QoS 3 item left in a queue that ends; the letter has 'reason'. */
struct sq_msg
sq_assured_ended(struct sq_source *, struct sq_txn *, const struct sq_item *, const char *reason);
/* An operator has purged the QoS 3 item, of which nothing stays. */
struct sq_msg sq_assured_purged(const struct sq_source *, const struct sq_item *);
/* The client has received the item; the transaction has its settlement. */
struct sq_msg sq_assured_settled(const struct sq_source *, const struct sq_item *);
/* Buries a delayed QoS 3 message that matches nothing when it is due. */
struct sq_msg sq_assured_unmatched(
    struct sq_broker *, struct sq_tenant *, struct sq_txn *, const struct sq_msg *);

#endif
