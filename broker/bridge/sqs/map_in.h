/* What a received message becomes (docs/bridges.md, "What comes from SQS").  Pure but for the time that is
 * given.  Thread: any. */
#ifndef SQ_BROKER_BRIDGE_SQS_MAP_IN_H
#define SQ_BROKER_BRIDGE_SQS_MAP_IN_H

#include "broker/bridge/bridge.h"
#include "broker/bridge/cfg.h"
#include "broker/bridge/sqs/calls.h"

struct sq_sqs_in {
	const struct sq_bridge_cfg *cfg;
	const struct sq_bridge_in *rule;
	const char *space, *queue; /* for templates */
	size_t max_packet;         /* bytes of an image */
	uint64_t wall_ms;          /* since 1970 */
};

/* A message that has arrived.  A zeroed struct is an empty one. */
struct sq_sqs_arrival {
	/* All but 'rule' and the inlet's part; it points into the buffers below. */
	struct sq_arrived arrived;
	struct sq_buf key, hops, why;
};

/* Always makes one: of what can't be published, one that says why, with the body as its payload. */
void sq_sqs_map_in(const struct sq_sqs_in *, const struct sq_sqs_messages *,
    const struct sq_sqs_received *, struct sq_sqs_arrival *out);
void sq_sqs_arrival_fini(struct sq_sqs_arrival *);

#endif
