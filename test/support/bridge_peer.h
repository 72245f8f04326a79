/* A peer of the contract suite of bridges (test/contract/test_bridge.c): a kind, and what stands on the other
 * side of it, which the suite looks at and writes to by itself. */
#ifndef SQ_TEST_SUPPORT_BRIDGE_PEER_H
#define SQ_TEST_SUPPORT_BRIDGE_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/bridge/bridge.h"
#include "broker/bridge/cfg.h"

struct bridge_user;

enum { PEER_TEXT = 256 };

/* A message at the peer: what it got, or what it gives. */
struct peer_message {
	char topic[PEER_TEXT], payload[PEER_TEXT];
	char origin[PEER_TEXT], hops[PEER_TEXT]; /* "": none */
};

struct bridge_peer {
	const char *name;
	const struct sq_bridge_kind *kind;
	/* The variable of the environment that says where the peer is; not set: the suite passes it by.
	 * NULL: it is always there. */
	const char *address;
	/* Makes it new: it has no message.  The bridge's target and source are there. */
	void (*begin)(const char *address);
	void (*end)(void);
	/* Gives the user what the kind needs of it, beside what all have.  NULL: nothing. */
	void (*equip)(struct bridge_user *);
	/* Fills in what is the kind's own: where it is, who one is; and of the one rule of 'out' and of 'in'
	 * the target and the source.  The suite has set what holds for any kind: the filter "t/#", to
	 * "got/..." what the kind has as a topic. */
	void (*configure)(
	    struct sq_bridge_cfg *, struct sq_bridge_out *rule_out, struct sq_bridge_in *rule_in);
	/* The next message that the peer has got, which it has no longer; false: there is none just now. */
	bool (*next)(struct peer_message *);
	/* Puts a message where the inlet's source is: payload, origin and hops. */
	void (*put)(const struct peer_message *);
	/* How many messages the source has that nobody has acknowledged; those that are out count. */
	size_t (*left)(void);
	/* Cuts the connections and takes no new ones, or does again.  NULL: the suite can't have that. */
	void (*away)(bool);
	bool ordered;  /* a lane comes in order, and nothing is doubled while nothing fails */
	bool has_hops; /* hops and origins go along */
};

#endif
