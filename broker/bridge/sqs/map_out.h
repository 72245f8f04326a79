/* The entry of SendMessageBatch that a message becomes (docs/bridges.md, "What a message becomes").
 * Pure.  Thread: any. */
#ifndef SQ_BROKER_BRIDGE_SQS_MAP_OUT_H
#define SQ_BROKER_BRIDGE_SQS_MAP_OUT_H

#include "broker/bridge/bridge.h"
#include "broker/bridge/cfg.h"
#include "broker/bridge/sqs/text.h"

struct sq_sqs_out {
	const struct sq_bridge_cfg *cfg;
	const struct sq_bridge_out *rule;
	const char *space, *queue; /* for templates */
	bool fifo;
};

/* A zeroed struct is an empty one. */
struct sq_sqs_entry {
	struct sq_buf json; /* its members, but for Id: "MessageBody":"...",... */
	size_t
	    size; /* bytes as SQS counts them: the body, and of each attribute name, type, value */
	char group[SQ_SQS_GROUP_MAX + 1]; /* fifo; else "" */
};

/* SQ_EINVAL: it can't be mapped, SQ_ETOOBIG: it is larger than cfg->max_size; with a line in 'why', which
 * has nothing of the message. */
int sq_sqs_map_out(const struct sq_sqs_out *, const struct sq_offered *, struct sq_sqs_entry *out,
    struct sq_buf *why) SQ_MUST_CHECK;
void sq_sqs_entry_fini(struct sq_sqs_entry *);

#endif
