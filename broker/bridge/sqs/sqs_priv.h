/* The two halves, forwarder.c and inlet.c.  struct sq_forwarder and struct sq_inlet stand for structs of
 * their own there, as these names are those of another kind. */
#ifndef SQ_BROKER_BRIDGE_SQS_SQS_PRIV_H
#define SQ_BROKER_BRIDGE_SQS_SQS_PRIV_H

#include "broker/bridge/bridge.h"

extern const struct sq_forwarder_ops sq_sqs_forwarder;
extern const struct sq_inlet_ops sq_sqs_inlet;

#endif
