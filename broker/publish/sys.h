/* $SYS/broker/...: figures of the broker and of each tenant's part of it, under mosquitto's names
 * (docs/user-guide.md has the table).
 *
 * Each sys.interval, while a filter of $SYS is bound, the changed values are put at QoS 0 into
 * queues that have a taker; a new subscription gets all values that it selects as retained
 * messages.  Nothing of it is stored.
 *
 * The counts are those of broker/shard/sys_counts.h; the number of waiting messages comes from the
 * looks of broker/group/watch.h. */
#ifndef SQ_BROKER_PUBLISH_SYS_H
#define SQ_BROKER_PUBLISH_SYS_H

#include "broker/route/retained.h"

struct sq_broker;
struct sq_shard;
struct sq_sys;
struct sq_tenant;
struct sq_watch_user;

/* 'interval_ms' 0: no messages are made.  The broker's router and shards outlive it. */
struct sq_sys *sq_sys_new(struct sq_broker *, uint64_t interval_ms);
/* Frees it and nulls the pointer; no session, group or queue is left. */
void sq_sys_free(struct sq_sys **);

/* Frees the values of a tenant that is freed next.  Thread: any.  Locks: its own. */
void sq_sys_forget(struct sq_sys *, const struct sq_tenant *);
/* Calls 'fn' for the current values that 'filter' selects, in the way of retained messages, until
 * it returns false.  Thread: any worker.  Locks: its own. */
void sq_sys_retained(
    struct sq_sys *, struct sq_tenant *, struct sq_bytes filter, sq_retained_fn *fn, void *arg);

/* Makes a round if it is due; about once in 100 ms.  Thread: worker 0. */
void sq_sys_tick(struct sq_sys *, struct sq_shard *, uint64_t now_ms);
/* The user for sq_watch_tell() of broker/group/watch.h. */
struct sq_watch_user sq_sys_watch_user(struct sq_sys *);

#endif
