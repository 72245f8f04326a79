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

/* Who writes what: sq_hold_open() (hold.c) sets up each part, with what the user asked for, and
 * hold_free() (state.c) frees it.  In between each member has one writer, the file that its comment
 * names; other files call a function of that file. */

/* The attachment. */
struct sq_hold_at {
	/* state.c */
	struct sq_list place; /* holds->waiting, or its link's holds */
	struct sq_hnode epoch_node;
	struct sq_uplink *link; /* NULL: it is not attached */
	uint64_t epoch;         /* 0: it is not attached */
	uint64_t since_ms;      /* when it was attached; 0: it is not */
	uint32_t failures;      /* attaches since a broker accepted something */
	uint32_t seq;           /* attachments so far */
	bool put_sent;          /* the broker may know this connection */
	/* attach.c */
	uint64_t incarnation;
	uint32_t attempt;
	bool recovered;   /* the session continues from an earlier attachment */
	bool turned_away; /* no broker had room for it */
	/* Fixed at the opening. */
	uint64_t ordinal;
	uint16_t receive_max;
	bool clean_start, keeper;
};

/* Messages to the broker. */
struct sq_hold_up {
	/* lanes.c */
	uint64_t last[SQ_LANES]; /* from the attach, for lanes not made yet */
	struct sq_lane_out *lane[SQ_LANES];
	uint32_t lane1_qos0; /* messages of QoS 0 in lane 1 without an outcome */
	bool lane1_waits;    /* waits for entries of lane 0, to keep a topic's order */
	/* refused.c */
	uint64_t refused_ms; /* since when messages are refused and nothing goes on; 0: not now */
	uint32_t retry_ms;   /* backoff of a refused message; 0: none is refused */
	/* refusals.c */
	struct sq_refusals refusals;
};

/* Subscriptions. */
struct sq_hold_subs {
	/* order.c */
	struct sq_order_out order;     /* requests whose place among the publishes counts */
	struct sq_list asked;          /* struct sq_subreq: requests without a place */
	struct sq_sub_request *asking; /* the one of them that is on its way; NULL: none */
	size_t bytes;                  /* of all requests without an answer */
	uint64_t n_asked;              /* entries of the client's SUBSCRIBEs without an answer */
	unsigned flights;              /* requests of both kinds without a response */
	/* made.c */
	struct sq_htab made; /* struct sq_made: the client's subscriptions */
	void *watched;       /* the watch's own state of this hold, which the watch writes */
	bool knows_made; /* 'made' equals the broker's list; false: the attach asks for the list */
};

/* Times at which the hold acts by itself, in ms of sq_holds_now(); 0: none. */
struct sq_hold_due {
	uint64_t attach, pause, retry; /* state.c */
	uint64_t linger;               /* hold.c */
	uint64_t settle;               /* settle.c: what is gathered leaves */
};

/* The end of the hold, as its user wants it. */
struct sq_hold_bye {
	/* hold.c, when the user leaves; state.c, when the broker needs or publishes no will. */
	struct sq_block *will;
	bool publish_will;
	/* hold.c, when the user leaves. */
	uint32_t expiry_s;
	bool leaving;
	bool quiet; /* see SQ_LEAVE_QUIET */
	/* attach.c */
	bool detach_sent; /* everything else was sent before it */
	/* Fixed at the opening. */
	uint32_t will_delay_s;
};

/* The members between the parts: 'state', 'older', 'newer', 'client_node', 'in_clients', 'turn' and
 * 'gate' are written by state.c, 'user' by hold.c, 'requests' by request.c, 'share' by budget.c,
 * 'inbox' by proto/link.  The others are fixed at the opening. */
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

/* A new hold, in state DOWN: shows it in the table by client id, where the next connection finds
 * it, in place of 'older' (NULL: none), for whose end it waits. */
void sq_hold_show(struct sq_hold *, struct sq_hold *older);
/* Tells the client that it may try again after SQ_EAGAIN. */
void sq_hold_writable(struct sq_hold *);
/* Frees a hold that has ended and has no request, at the end of the turn. */
void sq_hold_bury(struct sq_hold *);
/* Tells the budget the bytes that the lanes hold now. */
void sq_hold_backlog(struct sq_hold *);
/* The hold waits for a link. */
void sq_hold_wait(struct sq_hold *);
/* A link is up: the holds that wait for one attach. */
void sq_holds_attach_waiting(struct sq_holds *);
/* Its attach is about to be sent. */
void sq_hold_attaching(struct sq_hold *);
/* It is attached over the link, under 'epoch', and no longer over another one. */
void sq_hold_link_to(struct sq_hold *, struct sq_hold_link *, uint64_t epoch);
/* Its link is gone while its attach over another one is on its way, and goes on. */
void sq_hold_unlink_moving(struct sq_hold *);
/* It is about to attach elsewhere: answers to its requests so far say nothing about that. */
void sq_hold_move(struct sq_hold *);
/* Its detach is about to be sent. */
void sq_hold_detaching(struct sq_hold *);
/* A broker has refused its attach, and sq_hold_again() or the end follows. */
void sq_hold_attach_failed(struct sq_hold *);
/* No broker knows this connection. */
void sq_hold_unknown(struct sq_hold *);
/* A broker has accepted something: the next attach begins without a backoff. */
void sq_hold_good(struct sq_hold *);
/* The next attach begins with a backoff, at least the shortest. */
void sq_hold_bad(struct sq_hold *);
/* Posts nothing before 'due_ms'; 0: no such time. */
void sq_hold_post_at(struct sq_hold *, uint64_t due_ms);
/* The broker is not to have a will. */
void sq_hold_drop_will(struct sq_hold *);
/* The broker has applied the detach, and with it the will. */
void sq_hold_will_done(struct sq_hold *);
/* Tells the client, which there is, that the hold has ended; it has left afterwards. */
void sq_hold_tell_ended(struct sq_hold *, enum sq_hold_end, struct sq_bytes text);
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

/* The hold is attached; 'same': to the session that it was attached to, 'first': for the first
 * time. */
void sq_hold_lanes_attached(struct sq_hold *, const struct sq_attached *, bool same, bool first);
/* Posts the batches that may be sent now. */
void sq_hold_post_lanes(struct sq_hold *, uint64_t now_ms);
/* Gives the outcomes that have come to the client. */
void sq_hold_outcomes(struct sq_hold *, uint64_t now_ms);

/* --- settle.c --- */

/* Posts what is due of settlements and credit; what nothing waits for is gathered for up to 5 ms.
 * 'all': now. */
void sq_hold_post_settlements(struct sq_hold *, uint64_t now_ms, bool all);
void sq_hold_flush_pubrels(struct sq_hold *);
void sq_hold_deliver(struct sq_hold *, const struct sq_delivery *, const struct sq_target *);

/* --- made.c --- */

/* The hold's list of the client's subscriptions equals the broker's. */
void sq_hold_knows_made(struct sq_hold *);
/* Moves the subscriptions of 'from' to 'to', the next connection of the client id. */
void sq_hold_inherit_subs(struct sq_hold *to, struct sq_hold *from);
/* Forgets what was inherited and the broker has not confirmed. */
void sq_hold_disinherit(struct sq_hold *);
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
