/* The watch of named queues: of groups, of durable sessions, of dead letters.  Shows the fullest as
 * metrics by name, and counts and logs queues without takers.
 *
 * A tick looks at some of them and starts over about once a second, so the figures are as old as a
 * pass takes. */
#ifndef SQ_BROKER_GROUP_WATCH_H
#define SQ_BROKER_GROUP_WATCH_H

#include "broker/route/router.h"
#include "core/buf.h"
#include "core/metrics.h"

struct sq_tenant;
struct sq_watch;         /* of a broker */
struct sq_watched_queue; /* one queue */

/* A user that is called at each look at a queue, and at the end of a pass over all.  On the worker
 * of sq_watch_tick(), under the watch's lock. */
struct sq_watch_user {
	void (*looked)(void *arg, struct sq_tenant *, const struct sq_queue_state *);
	void (*passed)(void *arg);
	void *arg;
};

/* 'lonely_ms': time without takers after which a queue is reported; 0: never.  'declared':
 * number of declared queues that are shown by name.  'metrics' outlive the watch. */
struct sq_watch *
sq_watch_new(const struct sq_metrics *metrics, uint64_t lonely_ms, size_t declared);
/* Sets the user, before the first tick. */
void sq_watch_tell(struct sq_watch *, struct sq_watch_user);
/* Frees the watch, which has no queue left; nulls the pointer. */
void sq_watch_free(struct sq_watch **);

/* Adds the open queue of a sink, under the name of its source.  'wanted': the queue should have a
 * taker.  Thread: any worker, and before workers turn.  Locks: its own. */
void sq_watch_add(struct sq_watch *, struct sq_sink *, bool wanted);
/* Has a queue that was added shown as a declared one.  Thread: any worker, and before workers turn.
 * Locks: its own. */
void sq_watch_declared(struct sq_watch *, struct sq_sink *);
/* Removes a queue, if it is watched, before it is closed or deleted.  Thread: any worker.  Locks:
 * its own. */
void sq_watch_remove(struct sq_watch *, struct sq_sink *);

/* The time for which the oldest message of the sink's queue has been seen, as in sq_watch_write();
 * false: the queue is not watched.  The caller keeps the queue from being removed.  Thread: any
 * worker.  Locks: its own. */
bool sq_watch_age(struct sq_watch *, const struct sq_sink *, uint64_t now_ms, uint64_t *age_ms);

/* Looks at some queues; about once in 100 ms.  Thread: one worker.  Locks: its own. */
void sq_watch_tick(struct sq_watch *, uint64_t now_ms);
/* Appends depth, age and members of the fullest queues, and of the declared ones.  The age of a queue is the time for which
 * its oldest message has been seen: about a second less than its waiting time, and counted from the
 * broker's start at the earliest.  Thread: any.  Locks: its own, while the lines are written. */
void sq_watch_write(struct sq_watch *, struct sq_buf *out);

#endif
