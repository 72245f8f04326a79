/* A message of AMQP 0.9.1 as one of ours (docs/bridges.md).  Pure. */
#ifndef SQ_BROKER_BRIDGE_AMQP_MAP_IN_H
#define SQ_BROKER_BRIDGE_AMQP_MAP_IN_H

#include <amqp.h>
#include <stdbool.h>

#include "broker/bridge/cfg.h"
#include "core/err.h"
#include "core/msg.h"

enum {
	SQ_AMQP_DEPTH_MAX = 16,   /* of tables within tables that become JSON */
	SQ_AMQP_ORIGIN_MAX = 500, /* bytes of an origin that counts */
};

/* What the peer has delivered. */
struct sq_amqp_delivery {
	struct sq_bytes key; /* its routing key */
	const amqp_basic_properties_t *props;
	struct sq_bytes body;
};

/* What became of it. */
struct sq_amqp_in {
	struct sq_msg msg; /* with one reference */
	struct sq_buf key; /* that of copies; empty: none is known */
	struct sq_buf hops;
};

/* Fills 'out', which is zeroed, for a rule of the bridge.  'max_packet': bytes of an image at most.
 * SQ_EINVAL: it is none of ours; SQ_ETOOBIG; both with the reason in 'why', without anything of the
 * message but names of headers, with 'key' and 'hops' as far as they are known, and without 'msg'. */
int sq_amqp_map_in(const struct sq_amqp_delivery *, const struct sq_bridge_cfg *,
    const struct sq_bridge_in *rule, size_t max_packet, struct sq_amqp_in *out,
    struct sq_buf *why) SQ_MUST_CHECK;
/* What a dead letter has of a message that can't be published: its payload, under the bridge's name. */
struct sq_msg sq_amqp_letter(
    const struct sq_bridge_cfg *, const struct sq_bridge_in *rule, struct sq_bytes payload);
/* Gives back what it has; it may be used again. */
void sq_amqp_in_fini(struct sq_amqp_in *);

#endif
