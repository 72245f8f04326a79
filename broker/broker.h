/* The broker proper: sessions, router, queues and engine behind the HTTP front.
 *
 *   http front --call--> session (owner worker) --txn--> engine
 *        ^                    |  ^                          |
 *        +-- sq_call_done ----+  +------ consumer <---------+
 *                             v
 *                     sq_link_deliver() --> front
 */
#ifndef SQ_BROKER_BROKER_H
#define SQ_BROKER_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/auth/allowed.h"
#include "core/buf.h"
#include "core/metrics.h"
#include "proto/link/limits.h"
#include "store/journal.h"

struct sq_acl;
struct sq_broker;
struct sq_call;
struct sq_link;
struct sq_tenant_grant;
struct sq_tenant_share;
struct sq_worker;

struct sq_engine_ops;

struct sq_broker_cfg {
	const struct sq_engine_ops *engine;
	const char *store_dir; /* of an engine with files; see struct sq_engine_cfg */
	enum sq_durability durability;
	uint64_t sync_interval_ms, journal_size, store_max_size, store_cache_size;
	uint64_t txn_bytes, txn_items; /* for tests; 0: the engine's own */
	uint32_t max_packet;           /* bytes of an MQTT packet */
	uint64_t recovery_ms;          /* see sq_broker_remade() in broker/shard/shard.h; 0: off */
	uint64_t grace_ms;             /* attachment grace after a lost link */
	uint64_t session_expiry_max_s;
	uint32_t max_inflight; /* QoS >= 1 deliveries of a session at a time */
	uint32_t queue_max_msgs;
	uint64_t queue_max_bytes;
	uint64_t queue_lonely_ms; /* see broker/group/watch.h */
	uint32_t queue_expiry_s;  /* of a durable group's, which asks for none */
	uint32_t queue_expiry_max_s;
	uint64_t retained_max_msgs, retained_max_bytes;
	uint64_t delayed_max_msgs, delayed_max_bytes, delayed_max_s;
	uint32_t dead_max_msgs; /* dead letters of a tenant at most */
	uint64_t dead_max_bytes;
	uint64_t key_window_ms, max_keys; /* idempotency keys */
	uint64_t sys_interval_ms;         /* of $SYS/broker; 0: off */
	bool unknown_properties; /* take a message with a sqmqos- property that is unknown */
	struct sq_limits limits; /* zeroed: sq_limits_unsaid */
	/* Message expiry, in seconds: of a message without one, and the longest; 0: none. */
	uint32_t expiry_default_s, expiry_max_s;
	uint32_t max_sessions;
	uint32_t max_subs_per_session;
	uint32_t max_matches; /* see struct sq_router_cfg */
	/* Totals that tenants share: see broker/share/totals.h; 0: any. */
	uint64_t max_subs, max_groups, max_connections, dead_total_msgs, dead_total_bytes;
	uint64_t spaces; /* see struct sq_shares_cfg */
	struct sq_owner_rules owners;
	const struct sq_tenant_share *shares; /* each tenant once; outlives the broker */
	uint64_t max_sub_bytes;               /* of the filters of a session; 0: no limit */
	uint32_t max_will; /* bytes of a will, with topic and properties; 0: max_packet */
	size_t n_shares;
	const struct sq_tenant_grant *grants; /* the same */
	size_t n_grants;
	struct sq_acl *acl; /* a reference, taken over; NULL: no rules */
};

/* 'workers' live as long as the broker, and turn only after this: it brings back what the
 * store has.  NULL: the store can't be opened or read, with a line in
 * 'err'. */
struct sq_broker *sq_broker_new(const struct sq_broker_cfg *, struct sq_worker *const *workers,
    size_t n_workers, const struct sq_metrics *metrics, struct sq_buf *err);
/* Ends all sessions without their wills, while the workers still turn; returns
 * when nothing of theirs is left in memory.  What is in the store stays there, for the
 * next start.  No call comes any more.  Not from a worker. */
void sq_broker_stop(struct sq_broker *);
/* After sq_broker_stop().  Frees '*bp'. */
void sq_broker_free(struct sq_broker **bp);

/* False with a line in 'why' while the engine can't make anything durable.  Any thread. */
bool sq_broker_healthy(struct sq_broker *, struct sq_buf *why);

/* Appends metrics of the fullest queues by their names, and of what tenants have.  Any thread. */
void sq_broker_write_queues(struct sq_broker *, struct sq_buf *out);

/* Puts other rules in force, also for what sessions have already; the reference is taken
 * over.  Any thread. */
void sq_broker_set_acl(struct sq_broker *, struct sq_acl *);

/* Takes the call over; answered by sq_call_done(), maybe before this returns. */
void sq_broker_call(struct sq_broker *, struct sq_call *);
/* A link opens.  Where its identity names spaces its connection counts as the tenant's of the
 * first of them; false: that has its share, and the link is not to open.  Where there are several
 * the first attach says whose it is from then on, and where nobody was asked who he is the
 * connection counts from there on only.  Any thread. */
bool sq_broker_link_opens(struct sq_broker *, struct sq_link *);
/* The link has closed: its attachments go into grace. */
void sq_broker_link_closed(struct sq_broker *, struct sq_link *);
/* On the worker that calls: sessions that waited for room in a link go on. */
void sq_broker_link_writable(struct sq_broker *, struct sq_link *);
/* Each worker calls it about once in 100 ms: grace, expiry, delayed wills. */
void sq_broker_tick(struct sq_broker *, struct sq_worker *);
/* From now on PUTs and messages are answered 503.  Any thread. */
void sq_broker_drain(struct sq_broker *);
/* True when nothing is queued or unsettled for an attached session. */
bool sq_broker_drained(struct sq_broker *);

#endif
