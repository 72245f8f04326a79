/* Publishing: a message is routed, or kept for later; and does what it asks for. */
#ifndef SQ_BROKER_PUBLISH_PUBLISH_H
#define SQ_BROKER_PUBLISH_PUBLISH_H

#include "broker/publish/message.h"
#include "broker/publish/route_message.h"

/* Routes 'msg', or does what it asks for, into 'txn', or the transaction that has taken its
 * place.  Returns its outcome.  A space that it has locked may stay so, for the next message and
 * for what sq_refused_tell() says of a queue, until sq_publish_pause() or sq_route_unlock(). */
uint8_t sq_publish_message(struct sq_publish *);
/* Between two messages, behind the outcome of the first: lets go of the locks, of the space and of
 * keys, if so much was done that others may wait. */
void sq_publish_pause(struct sq_publish *);
/* Between two messages of a batch, without a lock of a space: commits it so far, as a part, and
 * lets go of keys. */
void sq_publish_part(struct sq_publish *);
/* After the commit of its last transaction: until then it keeps the lock of keys. */
void sq_publish_committed(struct sq_publish *);

#endif
