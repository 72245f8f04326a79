/* Fault points; see core/fault.h.  Empty without SQ_FAULTS. */
#include "core/fault.h"

#ifdef SQ_FAULTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_long hits;

void
sq_fault_hit(const char *name)
{
	const char *wanted = getenv("SQMQOS_FAULT"); /* NAME or NAME:N */
	size_t len = strlen(name);
	long nth = 1;

	if (wanted == NULL || strncmp(wanted, name, len) != 0)
		return;
	if (wanted[len] == ':')
		nth = strtol(wanted + len + 1, NULL, 10);
	else if (wanted[len] != '\0')
		return;
	if (atomic_fetch_add(&hits, 1) + 1 == nth)
		raise(SIGKILL);
}

#endif
