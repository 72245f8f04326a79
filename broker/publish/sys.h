/* $SYS/broker/...: what the broker says of itself and of each tenant's own part of it, under
 * mosquitto's names (docs/user-guide.md has the table).
 *
 * Each sys.interval, while somebody has bound a filter there, the values that have changed are
 * put at QoS 0 into the queues that somebody takes from; a new subscription gets all that it
 * selects as retained messages.  Nothing of it is stored.
 *
 * The counts are those of broker/shard/sys_counts.h; the number of messages that wait comes from
 * the looks that broker/group/watch.h takes anyway. */
#ifndef SQ_BROKER_PUBLISH_SYS_H
#define SQ_BROKER_PUBLISH_SYS_H

#include "broker/route/retained.h"

struct sq_broker;
struct sq_shard;
struct sq_sys;
struct sq_tenant;
struct sq_watch_user;

/* 'interval_ms' 0: nothing is made.  Router and shards of the broker outlive it. */
struct sq_sys *sq_sys_new(struct sq_broker *, uint64_t interval_ms);
/* No session, group or queue is left. */
void sq_sys_free(struct sq_sys **);

/* The tenant goes: so do the values that were told of it.  Thread: any.  Locks: its own. */
void sq_sys_forget(struct sq_sys *, const struct sq_tenant *);
/* Calls 'fn' for the current values that 'filter' selects, as for retained messages, until
 * it returns false. */
void sq_sys_retained(
    struct sq_sys *, struct sq_tenant *, struct sq_bytes filter, sq_retained_fn *fn, void *arg);

/* On worker 0, about once in 100 ms. */
void sq_sys_tick(struct sq_sys *, struct sq_shard *, uint64_t now_ms);
/* What broker/group/watch.h is to tell. */
struct sq_watch_user sq_sys_watch_user(struct sq_sys *);

#endif
