/* The in half of a bridge: publishes what the inlet of its kind brings.
 *
 *   inlet --arrived()--> queue --turns of the worker--> transactions --commit--> settled() --> inlet
 *
 * Each message is published by "bridge:SPACE/NAME" under the rules of its space (broker/auth/acl), as a
 * client's would be, but that the options in its properties were carried out where it comes from: it has
 * none.  With it in one transaction goes its key (dedup.h).  Settled after the commit, in order:
 *
 *   TAKEN   published; or known already, after the commit of the first one; or its hops name this
 *           installation; or a dead letter of the space: unmappable, too large, refused
 *   LATER   its queue is full, or the store, or memory.  So that the order of a lane (the order key,
 *           else the topic) stays, those of its lane that came meanwhile have to come again, too
 *
 * What matches much goes on in later turns, in several transactions.  A peer is slowed down by the inlet's
 * demand: there is less while memory is short, and none while the bridge is paused, or sessions are on their
 * way back; and by settling a batch later whose queues run behind (broker/shard/pace.h).
 *
 * On the bridge's worker. */
#ifndef SQ_BROKER_BRIDGE_INWARD_H
#define SQ_BROKER_BRIDGE_INWARD_H

#include "broker/bridge/bridge.h"

struct sq_bridge_told;
struct sq_dedups;
struct sq_inward;
struct sq_shard;

/* All that it points to stays until it is closed. */
struct sq_inward_cfg {
	struct sq_shard *shard; /* of the bridge's worker */
	const struct sq_inlet_ops *ops;
	const struct sq_bridge_cfg *bridge;
	/* For the inlet; copied.  'arrived' is not looked at; the others are called with its owner. */
	const struct sq_bridge_env *env;
	struct sq_bridge_told *told; /* told.h: counts of the in half */
	struct sq_dedups *dedups;
	bool paused; /* from the start */
};

/* Opens an inlet and asks it for messages.  NULL with a line in 'err', which is the inlet's. */
struct sq_inward *sq_inward_open(const struct sq_inward_cfg *, struct sq_buf *err);
/* While it is paused nothing more is asked for; what has arrived is still published. */
void sq_inward_pause(struct sq_inward *, bool paused);
/* Some times a second. */
void sq_inward_tick(struct sq_inward *, uint64_t now_ms);
/* Appends members of a JSON object: the inlet's, then "keys":100. */
void sq_inward_status(const struct sq_inward *, struct sq_buf *json_members);
/* Whether nothing has arrived that is not settled. */
bool sq_inward_idle(const struct sq_inward *);
/* Takes nothing more, waits for commits that are on their way, closes the inlet, and calls closed(), in a
 * later turn: then it is freed.  What has arrived and is in no transaction goes back to the peer.  Longer
 * than 'within_ms' only as long as the store makes nothing durable.  Called once. */
void sq_inward_close(struct sq_inward *, unsigned within_ms, void (*closed)(void *arg), void *arg);

#endif
