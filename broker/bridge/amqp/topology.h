/* Exchanges and queues of a bridge at its peer: looked at when a connection is made, and made there where
 * the configuration says so ("declare: true"). */
#ifndef SQ_BROKER_BRIDGE_AMQP_TOPOLOGY_H
#define SQ_BROKER_BRIDGE_AMQP_TOPOLOGY_H

#include "broker/bridge/amqp/peer.h"
#include "broker/bridge/cfg.h"

/* Whether an out[] names one exchange for all messages, and not the default one. */
bool sq_amqp_exchange_is_fixed(const struct sq_bridge_out *);
/* Those that the out half publishes to, as far as no message says which. */
int sq_amqp_topology_out(
    struct sq_amqp_peer *, const struct sq_bridge_cfg *, struct sq_buf *why) SQ_MUST_CHECK;
/* Those that the in half consumes from. */
int sq_amqp_topology_in(
    struct sq_amqp_peer *, const struct sq_bridge_cfg *, struct sq_buf *why) SQ_MUST_CHECK;

#endif
