/* Puts a message into the queues of its bindings.  Locks: the space is locked. */
#ifndef SQ_BROKER_PUBLISH_PUT_H
#define SQ_BROKER_PUBLISH_PUT_H

#include "broker/publish/message.h"

/* The message's QoS at the binding. */
uint8_t sq_put_qos(const struct sq_publish *, const struct sq_binding *);
/* Whether the binding gets the message: not one of its own session with no-local, nor one that
 * comes by a scan of retained messages. */
bool sq_put_wanted(const struct sq_publish *, const struct sq_binding *);
/* Makes room in the transaction for the message with all its copies, which are never split over two
 * transactions.  False: they do not fit into any. */
bool sq_put_make_room(struct sq_publish *, struct sq_binding *const *v, size_t n);
/* Puts the message to each binding, once to a sink with several of them (MQTT 5.0 §3.3.4). */
void sq_put_all(struct sq_publish *, struct sq_binding *const *v, size_t n);

#endif
