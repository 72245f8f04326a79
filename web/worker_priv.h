/* The life of a worker, for web/crew.c and web/slot.c. */
#ifndef SQ_WEB_WORKER_PRIV_H
#define SQ_WEB_WORKER_PRIV_H

#include <h2o.h>

#include "web/worker.h"

enum { SQ_WORKER_TICK_MS = 100 };

/* Starts the thread and returns when its loop can be posted to. */
struct sq_worker *sq_worker_start(unsigned index);
/* Ends the loop after its turn and waits for that.  Tasks may still be posted. */
void sq_worker_stop(struct sq_worker *);
/* Runs the tasks that were posted since, on the worker's thread, closes the slots, ends the thread
 * and frees '*wp', if any.  Such a task posts to its own worker at most. */
void sq_worker_free(struct sq_worker **wp);
/* The time of its loop's last turn, on sq_clock_ms().  Thread: any.  Locks: none. */
uint64_t sq_worker_turned_ms(const struct sq_worker *);

/* Thread: the worker's. */
h2o_loop_t *sq_worker_loop(struct sq_worker *);
/* struct sq_crew_slot, in the order of their opening.  Thread: the worker's. */
struct sq_list *sq_worker_slots(struct sq_worker *);

#endif
