#include "broker/bridge/amqp/amqp.h"

#include "broker/bridge/amqp/check.h"
#include "broker/bridge/amqp/forwarder.h"
#include "broker/bridge/amqp/inlet.h"

const struct sq_bridge_kind sq_bridge_amqp = {.name = "amqp",
    .check = sq_bridge_amqp_check,
    .out = &sq_amqp_forwarder_ops,
    .in = &sq_amqp_inlet_ops};
