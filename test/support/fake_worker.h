/* Workers without threads: web/worker.h on the test's own, with a clock that
 * the test sets.
 *
 * The test acts as one worker at a time (fake_self()); tasks run only inside
 * fake_run(), each on its worker.  Posting is safe from other threads, so that a
 * call that blocks (sq_broker_stop()) may run in one. */
#ifndef SQ_TEST_SUPPORT_FAKE_WORKER_H
#define SQ_TEST_SUPPORT_FAKE_WORKER_H

#include "web/worker.h"

enum { FAKE_WORKERS_MAX = 4 };

/* Makes workers 0 to n - 1 and sets the clock; the test acts as worker 0. */
void fake_workers_init(unsigned n);
struct sq_worker *fake_worker(unsigned i);
struct sq_worker *const *fake_workers(void);
/* From now on the calling thread is worker 'i'. */
void fake_self(unsigned i);
void fake_set_now(uint64_t now_ms);
uint64_t fake_now(void);
/* Runs tasks until none is left; false when there were more than a test can
 * have, so that somebody posts himself for ever. */
bool fake_run(void);
/* One turn of each worker: what is posted for a later one stays. */
void fake_run_turn(void);
/* Runs the tasks of one worker alone until it has none. */
void fake_run_worker(unsigned i);
/* Runs tasks, those that other threads post included, until 'over' says so; false
 * when it does not within a minute. */
bool fake_run_until(bool (*over)(void *arg), void *arg);
/* Tasks that wait. */
size_t fake_pending(void);

#endif
