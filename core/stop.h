/* The end of a program.  SIGTERM and SIGINT come to a thread of their own, which waits for nothing
 * else, so the program ends in any case.
 *
 * The first signal asks for an orderly end.  A second signal, or the end of the time for an orderly
 * end, ends the process at once with SQ_EXIT_CUT and a line in the log.  That is as safe as SIGKILL:
 * acknowledged messages are on disk, and none is acknowledged afterwards. */
#ifndef SQ_CORE_STOP_H
#define SQ_CORE_STOP_H

#include <stdint.h>

struct sq_stop;

enum {
	SQ_EXIT_CUT = 3,   /* ended before all was done */
	SQ_STOP_MS = 4000, /* time of an orderly end, beyond waits that are configured */
};

struct sq_stop_cfg {
	const char *scope;  /* of the log */
	uint64_t within_ms; /* time for an orderly end, from the first signal on */
	int also[2];        /* other signals that the program wants, any number of times; 0: none */
	/* Reports one of 'also', or the first SIGTERM or SIGINT; must not wait.  Thread: the stop thread. */
	void (*told)(void *owner, int sig);
	void *owner;
};

/* Blocks the signals in the calling thread and starts the stop thread.  Thread: main, before others
 * start, so that all of them inherit the blocked signals. */
struct sq_stop *sq_stop_start(const struct sq_stop_cfg *);
/* Ends the process at once with that exit code and a line of the log, which does not hold it up.
 * Thread: any. */
_Noreturn void sq_stop_now(const char *scope, int code, const char *why);
/* Ends the stop thread: the orderly end has come, or the program never served.  Nulls '*stop'. */
void sq_stop_done(struct sq_stop **stop);

#endif
