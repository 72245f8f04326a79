/* The two halves, forwarder.c and inlet.c. */
#ifndef SQ_BROKER_BRIDGE_SQS_SQS_PRIV_H
#define SQ_BROKER_BRIDGE_SQS_SQS_PRIV_H

#include "broker/bridge/bridge.h"

extern const struct sq_forwarder_ops sq_sqs_forwarder_ops;
extern const struct sq_inlet_ops sq_sqs_inlet_ops;

#endif
