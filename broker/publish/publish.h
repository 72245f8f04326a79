/* Publishing: carries out a message's options, and routes it or delays it. */
#ifndef SQ_BROKER_PUBLISH_PUBLISH_H
#define SQ_BROKER_PUBLISH_PUBLISH_H

#include "broker/publish/message.h"
#include "broker/publish/route_message.h"

/* Publishes 'msg' into 'txn', or into a transaction that replaces it.  Returns the message's
 * outcome.  The space that it has locked may stay locked, for the next message and for
 * sq_refused_tell(), until sq_publish_pause() or sq_route_unlock(). */
uint8_t sq_publish_message(struct sq_publish *);
/* Called between two messages, after the outcome of the first: releases the locks of the space and
 * of keys if so much work was done that others may wait. */
void sq_publish_pause(struct sq_publish *);
/* Called between two messages of a batch, with no space locked: commits the batch so far, as a
 * part, and releases the lock of keys. */
void sq_publish_part(struct sq_publish *);
/* Called after the commit of the last transaction: releases the lock of keys. */
void sq_publish_committed(struct sq_publish *);

#endif
