/* Bridges: messages to a system on the other side, and from it (docs/bridges.md).
 *
 *   queue "bridge.NAME" ──taker──▶ broker/bridge ──offer()──▶ forwarder ──▶ the peer
 *                                       ◀──offered()──
 *   publish, one transaction ◀── broker/bridge ◀──arrived()── inlet ◀── the peer
 *                                       ──settled()──▶
 *
 * This is the contract of a kind of peer: a forwarder (out) and an inlet (in), either of which a bridge
 * may lack.  All calls, in both directions, come on the bridge's worker, and none blocks; a kind that
 * needs a thread has it inside, and posts to the worker (struct sq_bridge_env.post).  An operation may
 * call back into 'env' before it returns.
 *
 * Suite: test/contract/test_bridge.c. */
#ifndef SQ_BROKER_BRIDGE_BRIDGE_H
#define SQ_BROKER_BRIDGE_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/list.h"
#include "core/msg.h"

struct sq_bridge_cfg;
struct sq_creds;
struct sq_forwarder_ops;
struct sq_inlet_ops;
struct sq_out;
struct sq_task;

enum {
	SQ_BRIDGE_DETAIL_MAX = 256, /* bytes of a 'why': UTF-8, without payload and secrets */
	SQ_BRIDGE_KEY_MAX = 512,    /* bytes of a dedup key */
};

/* --- out --- */

/* What became of an offered message. */
enum sq_offer {
	SQ_OFFER_ACCEPTED, /* the peer has it, as durably as it says */
	SQ_OFFER_LATER, /* not now: the peer is away, blocked, throttled: no attempt of the message */
	SQ_OFFER_FAILED, /* this message failed, and may be tried again: an attempt */
	SQ_OFFER_NEVER,  /* refused for good: a dead letter, see 'never' */
};

/* Reasons of SQ_OFFER_NEVER: those of dead letters. */
enum sq_offer_never {
	SQ_OFFER_REFUSED,
	SQ_OFFER_UNMAPPABLE, /* a template has nothing, or what it gives is none of the peer's */
	SQ_OFFER_TOO_LARGE,
	SQ_OFFER_UNROUTABLE, /* the peer has nobody for it */
};

/* A message that is offered: the forwarder's to hold, not to change, from offer() until offered(). */
struct sq_offered {
	const struct sq_msg
	    *msg;      /* as it is stored: broker/bridge/carry.h says what of it goes along */
	unsigned rule; /* of sq_bridge_cfg.out */
	const char
	    *origin; /* ASCII: the same at each attempt, and nobody else's; header sqmqos-origin */
	const char *hops; /* ASCII: header sqmqos-hops, with this bridge at its end */
	uint64_t lane;    /* those of one lane are to reach the peer in the order of their offers */
	uint64_t arrived_ms; /* when it was published, since 1970; 0: not known */
	uint64_t expires_ms; /* since 1970; 0: never */
	uint32_t attempt;    /* from 1 on */
	uint8_t qos;         /* 0 to 3, as it was published */
	bool again;          /* an earlier offer of it ended with 'uncertain' */
	/* The forwarder's. */
	struct sq_list node;
	void *held;
};

/* How an offer ended. */
struct sq_offer_end {
	enum sq_offer how;
	enum sq_offer_never never; /* of NEVER */
	/* LATER, FAILED: not before that time is over; 0: LATER when room() grows, FAILED as the queue's
	 * retry says. */
	uint32_t after_ms;
	bool uncertain;  /* LATER, FAILED: the peer may have it all the same; counted */
	const char *why; /* for people; NULL: nothing to say */
};

/* --- in --- */

/* What became of a message that has arrived. */
enum sq_arrival {
	SQ_ARRIVAL_TAKEN, /* durable here, or not wanted for good: the peer may forget it */
	SQ_ARRIVAL_LATER, /* there is no room for it now: the inlet hands it back, or holds it and brings
			   * it again, after SQ_BRIDGE_LATER_MS at the earliest.  Those of its lane that the
			   * user has had meanwhile end so, too, and come again in their order */
};

enum { SQ_BRIDGE_LATER_MS = 1000 };

/* A message that has arrived: in the inlet's memory, unchanged from arrived() until settled(). */
struct sq_arrived {
	/* As it is to be published: topic, properties and payload, with a reference of the inlet's.  Best
	 * with the QoS of its rule: else it is made anew.  Of one that can't be published it is what a
	 * letter can have of it: any topic, perhaps no payload. */
	struct sq_msg msg;
	const char
	    *unmappable;     /* why it can't be published: it becomes a dead letter; NULL: it can */
	bool too_large;      /* that is why */
	unsigned rule;       /* of sq_bridge_cfg.in */
	struct sq_bytes key; /* equal for all copies of one message, ASCII; .len 0: none is known */
	struct sq_bytes hops; /* what the peer's header sqmqos-hops said; .len 0: nothing */
	bool again;           /* the peer says that it was delivered before */
	/* The inlet's. */
	struct sq_list node;
	void *held;
};

/* --- the user --- */

enum sq_bridge_half { SQ_BRIDGE_OUT, SQ_BRIDGE_IN, SQ_BRIDGE_HALVES };

/* The user of a forwarder or an inlet; good until it has said that it is closed. */
struct sq_bridge_env {
	const char *scope;      /* of lines in the log: "bridge/NAME" */
	const char *space;      /* where it is at home */
	const char *queue;      /* "bridge.NAME": its own, also where it has no out half */
	const char *install;    /* ASCII, unique: header sqmqos-hops begins with it */
	const char *user_agent; /* "sqmqos/1.2" */
	size_t max_packet;      /* bytes of an image that may arrive */
	/* Runs the task on the bridge's worker, in its turn.  Thread: any. */
	void (*post)(void *owner, struct sq_task *);
	/* For requests of HTTP; NULL with a line in 'err': there is no libcurl. */
	struct sq_out *(*http)(void *owner, struct sq_buf *err);
	struct sq_creds *creds; /* for AWS (net/cred/cred.h); NULL: none */

	/* The forwarder: room() has grown. */
	void (*room)(void *owner);
	/* Ends an offer, exactly once; the item is not the forwarder's any more.  In any order between
	 * lanes, in order within one.  After LATER or FAILED for an item, no later item of its lane that
	 * is out may end with ACCEPTED unless the peer may have that already: they end with LATER, too. */
	void (*offered)(void *owner, struct sq_offered *, const struct sq_offer_end *);
	/* The inlet: brings messages, of which each ends by settled(); no more than it was asked for. */
	void (*arrived)(void *owner, struct sq_arrived *const *, size_t n);
	/* Either: the peer can be spoken to, or can't, and why.  Said at each change, also of 'why' while
	 * it is up, as of a queue that is not there; the user logs it once, and counts. */
	void (*state)(void *owner, enum sq_bridge_half, bool up, const char *why);
	void *owner;
};

/* One that is open: a kind's own struct has it as a member (SQ_CONTAINER_OF), and open() fills it in. */
struct sq_forwarder {
	const struct sq_forwarder_ops *ops;
};

struct sq_inlet {
	const struct sq_inlet_ops *ops;
};

struct sq_forwarder_ops {
	/* Makes one and begins to connect; a peer that is away is no error.  'cfg' is good until it is
	 * closed.  NULL with a line in 'err': something of this machine is wrong, as a file of secrets. */
	struct sq_forwarder *(*open)(
	    const struct sq_bridge_env *, const struct sq_bridge_cfg *, struct sq_buf *err);
	/* How many more items it takes now; env->room() follows when that grows from 0. */
	unsigned (*room)(const struct sq_forwarder *);
	/* Takes items of one or more lanes, at most room(), in order per lane. */
	void (*offer)(struct sq_forwarder *, struct sq_offered *const *items, size_t n);
	/* Appends members of a JSON object for GET /v1/bridges: "connections":2, or nothing.  None is
	 * named as one that docs/bridges.md has of every kind. */
	void (*status)(const struct sq_forwarder *, struct sq_buf *json_members);
	/* Takes no more.  What can be finished within 'within_ms' is; the rest ends with LATER, then
	 * closed() follows, and frees nothing of the user's.  Called once. */
	void (*close)(
	    struct sq_forwarder *, unsigned within_ms, void (*closed)(void *arg), void *arg);
};

struct sq_inlet_ops {
	/* As of a forwarder. */
	struct sq_inlet *(*open)(
	    const struct sq_bridge_env *, const struct sq_bridge_cfg *, struct sq_buf *err);
	/* It may have that many with the user that are not settled; 0 at first.  The broker's way to
	 * slow a peer down. */
	void (*demand)(struct sq_inlet *, unsigned n);
	/* What became of a message, after its commit, in any order: the inlet tells its peer. */
	void (*settled)(struct sq_inlet *, struct sq_arrived *, enum sq_arrival);
	void (*status)(const struct sq_inlet *, struct sq_buf *json_members);
	/* Brings nothing more; hands back at its peer what the user has not settled, which is then no
	 * longer settled; what is settled but not told to the peer is told if it can be within
	 * 'within_ms'.  Then closed(). */
	void (*close)(struct sq_inlet *, unsigned within_ms, void (*closed)(void *arg), void *arg);
};

/* A kind of peer. */
struct sq_bridge_kind {
	const char *name; /* as in the configuration */
	/* Whether the configuration is good, beside what sq_bridge_cfg_check() says of any kind: SQ_EINVAL
	 * with a line in 'err' that names the key.  Pure: no file, no network; for lint, too. */
	int (*check)(const struct sq_bridge_cfg *, struct sq_buf *err);
	const struct sq_forwarder_ops *out;
	const struct sq_inlet_ops *in;
};

#endif
