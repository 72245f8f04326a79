/* Whether a configuration is one for sqs; as struct sq_bridge_kind.check.  Pure. */
#ifndef SQ_BROKER_BRIDGE_SQS_CHECK_H
#define SQ_BROKER_BRIDGE_SQS_CHECK_H

#include "broker/bridge/cfg.h"

int sq_bridge_sqs_check(const struct sq_bridge_cfg *, struct sq_buf *err) SQ_MUST_CHECK;

#endif
