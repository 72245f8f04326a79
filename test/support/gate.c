#include "gate.h"

#include <pthread.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool is_open, overdue;

void
gate_hang(void *arg)
{
	struct timespec bound;
	int rc = 0;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &bound);
	bound.tv_sec += GATE_BOUND_S;
	pthread_mutex_lock(&lock);
	while (!is_open && rc == 0)
		rc = pthread_cond_timedwait(&opened, &lock, &bound);
	overdue = overdue || !is_open;
	pthread_mutex_unlock(&lock);
}

void
gate_open(void)
{
	pthread_mutex_lock(&lock);
	is_open = true;
	pthread_cond_broadcast(&opened);
	pthread_mutex_unlock(&lock);
}

bool
gate_overdue(void)
{
	bool was;

	pthread_mutex_lock(&lock);
	was = overdue;
	pthread_mutex_unlock(&lock);
	return was;
}
