/* Fault points; see core/fault.h.  Empty without SQ_FAULTS. */
#include "core/fault.h"

#ifdef SQ_FAULTS

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long hits;
static atomic_uintptr_t armed; /* the connection at which the process ends, or 0 */

/* Whether this is the N-th time that the wanted point is passed. */
static bool
fault_is_due(const char *name)
{
	const char *wanted = getenv("SQMQOS_FAULT"); /* NAME, NAME:N or NAME:N:hang */
	size_t len = strlen(name);
	long nth = 1;

	if (wanted == NULL || strncmp(wanted, name, len) != 0)
		return false;
	if (wanted[len] == ':')
		nth = strtol(wanted + len + 1, NULL, 10);
	else if (wanted[len] != '\0')
		return false;
	return atomic_fetch_add(&hits, 1) + 1 == nth;
}

static void
fault_end(void)
{
	const char *wanted = getenv("SQMQOS_FAULT"), *how = strrchr(wanted, ':');

	dprintf(STDERR_FILENO, "fault point %s\n", wanted);
	while (how != NULL && strcmp(how, ":hang") == 0)
		(void)poll(NULL, 0, -1); /* which a sidecar may call */
	raise(SIGKILL);
}

void
sq_fault_hit(const char *name)
{
	if (fault_is_due(name))
		fault_end();
}

void
sq_fault_later(const char *name, const void *conn)
{
	if (fault_is_due(name))
		atomic_store(&armed, (uintptr_t)conn);
}

void
sq_fault_written(const void *conn)
{
	if (atomic_load(&armed) == (uintptr_t)conn)
		fault_end();
}

#endif
