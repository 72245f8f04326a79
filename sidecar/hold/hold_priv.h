/* Layout of a session, for this folder's files. */
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
	SQ_HOLD_DOWN,      /* attaches at 'due_attach' */
	SQ_HOLD_ATTACHING, /* the PUT is on its way */
	SQ_HOLD_ATTACHED,
	SQ_HOLD_DETACHING, /* the detach is on its way */
	SQ_HOLD_ENDED,     /* waits for its last request */
};

struct sq_sub_request;

struct sq_hold {
	struct sq_holds *holds;
	const struct sq_hold_user *ops;
	void *user;         /* NULL: gone, or nobody */
	struct sq_list all; /* holds->all */
	struct sq_timed_turn turn;
	struct sq_list place; /* holds->waiting, or its link's sessions */
	struct sq_budget_share share;
	struct sq_hold_gate *gate; /* NULL: its subscriptions wait for nothing but its lanes */
	struct sq_hnode epoch_node, client_node;
	struct sq_hold *older, *newer; /* connections of the same client id */
	char *path;                    /* "/v1/sessions/<key>" */
	char *client_id;
	struct sq_uplink *link; /* where it is attached */
	uint64_t ordinal, epoch, incarnation;
	uint64_t refused_ms; /* since when messages are refused and nothing goes on; 0: not now */
	uint64_t due_attach, due_pause, due_retry, due_linger; /* 0: none */
	uint64_t last[SQ_LANES]; /* from the attach, for lanes not made yet */
	struct sq_lane_out *lane[SQ_LANES];
	struct sq_inbox *inbox;
	struct sq_block *will;
	struct sq_order_out order;     /* what is asked of subscriptions in the client's order */
	struct sq_list asked;          /* struct sq_subreq: what is asked outside of it, */
	struct sq_sub_request *asking; /* and of that, what is on its way; NULL: nothing */
	unsigned sub_flights;          /* requests of both kinds without a response */
	struct sq_htab subs;           /* what the client has subscribed to */
	bool knows_made;               /* as far as the broker has that; else it is asked */
	void *watched;                 /* the watch's word of them */
	size_t subreq_bytes;
	uint64_t subs_asked; /* entries of the client's SUBSCRIBEs without an answer */
	uint64_t attached_ms;
	uint32_t attempt, failures, requests;
	uint32_t attach_seq; /* attachments so far */
	uint32_t will_delay_s, expiry_s;
	uint32_t retry_ms; /* backoff of a refused message */
	struct sq_refusals refusals;
	uint32_t lane1_qos0; /* messages of QoS 0 in lane 1 without an outcome */
	uint16_t receive_max;
	uint8_t state, version;
	bool clean_start, keeper, durable, leaving, publish_will;
	bool quiet;       /* see SQ_LEAVE_QUIET */
	bool detach_sent; /* all else had been said before */
	bool put_sent;    /* the broker may know this connection */
	bool lane1_waits; /* for what lane 0 has, to keep a topic's order */
	bool recovered;   /* it goes on with what was before this attach */
	bool in_clients;  /* in holds->by_client */
	bool turned_away; /* no broker had room for it */
};

/* Whether somebody waits for what becomes of it. */
static inline bool
sq_hold_has_client(const struct sq_hold *s)
{
	return s->user != NULL && !s->ops->comes_again;
}

/* Has its client go on with what got SQ_EAGAIN. */
void sq_hold_writable(struct sq_hold *);
/* Frees 's', which has ended and has no request, at the end of the turn. */
void sq_hold_bury(struct sq_hold *);
/* Brings the metric of unaccepted bytes up to date. */
void sq_hold_backlog(struct sq_hold *);

/* attach.c */
void sq_hold_attach(struct sq_hold *);
/* Lets go of the link and the epoch. */
void sq_hold_unlink(struct sq_hold *);
void sq_hold_post_detach(struct sq_hold *);
/* What a 401 or 403 says, for people; static. */
const char *sq_hold_denied_text(const struct sq_hold *, const struct sq_answer *);

void sq_hold_post_lanes(struct sq_hold *, uint64_t now_ms);
void sq_hold_post_settlements(struct sq_hold *);
void sq_hold_flush_pubrels(struct sq_hold *);
bool sq_hold_flushed(const struct sq_hold *);
/* The outcomes that have come go to the client. */
void sq_hold_outcomes(struct sq_hold *, uint64_t now_ms);

/* made.c */
/* The broker has lost the subscriptions: everything is subscribed again, in the
 * place of what was still to be. */
void sq_hold_resubscribe(struct sq_hold *);
/* 'to' goes on with what 'from' had subscribed to. */
void sq_hold_inherit_subs(struct sq_hold *to, struct sq_hold *from);
void sq_hold_free_subs(struct sq_hold *);

#endif
