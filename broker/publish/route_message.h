/* Routing of a message: selects its queues, judges refusals, and retains it.
 *
 * A thread that has locked a space never waits for the lock of idempotency keys.  On the worker of
 * the publish. */
#ifndef SQ_BROKER_PUBLISH_ROUTE_MESSAGE_H
#define SQ_BROKER_PUBLISH_ROUTE_MESSAGE_H

#include "broker/publish/message.h"

/* Locks the space for reading, and unlocks the one that was locked. */
void sq_route_lock(struct sq_publish *, struct sq_space *);
/* Unlocks the locked space, if there is one. */
void sq_route_unlock(struct sq_publish *);

/* Puts the message into the queues that its topic selects, and retains it if it is to be.  Returns
 * its outcome; the space stays locked.  With a look, as that says, and without other spaces: these
 * are left to sq_route_readers(), where 'end.reads' is set. */
uint8_t sq_route_message(struct sq_publish *);
/* Puts a routed message into the queues of other spaces that may read it; leaves one of them locked,
 * or the one that was. */
void sq_route_readers(struct sq_publish *);

/* Whether the store accepts nothing new. */
bool sq_route_store_full(const struct sq_publish *);
/* Whether memory lacks room for a message that stays: retained, or delayed.  One without a payload
 * removes a retained message, and needs none. */
bool sq_route_no_stay(const struct sq_publish *);
/* The refusal of a message that fits into no transaction with its 'n' copies. */
uint8_t sq_route_too_many(struct sq_publish *, size_t n);

#endif
