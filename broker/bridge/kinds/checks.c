#include "broker/bridge/kinds/checks.h"

#ifdef SQ_BRIDGE_CHECKS_AMQP
#include "broker/bridge/amqp/check.h"
#endif
#ifdef SQ_BRIDGE_CHECKS_SQS
#include "broker/bridge/sqs/check.h"
#endif

int
sq_bridge_kind_check(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	switch ((enum sq_bridge_kind_index)c->kind) {
	case SQ_BRIDGE_KIND_AMQP:
#ifdef SQ_BRIDGE_CHECKS_AMQP
		return sq_bridge_amqp_check(c, err);
#else
		break;
#endif
	case SQ_BRIDGE_KIND_SQS:
#ifdef SQ_BRIDGE_CHECKS_SQS
		return sq_bridge_sqs_check(c, err);
#else
		break;
#endif
	}
	(void)err;
	return SQ_OK;
}
