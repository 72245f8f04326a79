/* The out half of the kind "amqp". */
#ifndef SQ_BROKER_BRIDGE_AMQP_FORWARDER_H
#define SQ_BROKER_BRIDGE_AMQP_FORWARDER_H

#include "broker/bridge/bridge.h"

extern const struct sq_forwarder_ops sq_amqp_forwarder_ops;

#endif
