/* Routes a message: which queues it goes to, whether it is refused, and what is retained.
 *
 * A thread with the lock of a space waits for no idempotency key. */
#ifndef SQ_BROKER_PUBLISH_ROUTE_MESSAGE_H
#define SQ_BROKER_PUBLISH_ROUTE_MESSAGE_H

#include "broker/publish/message.h"

/* Locks the space for reading, in the place of the one that is locked. */
void sq_route_lock(struct sq_publish *, struct sq_space *);
/* Nothing where none is locked. */
void sq_route_unlock(struct sq_publish *);

/* Puts the message into the queues that its topic selects, and keeps it where it is retained.
 * Returns its outcome; a space that was locked stays so. */
uint8_t sq_route_message(struct sq_publish *);

/* Whether the store takes nothing new. */
bool sq_route_store_full(const struct sq_publish *);
/* Whether there is no memory for a message that stays: retained, or delayed.  One without a
 * payload takes a retained one away. */
bool sq_route_no_stay(const struct sq_publish *);
/* The refusal of a message that fits into no transaction with its 'n' copies. */
uint8_t sq_route_too_many(struct sq_publish *, size_t n);

#endif
