/* The kinds of peers that this build has (broker/bridge/bridge.h). */
#ifndef SQ_BROKER_BRIDGE_KINDS_KINDS_H
#define SQ_BROKER_BRIDGE_KINDS_KINDS_H

struct sq_bridge_kind;

/* The kind of sq_bridge_kind_names[i]; NULL: it is not built in (-DSQ_BRIDGE_AMQP=OFF, -DSQ_BRIDGE_SQS=OFF). */
const struct sq_bridge_kind *sq_bridge_kind(unsigned i);

#endif
