/* The out half of a bridge: takes messages of the bridge's queue and offers them to the forwarder of its
 * kind.
 *
 *   queue --taker--> rule, hops, origin --offer()--> forwarder --offered()--> settlements --> queue
 *
 * It asks the queue for no more than the forwarder has room for, than 'window' says, and than memory
 * allows.  The first rule of 'out' that matches counts.  Settled is what the peer has accepted, and what
 * it never will (a dead letter); an attempt that failed waits in the queue's dispatcher, with its lane
 * behind it.  Settlements of one turn share their transactions.
 *
 * A message that has passed this bridge before, by its hops, is settled and counted; one that has more
 * hops than max-hops is a dead letter, loop.
 *
 * On the bridge's worker. */
#ifndef SQ_BROKER_BRIDGE_OUTWARD_H
#define SQ_BROKER_BRIDGE_OUTWARD_H

#include "broker/bridge/bridge.h"

struct sq_bridge_told;
struct sq_outward;
struct sq_pull;
struct sq_shard;

/* All that it points to stays until it is closed. */
struct sq_outward_cfg {
	struct sq_shard *shard; /* of the bridge's worker */
	const struct sq_forwarder_ops *ops;
	const struct sq_bridge_cfg *bridge;
	/* For the forwarder; copied.  'room' and 'offered' are not looked at; the others are called with
	 * its owner. */
	const struct sq_bridge_env *env;
	struct sq_bridge_told *told;
	const char *origin; /* what origins begin with: the digits of the installation */
	bool paused;        /* from the start */
};

/* Opens a forwarder.  NULL with a line in 'err', which is the forwarder's. */
struct sq_outward *sq_outward_open(const struct sq_outward_cfg *, struct sq_buf *err);
/* The queue is served by that pull: it takes from there.  Nothing happens if it does already. */
void sq_outward_serve(struct sq_outward *, struct sq_pull *);
/* While it is paused it takes nothing; what is out goes on. */
void sq_outward_pause(struct sq_outward *, bool paused);
/* Some times a second. */
void sq_outward_tick(struct sq_outward *, uint64_t now_ms);
/* Appends members of a JSON object: the forwarder's, then "settling":3. */
void sq_outward_status(const struct sq_outward *, struct sq_buf *json_members);
/* Whether nothing is with the forwarder or on its way to be settled. */
bool sq_outward_idle(const struct sq_outward *);
/* Takes nothing more, closes the forwarder, settles what it has accepted, leaves the queue, and calls
 * closed(), in a later turn: then it is freed.  Called once. */
void
sq_outward_close(struct sq_outward *, unsigned within_ms, void (*closed)(void *arg), void *arg);

#endif
