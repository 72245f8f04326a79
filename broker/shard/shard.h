/* The broker's inside: what belongs to one worker, and what all share. */
#ifndef SQ_BROKER_SHARD_SHARD_H
#define SQ_BROKER_SHARD_SHARD_H

#include <pthread.h>

#include "broker/port/call.h"
#include "broker/engine/engine.h"
#include "broker/metrics/metrics.h"
#include "broker/route/router.h"
#include "broker/shard/cfg.h"
#include "broker/shard/rules.h"
#include "broker/share/share.h"
#include "broker/shard/tenant.h"
#include "core/heap.h"
#include "core/htab.h"

/* A worker's part: the sessions that it owns. */
struct sq_shard {
	struct sq_broker *broker;
	struct sq_worker *worker;
	struct sq_htab by_key, by_epoch; /* struct sq_session */
	struct sq_list sessions;
	struct sq_htab links;       /* that they have: see broker/session/linked.h */
	struct sq_endings *endings; /* of queues: see broker/group/ending.h */
	struct sq_list paced;       /* calls, by age: see broker/shard/pace.h */
	struct sq_heap timers;
	struct sq_route_cache *routes;
	atomic_bool drained;
	unsigned ticks;
	bool groups_left; /* to look at, of the first shard */
	struct sq_task stop;
	struct sq_receipts *receipts; /* see broker/publish/receipts.h */
	uint64_t rules_version;       /* that its sessions have, but for the first */
	uint64_t rules_left;          /* of them: see broker/session/permit.h */
};

/* From the broker's start to its end: shard.c alone writes it. */
struct sq_life {
	atomic_uint_fast64_t next_id;
	pthread_mutex_t lock; /* of 'n_objects' */
	pthread_cond_t gone;
	size_t n_objects;
	atomic_bool closing;
	atomic_uint_fast64_t recovered_ms; /* the end of the recovery time; 0: not begun, or off */
	atomic_bool recovering; /* a session of another life was made again before that */
};

/* The origin of the broker's own messages, in this run: system_txn.c's. */
struct sq_system {
	struct sq_origin origin;
	atomic_uint_fast64_t number;
};

struct sq_broker {
	struct sq_broker_cfg cfg;
	struct sq_metrics metrics;
	struct sq_engine *engine;
	struct sq_router *router;
	struct sq_shares *shares;
	struct sq_tenants *tenants;
	struct sq_shard *shards;
	size_t n_shards;
	struct sq_life life;
	struct sq_groups *groups; /* see broker/group/group.h */
	struct sq_system system;
	atomic_uint_fast64_t n_sessions;
	atomic_bool draining;
	struct sq_keys *keys;
	struct sq_delayed *delayed;
	struct sq_dead *dead;
	struct sq_watch *watch;
	struct sq_sys_counts *sys_counts;
	struct sq_sys *sys;
	struct sq_rules *rules;
	const struct sq_burial *burial; /* see broker/shard/source.h */
};

/* Numbers begin at those that no earlier opening of the store has had.  'engine' is open. */
void sq_life_init(struct sq_broker *);
void sq_life_fini(struct sq_broker *);

/* A number that the store of this broker has never had: of groups, epochs, records.
 * Thread: any. */
uint64_t sq_broker_id(struct sq_broker *);

/* Counts what must be gone before the broker may be freed: sessions, transactions, tasks.
 * Thread: any.  Locks: its own. */
void sq_broker_object(struct sq_broker *, int by);
/* From here on queues and sessions only close: their records stay for the next start.
 * Thread: any. */
void sq_broker_close(struct sq_broker *);
bool sq_broker_closing(const struct sq_broker *);
/* Blocks until all objects are gone.  Not from a worker. */
void sq_broker_await(struct sq_broker *);

/* The recovery time: clients go on with sessions that this broker does not know.  It was
 * started again, and others are on their way back; messages of that time would find their
 * subscribers missing, so none are taken.  Each of these: Thread: any. */

/* A PUT came; the first one begins the recovery time. */
void sq_broker_attaches(struct sq_broker *, uint64_t now_ms);
/* A session of an earlier life was made again. */
void sq_broker_remade(struct sq_broker *, uint64_t now_ms);
/* Whether messages wait for the end of the recovery time. */
bool sq_broker_recovers(const struct sq_broker *, uint64_t now_ms);
/* Whether the recovery time has begun and is over. */
bool sq_broker_recovered(const struct sq_broker *, uint64_t now_ms);

static inline void
sq_count(struct sq_broker *b, enum sq_broker_metric m, int64_t by)
{
	sq_metric_add(&b->metrics, m, by);
}

#endif
