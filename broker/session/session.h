/* A session at the broker: MQTT session state of a client, and the attachment over which a sidecar
 * holds it (docs/link.md, "a session at the broker").
 *
 * Owned by one shard; everything here runs on its worker.
 *
 * Structure: each part of the struct is written by the file named beside it, whose header has its
 * type, and by functions of that type.  Exceptions: session.c initialises all parts at birth and
 * frees them; restore.c fills in parts that have records, before the session is used; persist.c
 * keeps, in slots, QoS 2 ids and subscriptions, whether and where they have a record.
 *
 * From the bottom up, each file calls those before it:
 *   - attachment.c, window.c, qos2_in.c, wanted.c: data alone.
 *   - session.c: finds, makes, pins and wakes a session; the floor of all others.
 *   - background_txn.c, call_txn.c, persist.c: transactions and records.
 *   - permit.c, denied.c: permissions.  linked.c: the link of the attachment.
 *   - return.c, demand.c, member.c: items of queues.  retained_scan.c, subscription.c: bindings.
 *   - order.c: answers, and items behind them.  kept.c, deliver.c, settle.c: messages to the client.
 *   - will.c, batch_txn.c, batch.c: messages from the client.  subscribe.c: Subscriptions.
 *   - life.c: loss of the link or of the client, and the end.  enforce.c: changes of rules.
 *   - attach.c, attach_room.c: the PUT.  restore.c: the start.
 *   - dispatch.c: calls, timers, and waiting calls.  Upward calls go by struct sq_session_hooks. */
#ifndef SQ_BROKER_SESSION_H
#define SQ_BROKER_SESSION_H

#include "broker/group/ending.h"
#include "broker/port/outlet.h"
#include "broker/publish/refused.h"
#include "broker/session/attachment.h"
#include "broker/session/batch.h"
#include "broker/session/batch_txn.h"
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
#include "core/task.h"

enum sq_session_state {
	SQ_SESSION_FENCING, /* a PUT waits for work admitted before it */
	SQ_SESSION_ATTACHED,
	SQ_SESSION_GRACE,    /* the link was lost */
	SQ_SESSION_DETACHED, /* the client is gone, the session has not expired */
	SQ_SESSION_DEAD,     /* waits for its consumers to end */
};

/* The session's identity, which never changes. */
struct sq_session_id {
	struct sq_hnode by_key;
	struct sq_list node; /* of the shard */
	char *key;
	uint64_t incarnation;
	struct sq_tenant *tenant; /* a reference */
	struct sq_sys_part
	    *sys;      /* where its shard counts for the tenant: broker/shard/sys_counts.h */
	bool internal; /* a sidecar's own session, without a client */
	bool durable;
};

/* The time for which a session is kept without its client. */
struct sq_lifetime {
	struct sq_heap_node timer; /* grace or expiry */
	uint64_t grace_ms;         /* when the grace ends */
	uint32_t expiry_s;
};

struct sq_uses {
	unsigned pins;    /* consumers and tasks that still point to the session */
	unsigned running; /* transactions that are not done */
};

/* The task that sends to the client at the end of a turn. */
struct sq_pump {
	struct sq_task task;
	bool posted;
};

/* Functions of the files above, called when something below has happened; on the session's
 * worker. */
struct sq_session_hooks {
	/* A transaction or a batch has ended: calls that waited for its end continue. */
	void (*ran)(struct sq_session *);
	/* A commit of an attached session failed: the sidecar is to attach again. */
	void (*failed)(struct sq_session *);
	/* The turn ends, and sq_session_wake() was called in it. */
	void (*flow)(struct sq_session *);
	/* As in struct sq_sink. */
	bool (*pass)(struct sq_sink *, struct sq_txn *, struct sq_item *);
	void (*soon)(const struct sq_sink *);
};

struct sq_session {
	/* session.c */
	struct sq_session_id id;
	struct sq_shard *shard;
	const struct sq_session_hooks *hooks;
	enum sq_session_state state;
	uint64_t since_ms; /* when it came into 'state'; 0: before the broker's start */
	bool attends;      /* its queue counts the session, see sq_session_attends() */
	struct sq_uses uses;
	struct sq_list waiting; /* struct sq_call: those that came too early, and a detach; put in
	                         * by the file that carries them out, taken out by dispatch.c and
	                         * life.c */
	struct sq_pump pump;
	struct sq_sink sink; /* of its own queue; see sink.h */

	struct sq_lifetime life;    /* life.c */
	struct sq_attachment at;    /* attachment.c */
	struct sq_on_link on_link;  /* linked.c */
	struct sq_permit permit;    /* permit.c */
	struct sq_order order;      /* order.c */
	struct sq_inbound in;       /* batch.c */
	struct sq_batches batches;  /* batch_txn.c */
	struct sq_will will;        /* will.c */
	struct sq_window window;    /* window.c */
	struct sq_flow flow;        /* deliver.c */
	struct sq_bindings subs;    /* subscription.c */
	struct sq_scans scans;      /* retained_scan.c */
	struct sq_members members;  /* member.c */
	enum sq_kept_state kept;    /* kept.c */
	struct sq_persisted stored; /* persist.c */
};

struct sq_session *sq_session_find(struct sq_shard *, const struct sq_key *key);
struct sq_session *sq_session_find_epoch(struct sq_shard *, uint64_t epoch);
/* Makes a session in the state FENCING, without its queue; the tenant's account has counted it.
 * The key is copied. */
struct sq_session *sq_session_new(struct sq_shard *, const struct sq_key *, bool durable,
    uint64_t incarnation, const struct sq_session_hooks *);
/* Splits the session's key into its parts, which point into the session. */
void sq_session_key(const struct sq_session *, struct sq_key *);
/* Sets the state of the session alone; sq_session_enter() includes its members. */
void sq_session_set_state(struct sq_session *, enum sq_session_state);
/* Gives the session its own queue, which counts the session. */
void sq_session_opened(struct sq_session *, struct sq_queue *);
/* The queue and its source are another's from now on. */
void sq_session_queue_gone(struct sq_session *);
/* Removes the session from the table: it is not found any more. */
void sq_session_unlist(struct sq_session *);
/* Whether messages to the session have a taker: its client, or a sidecar that has lost its link and
 * is expected back within the grace. */
bool sq_session_attends(const struct sq_session *);
/* Begins a transaction of the caller's: counts it in 'running' and pins the session, until done()
 * calls sq_session_txn_end(). */
void
sq_session_txn_begin(struct sq_txn *, struct sq_session *, void (*done)(struct sq_txn *, int err));
void sq_session_txn_end(struct sq_session *);
/* Schedules the flow: it runs at the end of this turn and sends to the client. */
void sq_session_wake(struct sq_session *);
void sq_session_pin(struct sq_session *);
void sq_session_unpin(struct sq_session *);
/* The session in the form that refusals are logged and counted by; valid for as long as the session
 * and its identity stay. */
struct sq_refused_of sq_session_refused(struct sq_session *);

#endif
