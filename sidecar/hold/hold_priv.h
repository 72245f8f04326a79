/* Layout of a hold, and what the files of this folder call of each other. */
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
	SQ_HOLD_QUEUED,    /* behind the older connection of its client id */
	SQ_HOLD_WAITING,   /* for a link */
	SQ_HOLD_DOWN,      /* attaches when the alarm 'due' rings */
	SQ_HOLD_ATTACHING, /* the PUT is on its way */
	SQ_HOLD_ATTACHED,
	SQ_HOLD_DETACHING, /* the detach is on its way */
	SQ_HOLD_ENDED,     /* waits for its last request */
};

struct sq_sub_request;

/* Where it is attached: attach.c. */
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
	bool recovered;   /* it goes on with what was before this attach */
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
	bool lane1_waits;    /* for what lane 0 has, to keep a topic's order */
};

/* What is subscribed to: order.c, subs.c, made.c. */
struct sq_hold_subs {
	struct sq_order_out order;     /* what is asked in the client's order */
	struct sq_list asked;          /* struct sq_subreq: what is asked outside of it, */
	struct sq_sub_request *asking; /* and of that, what is on its way; NULL: nothing */
	size_t bytes;                  /* of what is asked */
	uint64_t n_asked;              /* entries of the client's SUBSCRIBEs without an answer */
	struct sq_htab made;           /* what the client has subscribed to */
	void *watched;                 /* the watch's word of that */
	unsigned flights;              /* requests of both kinds without a response */
	bool knows_made;               /* 'made' has what the broker has; else it is asked */
};

/* When it has something to do by itself; 0: not. */
struct sq_hold_due {
	uint64_t attach, pause, retry, linger;
};

/* How it ends. */
struct sq_hold_bye {
	struct sq_block *will;
	uint32_t will_delay_s, expiry_s;
	bool leaving, publish_will;
	bool quiet;       /* see SQ_LEAVE_QUIET */
	bool detach_sent; /* all else had been said before */
};

struct sq_hold {
	struct sq_holds *holds;
	const struct sq_hold_user *ops;
	void *user;         /* NULL: gone, or nobody */
	struct sq_list all; /* holds->all */
	struct sq_timed_turn turn;
	struct sq_hnode client_node;
	struct sq_hold *older, *newer; /* connections of the same client id */
	char *path;                    /* "/v1/sessions/<key>" */
	char *client_id;
	struct sq_budget_share share;
	struct sq_hold_gate *gate; /* NULL: its subscriptions wait for nothing but its lanes */
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

/* Whether somebody waits for what becomes of it. */
static inline bool
sq_hold_has_client(const struct sq_hold *s)
{
	return s->user != NULL && !s->ops->comes_again;
}

/* --- state.c --- */

/* Makes it the one of its client id that the next one finds; or not. */
void sq_hold_show(struct sq_hold *);
void sq_hold_hide(struct sq_hold *);
/* Has its client go on with what got SQ_EAGAIN. */
void sq_hold_writable(struct sq_hold *);
/* Frees a hold that has ended and has no request, at the end of the turn. */
void sq_hold_bury(struct sq_hold *);
/* Brings the budget up to date with what the lanes have. */
void sq_hold_backlog(struct sq_hold *);
/* Lets go of the link and the epoch. */
void sq_hold_unlink(struct sq_hold *);
/* The broker has ended the attachment; 'text' says why, for people, or is empty. */
void sq_hold_detached(struct sq_hold *, uint8_t reason, struct sq_bytes text);
/* The same, known by a 409 that came before the frame. */
void sq_hold_superseded(struct sq_hold *);

/* --- request.c --- */

/* What a 401 or 403 says, for people; static. */
const char *sq_hold_denied_text(const struct sq_hold *, const struct sq_answer *);
/* At the end of the program, without a pool: every request has failed. */
void sq_hold_fail_posts(struct sq_holds *);

/* --- lanes.c --- */

/* Posts the batches that may leave. */
void sq_hold_post_lanes(struct sq_hold *, uint64_t now_ms);
/* The outcomes that have come go to the client. */
void sq_hold_outcomes(struct sq_hold *, uint64_t now_ms);

/* --- settle.c --- */

void sq_hold_post_settlements(struct sq_hold *);
void sq_hold_flush_pubrels(struct sq_hold *);
void sq_hold_deliver(
    struct sq_hold *, const struct sq_deliver *, const struct sq_target *, struct sq_block *block);

/* --- made.c --- */

/* 'to' goes on with what 'from' had subscribed to. */
void sq_hold_inherit_subs(struct sq_hold *to, struct sq_hold *from);
void sq_hold_free_subs(struct sq_hold *);

/* --- order.c --- */

/* Requests to subscribe were carried out: a frame 'subscribed'. */
void sq_hold_subscribed(struct sq_hold *, const struct sq_frame *);

/* --- remake.c --- */

/* The broker has lost the subscriptions: everything is subscribed again, in the place of what was
 * still to be. */
void sq_hold_resubscribe(struct sq_hold *);
/* The broker says what its client had subscribed to before: 'n' entries for sq_kept_next(), 'last'
 * when no more follow. */
void sq_hold_kept(struct sq_hold *, bool last, uint16_t n, struct sq_bytes entries);
/* What its client is not allowed any more of what it has subscribed to is ended. */
void sq_hold_enforce(struct sq_hold *);

/* --- attach.c --- */

void sq_hold_attach(struct sq_hold *);
void sq_hold_post_detach(struct sq_hold *);
void sq_hold_link_draining(struct sq_hold *);
void sq_hold_link_down(struct sq_hold *);

/* --- hold.c --- */

/* At the end of the program: ends it where it is. */
void sq_hold_drop(struct sq_hold *);
/* The hold has ended, and 'heir' (or NULL) goes on with what it had; see sq_holds.over. */
void sq_hold_over(struct sq_hold *, struct sq_hold *heir);
/* Whether it has something for a broker that would be lost with this process: publishes,
 * acknowledgements, a will.  That it goes is no such thing: a broker sees its link end. */
bool sq_hold_owes(const struct sq_hold *);

#endif
