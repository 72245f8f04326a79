/* A worker: a thread with a loop.  An object of a worker is used on that thread alone, and so needs
 * no lock.
 *
 * Work moves between workers in tasks.  Tasks that the worker posts to itself run at the end of the
 * loop's turn, in order; tasks of other threads come in with the next turn, in the order of each
 * thread's posts.  Nothing here blocks.  Of SQ_TURN_REST a turn runs one task, whoever posted it.
 *
 * web/crew.h makes workers.  A file that only posts needs this header alone. */
#ifndef SQ_WEB_WORKER_H
#define SQ_WEB_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/heap.h"
#include "core/task.h"

/* Has 't' run on 'to', in the turn's part SQ_TURN_WORK.  The caller keeps 'to' alive until then.
 * Thread: any.  Locks: none held after it. */
void sq_worker_post(struct sq_worker *to, struct sq_task *t);
/* Has 't' run on 'to', in any part of the turn; see core/task.h.  Thread: any.  Locks: none held after
 * it. */
void sq_worker_post_in(struct sq_worker *to, enum sq_turn_part turn, struct sq_task *t);
/* Has 't' run in the next turn of the calling worker, after tasks that other threads have posted by
 * then: for work in slices.  Thread: a worker's. */
void sq_worker_post_later(struct sq_task *t);

/* An alarm of a worker, in the user's memory, zeroed but for 'run'. */
struct sq_alarm {
	void (*run)(struct sq_alarm *);
	/* The worker's. */
	struct sq_heap_node at;
	struct sq_task task;
	bool posted;
};

/* Has 'run' called on the calling worker once, when it is 'at_ms' of sq_clock_ms() or later; another
 * call moves that.  Thread: a worker's. */
void sq_worker_alarm(struct sq_alarm *, uint64_t at_ms);
/* It is not called any more; nothing happens if it would not be.  Thread: the same. */
void sq_worker_alarm_off(struct sq_alarm *);

/* The worker of the calling thread; NULL: it is no worker's.  Thread: any.  Locks: none. */
struct sq_worker *sq_worker_self(void);
/* The worker's index in the crew, from 0.  Thread: any.  Locks: none. */
unsigned sq_worker_index(const struct sq_worker *);
/* The loop's present time, in milliseconds of sq_clock_ms(): constant in each part of a turn.
 * Thread: the worker's. */
uint64_t sq_worker_now_ms(const struct sq_worker *);

#endif
