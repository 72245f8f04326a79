/* Threads beside the loops: they take no signals, and wait by the monotonic clock. */
#ifndef SQ_CORE_THREAD_H
#define SQ_CORE_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stores the signals that our threads block: all but those of a thread's own fault (SIGSYS, SIGSEGV
 * and so on).  A blocked signal of that kind ends the process, and no handler runs, not even a
 * sanitizer's. */
void sq_thread_signals(sigset_t *out);
/* Starts a thread with those signals blocked; ends the process when the system has no thread left.
 * Thread: any. */
void sq_thread_start(pthread_t *out, void *(*run)(void *), void *arg);
/* The same, with a stack of that many bytes, whatever the system's limit says. */
void sq_thread_start_deep(pthread_t *out, size_t stack, void *(*run)(void *), void *arg);

/* Makes a condition whose waits end by CLOCK_MONOTONIC. */
void sq_cond_init(pthread_cond_t *);
/* Waits for it until 'until_ms' of sq_clock_ms().  False: that time is over.  Under the lock; may end
 * for no reason, as pthread_cond_wait(). */
bool sq_cond_wait_until(pthread_cond_t *, pthread_mutex_t *, uint64_t until_ms);

#endif
