#include "core/thread.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/log.h"
#include "core/mem.h"

void
sq_thread_signals(sigset_t *out)
{
	static const int own[] = {SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

	sigfillset(out);
	for (size_t i = 0; i < SQ_ARRAY_LEN(own); i++)
		sigdelset(out, own[i]);
}

static void
thread_start(pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	sigset_t all, old;
	int err;

	sq_thread_signals(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(out, attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err == 0)
		return;
	SQ_ERROR("thread", "can't be started: %s", strerror(err));
	abort();
}

void
sq_thread_start(pthread_t *out, void *(*run)(void *), void *arg)
{
	thread_start(out, NULL, run, arg);
}

void
sq_thread_start_deep(pthread_t *out, size_t stack, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	if (pthread_attr_setstacksize(&attr, stack) != 0)
		abort(); /* no size of a stack */
	thread_start(out, &attr, run, arg);
	pthread_attr_destroy(&attr);
}

void
sq_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
}

bool
sq_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *lock, uint64_t until_ms)
{
	const struct timespec until = {
	    .tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};

	return pthread_cond_timedwait(c, lock, &until) == 0;
}
