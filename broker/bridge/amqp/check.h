/* Whether the configuration of a bridge of kind "amqp" is good.  Pure. */
#ifndef SQ_BROKER_BRIDGE_AMQP_CHECK_H
#define SQ_BROKER_BRIDGE_AMQP_CHECK_H

#include "broker/bridge/cfg.h"

/* As struct sq_bridge_kind has it. */
int sq_bridge_amqp_check(const struct sq_bridge_cfg *, struct sq_buf *err) SQ_MUST_CHECK;

#endif
