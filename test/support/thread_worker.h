/* Workers with threads and nothing else: web/worker.h on a locked list, to run
 * the broker proper under ThreadSanitizer. */
#ifndef SQ_TEST_SUPPORT_THREAD_WORKER_H
#define SQ_TEST_SUPPORT_THREAD_WORKER_H

#include "web/worker.h"

/* Starts worker 'index', which calls 'tick' about every millisecond. */
struct sq_worker *thread_worker_start(unsigned index, void (*tick)(struct sq_worker *));
/* Ends the thread once nothing is left to run, and frees '*wp'. */
void thread_worker_stop(struct sq_worker **wp);

#endif
