/* Peers of the contract suite of bridges: queues of a server that speaks SQS, which is started by
 * test/e2e/test_bridges.py. */
#ifndef SQ_TEST_SUPPORT_SQS_BRIDGE_PEER_H
#define SQ_TEST_SUPPORT_SQS_BRIDGE_PEER_H

#include "bridge_peer.h"

/* SQMQOS_TEST_SQS: "BRIDGE PEER CONTROL", the endpoint for the bridge, that for the suite, and the URL to
 * which "/away" and "/back" are posted. */
extern const struct bridge_peer sqs_bridge_peer, sqs_fifo_bridge_peer;

#endif
