/* The kind; see broker/bridge/sqs/sqs.h. */
#include "broker/bridge/sqs/sqs.h"

#include "broker/bridge/sqs/check.h"
#include "broker/bridge/sqs/sqs_priv.h"

const struct sq_bridge_kind sq_bridge_sqs = {.name = "sqs",
    .check = sq_bridge_sqs_check,
    .out = &sq_sqs_forwarder_ops,
    .in = &sq_sqs_inlet_ops};
