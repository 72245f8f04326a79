/* A message that a publisher's batch brings, and the words that the publisher hears of it.  On the
 * worker of the publish. */
#ifndef SQ_BROKER_PUBLISH_RECEIVED_H
#define SQ_BROKER_PUBLISH_RECEIVED_H

#include "broker/publish/publish.h"

/* Publishes 'msg' as sq_publish_message() does, unless memory is nearly used up. */
uint8_t sq_received_message(struct sq_publish *);
/* Counts, logs and notes what the outcome of the message, entry 'i' of its batch, says.  Called
 * before the lock of its space is given back. */
void sq_received_explain(struct sq_publish *, uint8_t code, uint16_t i, struct sq_notes *notes);

#endif
