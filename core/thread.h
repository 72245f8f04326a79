/* Threads beside the loops: they take no signals. */
#ifndef SQ_CORE_THREAD_H
#define SQ_CORE_THREAD_H

#include <pthread.h>
#include <signal.h>

/* Stores the signals that our threads block: all but those of a thread's own fault (SIGSYS, SIGSEGV
 * and so on).  A blocked signal of that kind ends the process, and no handler runs, not even a
 * sanitizer's. */
void sq_thread_signals(sigset_t *out);
/* Starts a thread with those signals blocked; ends the process when the system has no thread left.
 * Thread: any. */
void sq_thread_start(pthread_t *out, void *(*run)(void *), void *arg);

#endif
