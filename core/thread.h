/* Threads beside the loops: they take no signals. */
#ifndef SQ_CORE_THREAD_H
#define SQ_CORE_THREAD_H

#include <pthread.h>
#include <signal.h>

/* What they block: every signal but those that tell a thread of what it has done itself (SIGSYS,
 * SIGSEGV and the like): one of these that is blocked ends the process, and no handler hears of
 * it, a sanitizer's neither. */
void sq_thread_signals(sigset_t *out);
/* Starts a thread with all those signals blocked; ends the process where the system
 * has none left. */
void sq_thread_start(pthread_t *out, void *(*run)(void *), void *arg);

#endif
