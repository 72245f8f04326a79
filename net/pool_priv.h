/* The pool's own, below its files.  From low to high: member.c has one link's machine; scout.c goes
 * by the whereabouts of the owner; pool.c has the pool's life. */
#ifndef SQ_NET_POOL_PRIV_H
#define SQ_NET_POOL_PRIV_H

#include "net/named.h"
#include "net/peers.h"
#include "net/pool.h"
#include "net/trust_fetch.h"
#include "net/whereabouts.h"
#include "proto/reconnect/reconnect.h"

struct sq_seat {
	struct sq_peer *peer; /* claimed, or NULL */
	bool filled;          /* it has its members */
};

struct sq_member {
	struct sq_list node;
	struct sq_pool *pool;
	struct sq_seat *seat;
	unsigned index; /* within the seat, from 1 */
	struct sq_reconnect *machine;
	struct ev_timer timer;    /* the machine's deadline */
	struct sq_uplink *uplink; /* NULL between dials */
	struct sq_peer *peer;     /* of the uplink, with a reference */
	bool waiting;             /* for a name */
	bool waited;              /* in vain, the last time */
	bool up, draining;
	bool scout;               /* the pool's, and none of its members yet (scout.c) */
	bool asked;               /* a scout: it awaits an answer */
	unsigned turn;            /* dials in vain: each other one is not at the owner */
	uint64_t up_ms, heard_ms; /* up_ms, of a scout: of its question */
};

/* What members tell those above them. */
struct sq_member_user {
	/* The whereabouts are others, perhaps. */
	void (*aim)(struct sq_pool *);
	/* A member was answered 421.  True: that says where to go, and is followed. */
	bool (*led)(struct sq_pool *, const struct sq_member *);
	/* No link to an owner is left. */
	void (*lost)(struct sq_pool *);
	/* A scout's link is up, or its request is refused. */
	void (*up)(struct sq_member *);
	void (*refused)(struct sq_member *);
};

struct sq_pool {
	const struct sq_member_user *user;
	struct sq_pool_cfg cfg;
	struct sq_pool_events events;
	void *owner;
	struct ev_loop *loop;
	struct sq_uplink_env env;
	struct sq_trust *trust; /* NULL: in the clear */
	struct sq_trust_fetch fetch;
	struct sq_pair *pair; /* NULL: none is shown */
	struct sq_reconnect_cfg machine;
	struct sq_peers *peers;
	struct sq_whereabouts where;            /* of the owner, where several share the state */
	struct sq_named *owner_at, *standby_at; /* where.owner, where.standby */
	struct sq_member *scout;                /* the connection to the standby; NULL: none */
	uint64_t
	    haste_ms; /* until when an owner that is away, or has just come, is dialled in haste */
	uint64_t lost_ms; /* since when no owner is known to be there; 0: one is */
	uint64_t forget_at_ms;
	struct sq_list members;
	struct sq_seat *seats;
	struct ev_prepare flush;
	struct ev_timer reap, upkeep;
	uint64_t lot; /* state of sq_pool_pick()'s generator */
};

/* Members. */

/* Makes one, which dials soon, after 'floor_ms' at the least. */
void sq_member_new(struct sq_pool *, struct sq_seat *, unsigned index, uint64_t floor_ms);
/* Frees one without an event. */
void sq_member_free(struct sq_member *);
/* The member's link has ended: answers its requests, tells the owner, and goes on with the machine. */
void sq_member_down(struct sq_member *);
/* Dials, or waits for a name if all that is known has failed of late. */
void sq_member_dial(struct sq_member *);
/* Has a member without a link dial at once, the owner first. */
void sq_member_hurry(struct sq_member *);
/* Dials that peer; what comes of it is an event. */
void sq_member_connect(struct sq_member *, struct sq_peer *);
/* A scout, whose link is up, becomes a member. */
void sq_member_adopt(struct sq_member *, struct sq_seat *, unsigned index);
void sq_member_on_names(struct sq_pool *);

/* Reads the token's file again if it has changed. */
void sq_member_refresh_token(struct sq_pool *);
/* Whether an owner that is away, or has just come, is dialled in haste. */
bool sq_member_hastes(const struct sq_pool *);

/* The scout, and where the owner is. */

/* The whereabouts are others, perhaps: links to owners of before end, members without a link dial. */
void sq_scout_aim(struct sq_pool *);
/* The scout's link has ended. */
void sq_scout_down(struct sq_member *);
extern const struct sq_member_user sq_scout_user;

#endif
