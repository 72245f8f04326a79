/* $SYS/broker/...: what the broker says of itself and of each tenant's own part of it, under
 * mosquitto's names (docs/user-guide.md has the table).
 *
 * A tenant has a routing space of its own for $SYS, which no publish of an app reaches, so
 * that tenants that share a topic space hear nothing of each other.  Each sys.interval, while
 * somebody has bound a filter there, the values that have changed are put at QoS 0 into the
 * queues that somebody takes from; a new subscription gets all that it selects as retained
 * messages.  Nothing of it is stored.
 *
 * Counts: each shard has a part for each tenant, written by its worker alone and read by any;
 * messages are counted by the batch, and by the turn of a session.  What waits comes from the
 * looks that broker/group/watch.h takes anyway. */
#ifndef SQ_BROKER_PUBLISH_SYS_H
#define SQ_BROKER_PUBLISH_SYS_H

#include <stdatomic.h>
#include <stdint.h>

#include "broker/route/retained.h"

struct sq_broker;
struct sq_sys;
struct sq_tenant;
struct sq_watch_user;

enum sq_sys_count {
	SQ_SYS_CONNECTED, /* attached sessions of clients */
	SQ_SYS_TOTAL,     /* sessions of clients */
	SQ_SYS_EXPIRED,
	SQ_SYS_SUBSCRIPTIONS,
	SQ_SYS_SHARED, /* subscriptions to $share and declared groups */
	SQ_SYS_RECEIVED,
	SQ_SYS_RECEIVED_BYTES,
	SQ_SYS_SENT,
	SQ_SYS_SENT_BYTES,
	SQ_SYS_COUNTS,
};

/* A shard's counts of a tenant. */
struct sq_sys_part {
	_Alignas(64) _Atomic int64_t v[SQ_SYS_COUNTS];
};

/* On the worker of the part's shard, or before workers turn. */
static inline void
sq_sys_add(struct sq_sys_part *p, enum sq_sys_count which, int64_t by)
{
	atomic_store_explicit(&p->v[which],
	    atomic_load_explicit(&p->v[which], memory_order_relaxed) + by, memory_order_relaxed);
}

/* 'interval_ms' 0: nothing is made.  Router and shards of the broker outlive it. */
struct sq_sys *sq_sys_new(struct sq_broker *, uint64_t interval_ms);
/* No session, group or queue is left. */
void sq_sys_free(struct sq_sys **);

/* The part of the shard's tenant; lives as long as 'sys'.
 * Thread: any.  Locks: its own, as in all of these but where it is said. */
/* The tenant goes: so does what is counted for it. */
void sq_sys_forget(struct sq_sys *, const struct sq_tenant *);
struct sq_sys_part *sq_sys_part(struct sq_sys *, struct sq_tenant *, const struct sq_shard *);
/* One more of the tenant's clients is connected; on the shard's worker. */
void sq_sys_connected(struct sq_sys *, struct sq_tenant *, struct sq_sys_part *);
/* Where its queues count messages that they drop; lives as long. */
_Atomic int64_t *sq_sys_dropped(struct sq_sys *, struct sq_tenant *);

/* The space where the tenant's filter is bound: of its topics, or the one for $SYS. */
struct sq_space *sq_sys_space(struct sq_sys *, struct sq_tenant *, const struct sq_topic_filter *);
/* Calls 'fn' for the current values that 'filter' selects, as for retained messages, until
 * it returns false. */
void sq_sys_retained(
    struct sq_sys *, struct sq_tenant *, struct sq_bytes filter, sq_retained_fn *fn, void *arg);

/* On worker 0, about once in 100 ms. */
void sq_sys_tick(struct sq_sys *, struct sq_shard *, uint64_t now_ms);
/* What broker/group/watch.h is to tell. */
struct sq_watch_user sq_sys_watch_user(struct sq_sys *);

#endif
