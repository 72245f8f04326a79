/* A session at the broker: MQTT session state of a client, and the attachment
 * over which a sidecar holds it (docs/link.md, "a session at the broker").
 *
 * Owned by one shard; everything here runs on its worker.
 *
 * Structure: each part of the struct is written by the file that it names, whose header has its
 * type.  session.c has a session's life, attach.c the PUT, attach_room.c whether there is room
 * for it, order.c what waits for its turn, batch.c and qos2_in.c messages up, permit.c what it
 * may do, deliver.c, demand.c, window.c and settle.c messages down, subscribe.c bindings,
 * retained_scan.c what is retained for them, member.c its parts in groups, persist.c what of all
 * this is in the store. */
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
#include "broker/session/subscribe.h"
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

struct sq_session {
	struct sq_session_id id;
	struct sq_shard *shard;
	enum sq_session_state state;
	bool attends;           /* its queue was told that it is there */
	unsigned pins;          /* consumers and tasks that still point here */
	unsigned running;       /* transactions that are not done */
	struct sq_list waiting; /* calls: what is parked, or known, detach */

	struct sq_lifetime life;    /* session.c */
	struct sq_attachment at;    /* attach.c */
	struct sq_on_link on_link;  /* linked.c */
	struct sq_permit permit;    /* permit.c */
	struct sq_order order;      /* order.c */
	struct sq_inbound in;       /* batch.c */
	struct sq_will will;        /* will.c */
	struct sq_window window;    /* window.c */
	struct sq_flow flow;        /* deliver.c */
	struct sq_bindings subs;    /* subscribe.c */
	struct sq_scans scans;      /* retained_scan.c */
	struct sq_list members;     /* member.c */
	enum sq_kept_state kept;    /* kept.c */
	struct sq_persisted stored; /* persist.c */
};

struct sq_session *sq_session_find(struct sq_shard *, const struct sq_key *key);
struct sq_session *sq_session_find_epoch(struct sq_shard *, uint64_t epoch);
/* Without its queue, in FENCING; its tenant's account counts it already. */
struct sq_session *
sq_session_new(struct sq_shard *, const struct sq_key *, bool durable, uint64_t incarnation);
/* Opens its queue; a durable one that is new is made by 'txn'. */
void sq_session_open(struct sq_session *, struct sq_txn *txn);
/* The expiry that the broker grants, in seconds. */
uint32_t sq_session_expiry_s(const struct sq_session *, uint32_t wanted_s);
/* Ends it for good: will, bindings, records, everything unfinished, in 'txn' (NULL: one of
 * its own).  Its queue is ending then, where it is not empty.  Freed when its consumers and
 * what is running have ended. */
void sq_session_end(struct sq_session *, enum sq_ending_why, struct sq_txn *txn);
/* The broker ends: what is stored of it stays, and its client is not gone. */
void sq_session_close(struct sq_session *);
void sq_session_set_state(struct sq_session *, enum sq_session_state);
/* The attachment has ended, whyever: parked calls are refused with 'why'. */
void sq_session_unattach(struct sq_session *, enum sq_verdict why);
/* Whether somebody is there to take what the session gets: its client, or a sidecar that
 * has lost its link and is expected back within the grace. */
bool sq_session_attends(const struct sq_session *);
/* The link is gone. */
void sq_session_link_lost(struct sq_session *);
void sq_session_detach(struct sq_session *, struct sq_call *);
void sq_session_timer(struct sq_session *, struct sq_heap_node *);
/* Something admitted has ended: goes on with what waited for it. */
void sq_session_ran(struct sq_session *);
/* Its client may be sent something: the flow has its turn at the end of this one. */
void sq_session_wake(struct sq_session *);
void sq_session_pin(struct sq_session *);
void sq_session_unpin(struct sq_session *);
/* Who is refused what it asks for: for as long as the session and its identity stay. */
struct sq_refused_of sq_session_refused(struct sq_session *);

#endif
