/* A task: a step of work that moves to a worker, which web/worker.h posts it to.  Who only keeps a
 * task in its struct, or has others post it, needs this header alone. */
#ifndef SQ_CORE_TASK_H
#define SQ_CORE_TASK_H

#include "core/list.h"

struct sq_worker;

/* The parts of a turn's end, in this order: deliveries are written before the
 * acknowledgements that the same turn has made due.  Of SQ_TURN_REST a turn runs one task, when
 * all else of it is written: for slices of work that nobody's message waits for.  While turns have
 * other work, it gets a tenth of the worker's time. */
enum sq_turn_part { SQ_TURN_WORK, SQ_TURN_FLUSH, SQ_TURN_ANSWER, SQ_TURN_REST, SQ_TURN_PARTS };

/* A task, in the user's memory; it belongs to the worker from the post until 'run' is called. */
struct sq_task {
	struct sq_list node; /* the worker's */
	void (*run)(struct sq_task *);
	enum sq_turn_part turn; /* the worker's */
};

#endif
