/* Queues that people know by a name: of groups, of durable sessions, of dead letters.  The
 * fullest are shown as metrics by name, and those that nobody takes from are counted
 * and logged.
 *
 * A tick looks at some of them at a time, and begins anew about once a second, so
 * what is shown is as old as it takes to look at all. */
#ifndef SQ_BROKER_GROUP_WATCH_H
#define SQ_BROKER_GROUP_WATCH_H

#include "broker/route/router.h"
#include "core/buf.h"
#include "core/metrics.h"

struct sq_tenant;
struct sq_watch;   /* all of a broker's */
struct sq_watched; /* one queue */

/* Who is told of each look at a queue, and of the end of a pass, when each of them has been
 * looked at once.  On the worker of sq_watch_tick(), under the watch's lock. */
struct sq_watch_user {
	void (*looked)(void *arg, struct sq_tenant *, const struct sq_queue_state *);
	void (*passed)(void *arg);
	void *arg;
};

/* 'lonely_ms': how long nobody is there to take from a queue before that is said; 0:
 * never.  'metrics' outlive it. */
struct sq_watch *sq_watch_new(const struct sq_metrics *metrics, uint64_t lonely_ms);
/* Before the first tick. */
void sq_watch_tell(struct sq_watch *, struct sq_watch_user);
/* Nothing is watched any more. */
void sq_watch_free(struct sq_watch **);

/* The sink's queue is open; its name is that of its source.  'wanted': somebody should
 * take from it.  Any worker, and before they turn. */
void sq_watch_add(struct sq_watch *, struct sq_sink *, bool wanted);
/* Before the queue is closed or deleted; nothing where it is not watched. */
void sq_watch_remove(struct sq_watch *, struct sq_sink *);

/* On one worker, about once in 100 ms. */
void sq_watch_tick(struct sq_watch *, uint64_t now_ms);
/* Appends depth, age and members of the fullest queues.  The age of a queue is how long its
 * oldest message has been seen there: a second or so less than it has waited, and
 * not from before the broker's start.  Thread: any.  Locks: its own, for as long as the
 * lines take. */
void sq_watch_write(struct sq_watch *, struct sq_buf *out);

#endif
