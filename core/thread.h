/* Threads beside the loops: they take no signals. */
#ifndef SQ_CORE_THREAD_H
#define SQ_CORE_THREAD_H

#include <pthread.h>
#include <signal.h>

/* What they block: every signal but SIGSYS, which tells a thread of its own system call; one that
 * is blocked ends the process. */
void sq_thread_signals(sigset_t *out);
/* Starts a thread with all those signals blocked; ends the process where the system
 * has none left. */
void sq_thread_start(pthread_t *out, void *(*run)(void *), void *arg);

#endif
