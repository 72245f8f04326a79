/* Fault points; see core/fault.h.  Empty without SQ_FAULTS. */
#include "core/fault.h"

#ifdef SQ_FAULTS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *wanted; /* NAME, or NAME:N */
static size_t wanted_len;
static atomic_long countdown;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
fault_init(void)
{
	const char *colon;

	wanted = getenv("SQMQOS_FAULT");
	if (wanted == NULL)
		return;
	colon = strrchr(wanted, ':');
	wanted_len = colon != NULL ? (size_t)(colon - wanted) : strlen(wanted);
	atomic_store(&countdown, colon != NULL ? strtol(colon + 1, NULL, 10) : 1);
}

void
sq_fault_hit(const char *name)
{
	pthread_once(&once, fault_init);
	if (wanted == NULL || strlen(name) != wanted_len || memcmp(name, wanted, wanted_len) != 0)
		return;
	if (atomic_fetch_sub(&countdown, 1) == 1)
		raise(SIGKILL);
}

#endif
