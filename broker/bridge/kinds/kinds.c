#include "broker/bridge/kinds/kinds.h"

#include <stddef.h>

#include "broker/bridge/cfg.h"
#ifdef SQ_BRIDGE_HAS_AMQP
#include "broker/bridge/amqp/amqp.h"
#endif
#ifdef SQ_BRIDGE_HAS_SQS
#include "broker/bridge/sqs/sqs.h"
#endif

const struct sq_bridge_kind *
sq_bridge_kind(unsigned i)
{
	switch ((enum sq_bridge_kind_index)i) {
	case SQ_BRIDGE_KIND_AMQP:
#ifdef SQ_BRIDGE_HAS_AMQP
		return &sq_bridge_amqp;
#else
		break;
#endif
	case SQ_BRIDGE_KIND_SQS:
#ifdef SQ_BRIDGE_HAS_SQS
		return &sq_bridge_sqs;
#else
		break;
#endif
	}
	return NULL;
}
