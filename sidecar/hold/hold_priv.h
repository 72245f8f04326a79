/* The layout of a hold, and the functions that files of this folder call of each other. */
#ifndef SQ_SIDECAR_HOLD_HOLD_PRIV_H
#define SQ_SIDECAR_HOLD_HOLD_PRIV_H

#include "core/htab.h"
#include "core/list.h"
#include "proto/link/inbox.h"
#include "proto/link/order_out.h"
#include "sidecar/hold/table.h"
#include "sidecar/hold/budget.h"
#include "sidecar/hold/post.h"
#include "sidecar/hold/refusals.h"
#include "sidecar/hold/hold.h"
#include "sidecar/hold/user.h"

enum sq_hold_state {
	SQ_HOLD_QUEUED,    /* waits for the older connection of its client id to end */
	SQ_HOLD_WAITING,   /* waits for a link */
	SQ_HOLD_DOWN,      /* attaches at 'due.attach' */
	SQ_HOLD_ATTACHING, /* the PUT is on its way */
	SQ_HOLD_ATTACHED,
	SQ_HOLD_DETACHING, /* the detach is on its way */
	SQ_HOLD_ENDED,     /* waits for the answers to its last requests */
};

struct sq_sub_request;

/* The attachment; written by attach.c. */
struct sq_hold_at {
	struct sq_list place; /* holds->waiting, or its link's holds */
	struct sq_hnode epoch_node;
	struct sq_uplink *link; /* NULL: it is not attached */
	uint64_t ordinal, epoch, incarnation;
	uint64_t since_ms; /* when it was attached; 0: it is not */
	uint32_t attempt, failures;
	uint32_t seq; /* attachments so far */
	uint16_t receive_max;
	bool clean_start, keeper;
	bool put_sent;    /* the broker may know this connection */
	bool recovered;   /* the session continues from an earlier attachment */
	bool turned_away; /* no broker had room for it */
};

/* Messages to the broker: lanes.c, request.c, refused.c. */
struct sq_hold_up {
	uint64_t last[SQ_LANES]; /* from the attach, for lanes not made yet */
	struct sq_lane_out *lane[SQ_LANES];
	uint64_t refused_ms; /* since when messages are refused and nothing goes on; 0: not now */
	struct sq_refusals refusals;
	uint32_t retry_ms;   /* backoff of a refused message */
	uint32_t lane1_qos0; /* messages of QoS 0 in lane 1 without an outcome */
	bool lane1_waits;    /* waits for entries of lane 0, to keep a topic's order */
};

/* Subscriptions; written by order.c, subs.c and made.c. */
struct sq_hold_subs {
	struct sq_order_out order;     /* requests whose place among the publishes counts */
	struct sq_list asked;          /* struct sq_subreq: requests without a place */
	struct sq_sub_request *asking; /* the one of them that is on its way; NULL: none */
	size_t bytes;                  /* of all requests without an answer */
	uint64_t n_asked;              /* entries of the client's SUBSCRIBEs without an answer */
	struct sq_htab made;           /* struct sq_made: the client's subscriptions */
	void *watched;                 /* the watch's own state of this hold */
	unsigned flights;              /* requests of both kinds without a response */
	bool knows_made;               /* 'made' equals the broker's list; false: the attach asks
	                                * for the list */
};

/* Times at which the hold acts by itself, in ms of sq_holds_now(); 0: none. */
struct sq_hold_due {
	uint64_t attach, pause, retry, linger;
};

/* The end of the hold, as its user wants it. */
struct sq_hold_bye {
	struct sq_block *will;
	uint32_t will_delay_s, expiry_s;
	bool leaving, publish_will;
	bool quiet;       /* see SQ_LEAVE_QUIET */
	bool detach_sent; /* everything else was sent before it */
};

struct sq_hold {
	struct sq_holds *holds;
	const struct sq_hold_user *ops;
	void *user;         /* NULL: it has left, or there never was one */
	struct sq_list all; /* holds->all */
	struct sq_timed_turn turn;
	struct sq_hnode client_node;
	struct sq_hold *older, *newer; /* connections of the same client id */
	char *path;                    /* "/v1/sessions/<key>" */
	char *client_id;
	struct sq_budget_share share;
	struct sq_hold_gate *gate; /* NULL: its subscriptions have a place among its lanes alone */
	struct sq_inbox *inbox;
	struct sq_hold_at at;
	struct sq_hold_up up;
	struct sq_hold_subs subs;
	struct sq_hold_due due;
	struct sq_hold_bye bye;
	uint32_t requests;
	uint8_t state, version;
	bool durable;
	bool in_clients; /* in holds->by_client */
};

/* Whether a client waits for the hold's outcomes: its user is there, and no keeper or sender. */
static inline bool
sq_hold_has_client(const struct sq_hold *hold)
{
	return hold->user != NULL && !hold->ops->comes_again;
}

/* --- state.c --- */

/* Puts the hold into the table by client id, where the next connection finds it; takes it out. */
void sq_hold_show(struct sq_hold *);
void sq_hold_hide(struct sq_hold *);
/* Tells the client that it may try again after SQ_EAGAIN. */
void sq_hold_writable(struct sq_hold *);
/* Frees a hold that has ended and has no request, at the end of the turn. */
void sq_hold_bury(struct sq_hold *);
/* Tells the budget the bytes that the lanes hold now. */
void sq_hold_backlog(struct sq_hold *);
/* Forgets the link and the epoch. */
void sq_hold_unlink(struct sq_hold *);
/* The broker has ended the attachment, for 'text', which is for people and may be empty. */
void sq_hold_detached(struct sq_hold *, uint8_t reason, struct sq_bytes text);
/* The broker has ended the attachment: known by a 409 that came before the frame. */
void sq_hold_superseded(struct sq_hold *);

/* --- request.c --- */

/* The text of a 401 or 403 for people; static. */
const char *sq_hold_denied_text(const struct sq_hold *, const struct sq_answer *);
/* At the end of the program, without a pool: every request has failed. */
void sq_hold_fail_posts(struct sq_holds *);

/* --- lanes.c --- */

/* Posts the batches that may be sent now. */
void sq_hold_post_lanes(struct sq_hold *, uint64_t now_ms);
/* Gives the outcomes that have come to the client. */
void sq_hold_outcomes(struct sq_hold *, uint64_t now_ms);

/* --- settle.c --- */

void sq_hold_post_settlements(struct sq_hold *);
void sq_hold_flush_pubrels(struct sq_hold *);
void sq_hold_deliver(
    struct sq_hold *, const struct sq_deliver *, const struct sq_target *, struct sq_block *block);

/* --- made.c --- */

/* Moves the subscriptions of 'from' to 'to', the next connection of the client id. */
void sq_hold_inherit_subs(struct sq_hold *to, struct sq_hold *from);
void sq_hold_free_subs(struct sq_hold *);

/* --- order.c --- */

/* A frame 'subscribed' has come: gives the answers in it to their requests. */
void sq_hold_subscribed(struct sq_hold *, const struct sq_frame *);

/* --- remake.c --- */

/* The broker has lost the subscriptions: subscribes to everything again; replaces requests of an
 * earlier loss that were not posted. */
void sq_hold_resubscribe(struct sq_hold *);
/* The broker's list of the client's earlier subscriptions: 'n' entries for sq_kept_next(); 'last':
 * no more follow. */
void sq_hold_kept(struct sq_hold *, bool last, uint16_t n, struct sq_bytes entries);
/* Ends the client's subscriptions that the pod's rights no longer allow. */
void sq_hold_enforce(struct sq_hold *);

/* --- attach.c --- */

void sq_hold_attach(struct sq_hold *);
void sq_hold_post_detach(struct sq_hold *);
void sq_hold_link_draining(struct sq_hold *);
void sq_hold_link_down(struct sq_hold *);

/* --- hold.c --- */

/* Ends the hold at once, at the end of the program. */
void sq_hold_drop(struct sq_hold *);
/* The hold has ended; 'heir' (NULL: none) continues with its session.  See sq_holds.over. */
void sq_hold_over(struct sq_hold *, struct sq_hold *heir);
/* Whether the hold has something for a broker that the end of this process would lose: publishes,
 * acknowledgements, a will.  The detach alone does not count: a broker sees its link end. */
bool sq_hold_owes(const struct sq_hold *);

#endif
