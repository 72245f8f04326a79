/* The structs of the broker: the shard of one worker, and the state that all shards share. */
#ifndef SQ_BROKER_SHARD_SHARD_H
#define SQ_BROKER_SHARD_SHARD_H

#include <pthread.h>

#include "broker/port/call.h"
#include "broker/engine/engine.h"
#include "broker/metrics/metrics.h"
#include "broker/recent/refusals.h"
#include "broker/route/router.h"
#include "broker/shard/cfg.h"
#include "broker/shard/rules.h"
#include "broker/share/share.h"
#include "broker/shard/tenant.h"
#include "core/list.h"

/* Answers that wait; written by pace.c. */
struct sq_pace {
	struct sq_list calls; /* by age */
};

/* The part of one worker.  Each member is written by the folder in its comment alone, whose header
 * has its type; broker.c makes and frees them. */
struct sq_shard {
	struct sq_broker *broker;
	struct sq_worker *worker;
	struct sq_route_cache *routes;     /* route/ */
	struct sq_pace pace;               /* shard/pace.c */
	struct sq_endings *endings;        /* group/: queues that end */
	struct sq_receipts *receipts;      /* publish/ */
	struct sq_session_table *sessions; /* session/ */
	struct sq_recent *refusals;       /* broker/recent/: noted by who refuses, on this worker */
	struct sq_recent *gone;           /* the same: noted by publish/buried.c */
	_Atomic uint64_t intake_quiet_ms; /* intake/: see struct sq_refused_of */
};

/* The broker's life from start to end; written by shard.c. */
struct sq_life {
	atomic_uint_fast64_t next_id;
	pthread_mutex_t lock; /* of 'n_objects' */
	pthread_cond_t gone;
	size_t n_objects;
	atomic_bool closing;
	atomic_uint_fast64_t recovered_ms; /* end of the recovery time; 0: not begun, or off */
	atomic_bool recovering; /* a session from before the start has come back in that time */
};

/* The origin of the broker's own messages in this run; written by system_txn.c. */
struct sq_system {
	struct sq_origin origin;
	atomic_uint_fast64_t number;
};

/* Who serves named queues beside those who pull; written by broker.c.  NULL: nobody. */
struct sq_serving {
	struct sq_pushes *pushes;   /* push/ */
	struct sq_bridges *bridges; /* bridge/ */
};

/* The state that all workers share, with the same rule. */
struct sq_broker {
	struct sq_broker_cfg cfg;
	struct sq_metrics metrics;
	struct sq_engine *engine;
	struct sq_router *router; /* route/ */
	struct sq_shares *shares; /* share/ */
	struct sq_life life;      /* shard/: this one and the next five */
	struct sq_system system;
	struct sq_tenants *tenants;
	struct sq_rules *rules;
	struct sq_sys_counts *sys_counts;
	struct sq_shard *shards;
	size_t n_shards;
	const struct sq_burial *burial; /* functions of publish/: see source.h */
	struct sq_groups *groups;       /* group/ */
	struct sq_watch *watch;
	struct sq_keys *keys; /* publish/ */
	struct sq_delayed *delayed;
	struct sq_dead *dead;
	struct sq_sys *sys;
	struct sq_taps *taps;
	struct sq_replies *replies;
	struct sq_subscribers *subscribers; /* subscriber/ */
	struct sq_serving serving;
	struct sq_turns *turns; /* broker.c */
	struct sq_view *view;   /* tables.c */
};

/* Starts numbers above those of each earlier opening of the store; 'engine' is open. */
void sq_life_init(struct sq_broker *);
void sq_life_fini(struct sq_broker *);

/* Draws a number that is new in this broker's store: for groups, epochs, records.  Thread: any.
 * Locks: none. */
uint64_t sq_broker_id(struct sq_broker *);

/* Counts objects that must end before the broker is freed: sessions, transactions, tasks.  Thread:
 * any.  Locks: its own. */
void sq_broker_object(struct sq_broker *, int by);
/* Has queues and sessions only close from now on: their records stay for the next start.  Thread:
 * any.  Locks: none. */
void sq_broker_close(struct sq_broker *);
bool sq_broker_closing(const struct sq_broker *);
/* Blocks until all objects have ended.  Thread: any but a worker.  Locks: its own. */
void sq_broker_await(struct sq_broker *);

/* The recovery time, after a restart that lost sessions: clients come back with sessions that this
 * broker does not know.  No messages are accepted meanwhile, because they would miss subscribers on
 * their way back.  Each of these: Thread: any.  Locks: none. */

/* A PUT has come; the first one begins the recovery time. */
void sq_broker_attaches(struct sq_broker *, uint64_t now_ms);
/* A session from before the start has been made again. */
void sq_broker_remade(struct sq_broker *, uint64_t now_ms);
/* Whether messages wait for the end of the recovery time. */
bool sq_broker_recovers(const struct sq_broker *, uint64_t now_ms);
/* Whether the recovery time has begun and is over. */
bool sq_broker_recovered(const struct sq_broker *, uint64_t now_ms);

/* The shard of the calling worker. */
struct sq_shard *sq_shard_here(const struct sq_broker *);

static inline void
sq_count(struct sq_broker *b, enum sq_broker_metric m, int64_t by)
{
	sq_metric_add(&b->metrics, m, by);
}

#endif
