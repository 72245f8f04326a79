/* Lingering ends: sockets that h2o has closed behind a last word (GOAWAY).  Bytes that a peer sends
 * after that would have the kernel reset the connection, and take the word away from a peer that
 * has not read it.  So a copy of the descriptor stays open for a second; nothing is read from it.
 * Thread: the worker's that owns it. */
#ifndef SQ_WEB_LINGER_H
#define SQ_WEB_LINGER_H

#include <stdint.h>

enum { SQ_LINGER_MOST = 64 }; /* at a time; more are not kept */

/* Of one worker; begins as zeros. */
struct sq_lingers {
	struct sq_linger {
		int fd;
		uint64_t until_ms;
	} v[SQ_LINGER_MOST]; /* in the order of their ends */
	unsigned n;
};

/* Keeps a copy of 'fd', which is about to be closed. */
void sq_linger_add(struct sq_lingers *, int fd, uint64_t now_ms);
/* Each tick: says that no more comes, and closes those whose time is over. */
void sq_lingers_tick(struct sq_lingers *, uint64_t now_ms);
/* Closes all. */
void sq_lingers_fini(struct sq_lingers *);

#endif
