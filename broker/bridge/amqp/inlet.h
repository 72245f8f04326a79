/* The in half of the kind "amqp". */
#ifndef SQ_BROKER_BRIDGE_AMQP_INLET_H
#define SQ_BROKER_BRIDGE_AMQP_INLET_H

#include "broker/bridge/bridge.h"

extern const struct sq_inlet_ops sq_amqp_inlet_ops;

#endif
