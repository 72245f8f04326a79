#include "broker/bridge/kinds/checks.h"

#include "broker/bridge/amqp/check.h"
#include "broker/bridge/sqs/check.h"

int
sq_bridge_kind_check(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	static sq_bridge_check *const checks[] = {[SQ_BRIDGE_KIND_AMQP] = sq_bridge_amqp_check,
	    [SQ_BRIDGE_KIND_SQS] = sq_bridge_sqs_check};

	return checks[c->kind](c, err);
}
