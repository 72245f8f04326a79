/* A session at the broker: MQTT session state of a client, and the attachment
 * over which a sidecar holds it (docs/link.md, "a session at the broker").
 *
 * Owned by one shard; everything here runs on its worker.
 *
 * Structure: each part of the struct is written by the file that it names, whose header has its
 * type.  From the bottom up, with each file calling those before it:
 *  - window.c, qos2_in.c, wanted.c: data alone.
 *  - session.c: a session is found, made, pinned, woken; it is the floor of all others.
 *  - background_txn.c, call_txn.c, persist.c: what is stored of it.
 *  - permit.c, denied.c: what it may do.  linked.c: the link that it is attached over.
 *  - return.c, demand.c, member.c: items of queues.  retained_scan.c, subscription.c: bindings.
 *  - order.c: answers and what stands behind them.  kept.c, deliver.c, settle.c: messages down.
 *  - will.c, batch.c: messages up.  subscribe.c: Subscriptions.
 *  - life.c: it loses its link, its client, and ends.  enforce.c: rules have changed.
 *  - attach.c, attach_room.c: the PUT.  restore.c: the start.
 *  - dispatch.c: calls, timers, and what waited; upwards all go by struct sq_session_hooks. */
#ifndef SQ_BROKER_SESSION_H
#define SQ_BROKER_SESSION_H

#include "broker/group/ending.h"
#include "broker/port/outlet.h"
#include "broker/publish/refused.h"
#include "broker/session/attach.h"
#include "broker/session/batch.h"
#include "broker/session/deliver.h"
#include "broker/session/kept.h"
#include "broker/session/linked.h"
#include "broker/session/member.h"
#include "broker/session/order.h"
#include "broker/session/permit.h"
#include "broker/session/persist.h"
#include "broker/session/retained_scan.h"
#include "broker/session/return.h"
#include "broker/session/settle.h"
#include "broker/session/subscription.h"
#include "broker/session/table.h"
#include "broker/session/will.h"
#include "broker/session/window.h"
#include "broker/shard/shard.h"

enum sq_session_state {
	SQ_SESSION_FENCING, /* a PUT waits for what was admitted before it */
	SQ_SESSION_ATTACHED,
	SQ_SESSION_GRACE,    /* the link was lost */
	SQ_SESSION_DETACHED, /* the client is gone, the session has not expired */
	SQ_SESSION_DEAD,     /* waits for its consumers to end */
};

/* Which session it is: the same all its life. */
struct sq_session_id {
	struct sq_hnode by_key;
	struct sq_list node; /* of the shard */
	char *key;
	uint64_t incarnation;
	struct sq_tenant *tenant; /* a reference */
	struct sq_sys_part
	    *sys;      /* where its shard counts for the tenant: broker/shard/sys_counts.h */
	bool internal; /* no client's, but a sidecar's own */
	bool durable;
};

/* How long it is kept without its client. */
struct sq_lifetime {
	struct sq_heap_node timer; /* grace or expiry */
	uint64_t grace_ms;         /* when the grace ends */
	uint32_t expiry_s;
};

/* What those above a session do when something below has happened; on its worker. */
struct sq_session_hooks {
	/* Something admitted has ended: goes on with what waited for it. */
	void (*ran)(struct sq_session *);
	/* A commit of an attached session failed: the sidecar is to attach again. */
	void (*failed)(struct sq_session *);
};

struct sq_session {
	struct sq_session_id id;
	struct sq_shard *shard;
	const struct sq_session_hooks *hooks;
	enum sq_session_state state;
	bool attends;           /* its queue was told that it is there */
	unsigned pins;          /* consumers and tasks that still point here */
	unsigned running;       /* transactions that are not done */
	struct sq_list waiting; /* calls: what is parked, or known, detach */

	struct sq_lifetime life;    /* life.c */
	struct sq_attachment at;    /* attach.c */
	struct sq_on_link on_link;  /* linked.c */
	struct sq_permit permit;    /* permit.c */
	struct sq_order order;      /* order.c */
	struct sq_inbound in;       /* batch.c */
	struct sq_will will;        /* will.c */
	struct sq_window window;    /* window.c */
	struct sq_flow flow;        /* deliver.c */
	struct sq_bindings subs;    /* subscription.c */
	struct sq_scans scans;      /* retained_scan.c */
	struct sq_list members;     /* member.c */
	enum sq_kept_state kept;    /* kept.c */
	struct sq_persisted stored; /* persist.c */
};

struct sq_session *sq_session_find(struct sq_shard *, const struct sq_key *key);
struct sq_session *sq_session_find_epoch(struct sq_shard *, uint64_t epoch);
/* Without its queue, in FENCING; its tenant's account counts it already. */
struct sq_session *sq_session_new(struct sq_shard *, const struct sq_key *, bool durable,
    uint64_t incarnation, const struct sq_session_hooks *);
/* Its key, in parts. */
void sq_session_key(const struct sq_session *, struct sq_key *);
/* Of the session alone: see sq_session_enter(). */
void sq_session_set_state(struct sq_session *, enum sq_session_state);
/* Tells the session's own queue, where it is open, whether somebody is there. */
void sq_session_attend(struct sq_session *);
/* Whether somebody is there to take what the session gets: its client, or a sidecar that
 * has lost its link and is expected back within the grace. */
bool sq_session_attends(const struct sq_session *);
/* A transaction of the caller's: counted in 'running', the session pinned, until done() calls
 * sq_session_txn_end(). */
void
sq_session_txn_begin(struct sq_txn *, struct sq_session *, void (*done)(struct sq_txn *, int err));
void sq_session_txn_end(struct sq_session *);
/* Its client may be sent something: the flow has its turn at the end of this one. */
void sq_session_wake(struct sq_session *);
void sq_session_pin(struct sq_session *);
void sq_session_unpin(struct sq_session *);
/* Who is refused what it asks for: for as long as the session and its identity stay. */
struct sq_refused_of sq_session_refused(struct sq_session *);

#endif
