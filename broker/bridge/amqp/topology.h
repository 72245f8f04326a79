/* Exchanges and queues of a bridge at its peer: looked at when a connection is made, and made there where
 * the configuration says so ("declare: true"). */
#ifndef SQ_BROKER_BRIDGE_AMQP_TOPOLOGY_H
#define SQ_BROKER_BRIDGE_AMQP_TOPOLOGY_H

#include "broker/bridge/amqp/peer.h"
#include "broker/bridge/cfg.h"

/* Whether an out[] names an exchange, and not the default one. */
bool sq_amqp_has_exchange(const struct sq_bridge_out *);
/* Those that the out half publishes to; 'queue': the bridge's. */
int sq_amqp_topology_out(struct sq_amqp_peer *, const struct sq_bridge_cfg *, const char *queue,
    struct sq_buf *why) SQ_MUST_CHECK;
/* The queue of an in[].  The peer may close the channel, which is trouble SQ_AMQP_TOPOLOGY. */
int sq_amqp_topology_in(struct sq_amqp_peer *, const struct sq_bridge_cfg *, size_t i,
    struct sq_buf *why) SQ_MUST_CHECK;
/* Asks the same on the second channel, without waiting for the answer: queue.declare, and queue.bind where
 * sq_amqp_topology_binds(). */
int sq_amqp_topology_look(struct sq_amqp_peer *, const struct sq_bridge_cfg *, size_t i,
    struct sq_buf *why) SQ_MUST_CHECK;
int sq_amqp_topology_look_bind(struct sq_amqp_peer *, const struct sq_bridge_cfg *, size_t i,
    struct sq_buf *why) SQ_MUST_CHECK;
bool sq_amqp_topology_binds(const struct sq_bridge_cfg *, size_t i);

#endif
