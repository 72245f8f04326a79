/* The configuration of a broker: a flat table, filled by broker/config/ or by a test. */
#ifndef SQ_BROKER_SHARD_CFG_H
#define SQ_BROKER_SHARD_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/auth/identity/allowed.h"
#include "proto/link/limits.h"
#include "store/log.h"

struct sq_acl;
struct sq_bridges_cfg;
struct sq_engine_ops;
struct sq_push_cfg;
struct sq_tenant_grant;
struct sq_tenant_share;

/* Members that are atomic may change while the broker runs (sq_broker_set_limits()), each by itself;
 * what has been decided by one of them before stays. */
struct sq_broker_cfg {
	const struct sq_engine_ops *engine;
	/* Of an engine with files: see struct sq_engine_files. */
	const char *store_dir;
	const struct sq_log_ops *log;
	const struct sq_log_shared_cfg *shared;
	enum sq_durability durability;
	uint64_t sync_interval_ms, store_stall_ms, journal_size, store_max_size, store_cache_size;
	uint64_t txn_bytes, txn_items; /* for tests; 0: the engine's own */
	uint32_t max_packet;           /* bytes of an MQTT packet */
	uint64_t recovery_ms;          /* see sq_broker_remade(); 0: off */
	_Atomic uint64_t grace_ms;     /* attachment grace after a lost link */
	_Atomic uint64_t session_expiry_max_s;
	uint32_t max_inflight; /* QoS >= 1 deliveries of a session at a time */
	uint32_t queue_max_msgs;
	uint64_t queue_max_bytes;
	uint64_t queue_lonely_ms;        /* see broker/group/watch.h */
	uint32_t metrics_queues;         /* the same */
	_Atomic uint32_t queue_expiry_s; /* of a durable group that asks for none */
	_Atomic uint32_t queue_expiry_max_s;
	_Atomic uint64_t retained_max_msgs, retained_max_bytes;
	_Atomic uint64_t delayed_max_msgs, delayed_max_bytes, delayed_max_s;
	uint32_t dead_max_msgs; /* dead letters of a tenant at most */
	uint64_t dead_max_bytes;
	uint64_t key_window_ms;          /* of idempotency keys */
	_Atomic uint64_t max_keys;       /* the same */
	uint32_t pull_max_leases;        /* of a queue at a time; 0: the default */
	uint64_t pull_settle_window_ms;  /* see broker/subscriber/pulls.h; 0: the default */
	uint64_t sys_interval_ms;        /* of $SYS/broker; 0: off */
	_Atomic bool unknown_properties; /* accept a message with an unknown sqmqos- property */
	struct sq_limits limits;         /* zeroed: sq_limits_unsaid */
	/* Message expiry, in seconds: of a message without one, and the longest; 0: none. */
	_Atomic uint32_t expiry_default_s, expiry_max_s;
	_Atomic uint32_t max_sessions;
	_Atomic uint32_t max_subs_per_session;
	uint32_t max_matches; /* see struct sq_router_cfg */
	/* Totals that tenants share: see broker/share/share.h; 0: no limit. */
	_Atomic uint64_t max_subs, max_groups, dead_total_msgs, dead_total_bytes;
	uint64_t max_connections;
	uint64_t spaces; /* see struct sq_shares_cfg */
	struct sq_owner_rules owners;
	const struct sq_tenant_share *shares; /* each tenant once; outlives the broker */
	_Atomic uint64_t max_sub_bytes;       /* of the filters of a session; 0: no limit */
	_Atomic uint32_t max_will; /* bytes of a will, with topic and properties; 0: max_packet */
	size_t n_shares;
	const struct sq_tenant_grant *grants; /* outlive the broker */
	size_t n_grants;
	struct sq_acl *acl;                   /* a reference, taken over; NULL: no rules */
	const struct sq_push_cfg *push;       /* outlives the broker; NULL: nothing is pushed */
	const struct sq_bridges_cfg *bridges; /* the same; NULL: there are no bridges */
};

#endif
