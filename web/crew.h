/* The crew: the threads of a program that serve, and who has a place on them.
 *
 *   crew     the workers.  Made by main before all that uses them, freed by it after that.  It
 *            knows neither fronts nor sockets.
 *   worker   a thread with a loop (web/worker.h).  A front and the broker's shards hold pointers
 *            to workers and post tasks to them.
 *   task     a step of work that moves to a worker; its user's memory.
 *   slot     a user's place on a worker (web/slot.h): an h2o context, if it serves, and the calls
 *            'tick' and 'turned'.  Each front has one on each worker, embedded in its part there;
 *            so has main, which ticks what has no sockets.
 *   context  h2o's: timers, connections, handlers of one configuration.  One per slot; all of a
 *            worker share its loop.
 *
 * A turn of the loop: ticks that are due; sockets are polled and read, and tasks of other threads
 * come in; tasks run, part by part (enum sq_turn_part); the writes that these asked for are made;
 * 'turned' of each slot.
 *
 * The end, in this order: each user closes its sockets; the crew settles; sq_crew_stop(), after
 * which nothing turns; what the workers worked on is freed, which may still post to them;
 * sq_crew_free() runs these last tasks and closes the slots; their users are freed. */
#ifndef SQ_WEB_CREW_H
#define SQ_WEB_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

struct sq_crew;
struct sq_worker;

/* Starts 'n' workers, at least one; they turn when it returns. */
struct sq_crew *sq_crew_new(unsigned n);
/* Thread: any.  Locks: none. */
unsigned sq_crew_size(const struct sq_crew *);
/* All workers; worker i has the index i.  Thread: any.  Locks: none. */
struct sq_worker *const *sq_crew_workers(const struct sq_crew *);
/* Whether each loop has turned within 'ms'; appends a line to 'why' for each that has not.
 * Thread: any.  Locks: none. */
bool sq_crew_live(const struct sq_crew *, uint64_t ms, struct sq_buf *why);

/* Has 'run' run on the worker and waits for nothing: a worker that hangs keeps no other from it.
 * Runs of one thread keep their order.  Thread: any.  Locks: none held after it. */
void sq_worker_tell(struct sq_worker *, void (*run)(void *arg), void *arg);
/* Runs 'run' on the worker and waits until it has returned.  Thread: not a worker's.  Locks: none
 * held by the caller that a worker takes. */
void sq_worker_do(struct sq_worker *, void (*run)(void *arg), void *arg);
/* Waits until all that the caller has told the workers, and the tasks that workers have posted to
 * each other, have come to their end.  Thread: not a worker's.  Locks: none held by the caller
 * that a worker takes. */
void sq_crew_settle(struct sq_crew *);

/* Has each worker stand still within its turn, and waits until all do: nothing of theirs runs until
 * sq_crew_go(), and what is posted waits.  They count as turning meanwhile.  Nothing that waits for a
 * worker may be called between the two.  Thread: one at a time, not a worker's. */
void sq_crew_hold(struct sq_crew *);
void sq_crew_go(struct sq_crew *);

/* Ends the loops, each after its turn, and waits for that.  Tasks may still be posted. */
void sq_crew_stop(struct sq_crew *);
/* Runs the tasks that were posted since, closes all slots, ends the threads and frees '*cp', if
 * any. */
void sq_crew_free(struct sq_crew **cp);

#endif
