/* RabbitMQ as a peer of the contract suite of bridges; test/e2e/test_bridges.py starts it.
 *
 * SQMQOS_TEST_AMQP: "PORT USER-FILE PASSWORD-FILE CONTROL", a node on 127.0.0.1, who the bridge is, and a
 * program with the commands "away", "back" and "left QUEUE", which prints how many messages it has. */
#ifndef SQ_TEST_SUPPORT_RABBIT_BRIDGE_PEER_H
#define SQ_TEST_SUPPORT_RABBIT_BRIDGE_PEER_H

#include "bridge_peer.h"

/* With queues of each type. */
extern const struct bridge_peer rabbit_classic_bridge_peer, rabbit_quorum_bridge_peer;

#endif
