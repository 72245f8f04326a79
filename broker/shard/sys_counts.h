/* Counts of each tenant for $SYS/broker/... (broker/publish/sys.h), and the spaces in which filters
 * of $SYS are bound.
 *
 * Each shard has a part for each tenant, written by its worker alone and read by any thread;
 * messages are counted once for a batch, and once for a turn of a session.
 *
 * A tenant has a routing space of its own for $SYS, which no publish of an app reaches, so that
 * tenants with a common topic space see nothing of each other. */
#ifndef SQ_BROKER_SHARD_SYS_COUNTS_H
#define SQ_BROKER_SHARD_SYS_COUNTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sq_router;
struct sq_space;
struct sq_sys_counts;
struct sq_tenant;
struct sq_topic_filter;

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

/* Adds to a count.  On the worker of the part's shard, or before workers turn. */
static inline void
sq_sys_add(struct sq_sys_part *p, enum sq_sys_count which, int64_t by)
{
	atomic_store_explicit(&p->v[which],
	    atomic_load_explicit(&p->v[which], memory_order_relaxed) + by, memory_order_relaxed);
}

/* The sums of a tenant's counts over all shards. */
struct sq_sys_sums {
	int64_t v[SQ_SYS_COUNTS];
	int64_t dropped, maximum;
	struct sq_space *space; /* of its filters of $SYS; NULL: none has been bound */
};

/* 'interval_ms': time between two rounds; 0: no rounds.  The router outlives it. */
struct sq_sys_counts *sq_sys_counts_new(struct sq_router *, size_t n_shards, uint64_t interval_ms);
/* Frees it and nulls the pointer; no session, group or queue is left. */
void sq_sys_counts_free(struct sq_sys_counts **);

/* Each of the following: Thread: any.  Locks: its own. */

/* The tenant's part of shard 'index'; exists as long as the tenant. */
struct sq_sys_part *sq_sys_counts_part(struct sq_sys_counts *, struct sq_tenant *, unsigned index);
/* The number of messages that the tenant's queues have dropped; exists as long as the tenant. */
_Atomic int64_t *sq_sys_counts_dropped(struct sq_sys_counts *, struct sq_tenant *);
/* Counts one more connected client; on the worker of the part. */
void sq_sys_counts_connected(struct sq_sys_counts *, struct sq_tenant *, struct sq_sys_part *);
/* Frees the counts of a tenant that is freed next. */
void sq_sys_counts_forget(struct sq_sys_counts *, const struct sq_tenant *);
void sq_sys_counts_sum(struct sq_sys_counts *, struct sq_tenant *, struct sq_sys_sums *out);

/* The space for a filter of the tenant: that of its topics, or the one for $SYS.  The first filter
 * of $SYS begins rounds. */
struct sq_space *
sq_sys_counts_space(struct sq_sys_counts *, struct sq_tenant *, const struct sq_topic_filter *);
/* Whether there are rounds at the moment, because $SYS has a subscription. */
bool sq_sys_counts_wanted(const struct sq_sys_counts *);
/* If a round is due: the tenants with a bound filter of $SYS, their number in '*n'; the caller
 * frees the array.  NULL: no round is due. */
struct sq_tenant **sq_sys_counts_round(struct sq_sys_counts *, uint64_t now_ms, size_t *n);

#endif
