/* A worker: one thread, one h2o context, one loop.  Sessions and queues each
 * belong to one worker; what concerns them runs there.
 *
 * Work moves between workers as tasks.  A task posted to the own worker runs at
 * the end of the loop's turn, in order; to another it goes by h2o's multithread
 * queue.  Nothing here blocks. */
#ifndef SQ_WEB_WORKER_H
#define SQ_WEB_WORKER_H

#include <h2o/multithread.h>
#include <stdint.h>

#include "core/list.h"

struct sq_worker;

/* The parts of a turn's end, in this order: deliveries are written before the
 * acknowledgements that the same turn has made due. */
enum sq_turn { SQ_TURN_WORK, SQ_TURN_FLUSH, SQ_TURN_ANSWER, SQ_TURN_PARTS };

struct sq_task {
	h2o_multithread_message_t mt;
	struct sq_list node;
	void (*run)(struct sq_task *);
	enum sq_turn turn; /* the worker's */
};

/* Runs 't' on 'to', which the caller keeps alive until then; from any thread.
 * A task is posted again only after it has begun to run. */
void sq_worker_post(struct sq_worker *to, struct sq_task *t);
/* The same, in another part of the turn than SQ_TURN_WORK. */
void sq_worker_post_in(struct sq_worker *to, enum sq_turn turn, struct sq_task *t);
/* Runs 't' in the next turn of the worker whose thread this is, behind what has come in for it by
 * then: for work in slices. */
void sq_worker_post_later(struct sq_task *t);
/* The worker whose thread this is; NULL outside of one. */
struct sq_worker *sq_worker_self(void);
unsigned sq_worker_index(const struct sq_worker *);
/* The loop's idea of now, CLOCK_MONOTONIC-like milliseconds; own thread only. */
uint64_t sq_worker_now_ms(const struct sq_worker *);

#endif
