/* The kind; see broker/bridge/sqs/sqs.h. */
#include "broker/bridge/sqs/sqs.h"

#include "broker/bridge/sqs/check.h"
#include "broker/bridge/sqs/sqs_priv.h"

static const struct sq_forwarder_ops sqs_out = {
    .open = sq_sqs_forwarder_open,
    .room = sq_sqs_forwarder_room,
    .offer = sq_sqs_forwarder_offer,
    .status = sq_sqs_forwarder_status,
    .close = sq_sqs_forwarder_close,
};

static const struct sq_inlet_ops sqs_in = {
    .open = sq_sqs_inlet_open,
    .demand = sq_sqs_inlet_demand,
    .settled = sq_sqs_inlet_settled,
    .status = sq_sqs_inlet_status,
    .close = sq_sqs_inlet_close,
};

const struct sq_bridge_kind sq_bridge_sqs = {
    .name = "sqs",
    .check = sq_bridge_sqs_check,
    .out = &sqs_out,
    .in = &sqs_in,
};
