/* Puts a message into the queues of its bindings; under the lock of their space. */
#ifndef SQ_BROKER_PUBLISH_PUT_H
#define SQ_BROKER_PUBLISH_PUT_H

#include "broker/publish/message.h"

/* The message's QoS at the binding. */
uint8_t sq_put_qos(const struct sq_publish *, const struct sq_binding *);
/* Whether the binding wants it: a message of its own session, or one that comes by a scan of
 * retained messages, may not come. */
bool sq_put_wanted(const struct sq_publish *, const struct sq_binding *);
/* Makes room in the transaction for the message with all its copies, which is whole in one
 * transaction or nowhere.  False: it fits into none. */
bool sq_put_make_room(struct sq_publish *, struct sq_binding *const *v, size_t n);
/* Puts it to each of the bindings, and once to a sink that has several of them
 * (MQTT 5.0 §3.3.4). */
void sq_put_all(struct sq_publish *, struct sq_binding *const *v, size_t n);

#endif
