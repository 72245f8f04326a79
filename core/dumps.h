/* Core dumps off: tokens, keys, passwords and payloads in a process's memory reach no disk when the
 * process crashes, and nobody but root attaches to it. */
#ifndef SQ_CORE_DUMPS_H
#define SQ_CORE_DUMPS_H

#include <stdbool.h>

/* The row of each program's table. */
#define SQ_DUMPS_KEY "security.core-dumps"
#define SQ_DUMPS_HELP \
	"Leave core dumps and debuggers to the system's settings; else there are none, and of " \
	"/proc/PID what shows memory is root's alone."

/* Is called before the first secret is read.  Without 'allowed' the limit of a core dump is 0
 * for good (also a pipe in core_pattern gets nothing), and the process is not dumpable: ptrace,
 * /proc/PID/mem, maps, smaps, environ and fd of it need CAP_SYS_PTRACE.  A build that watches
 * over itself (sanitizers) has to be attached to, so there it does nothing. */
void sq_dumps_set(bool allowed);

#endif
