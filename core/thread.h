/* Threads beside the loops: they take no signals. */
#ifndef SQ_CORE_THREAD_H
#define SQ_CORE_THREAD_H

#include <pthread.h>

/* Starts a thread with all signals blocked; ends the process where the system
 * has none left. */
void sq_thread_start(pthread_t *out, void *(*run)(void *), void *arg);

#endif
