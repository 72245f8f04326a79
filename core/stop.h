/* How a program is told to end, and that it does end: SIGTERM and SIGINT come to a
 * thread of their own, which nothing holds up that the program waits for.
 *
 * The first signal asks for an orderly end.  A second one, or the end of the time
 * for it, ends the process at once with SQ_EXIT_CUT and a line in the log: as
 * SIGKILL would, so nothing that was not acknowledged before is acknowledged any
 * more, and what was is on disk. */
#ifndef SQ_CORE_STOP_H
#define SQ_CORE_STOP_H

#include <stdint.h>

struct sq_stop;

enum {
	SQ_EXIT_CUT = 3,   /* ended before all was done */
	SQ_STOP_MS = 4000, /* an orderly end, behind what the program waits for on purpose */
};

struct sq_stop_cfg {
	const char *scope;  /* of the log */
	uint64_t within_ms; /* time for an orderly end, from the first signal on */
	int also; /* one more signal that the program wants, any number of times; 0: none */
	/* On the thread, which must not wait here: 'also', or the first SIGTERM or SIGINT. */
	void (*told)(void *owner, int sig);
	void *owner;
};

/* From the main thread, before there are others: all of them must block the signals,
 * as the caller does from now on. */
struct sq_stop *sq_stop_start(const struct sq_stop_cfg *);
/* An orderly end has come about, or the program never served.  Nulls '*stop'. */
void sq_stop_done(struct sq_stop **stop);

#endif
