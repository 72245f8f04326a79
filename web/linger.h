/* Lingering sockets, which h2o has closed after a last message (GOAWAY).  Later bytes of the peer
 * would have the kernel reset the connection, and the peer would lose a message that it has not
 * read.  So a copy of the descriptor stays open for a second; nothing is read from it.  Thread: the
 * owning worker's. */
#ifndef SQ_WEB_LINGER_H
#define SQ_WEB_LINGER_H

#include <stdint.h>

enum { SQ_LINGER_MOST = 64 }; /* sockets at a time; further ones do not linger */

/* Of one worker; begins as zeros. */
struct sq_lingers {
	struct sq_linger {
		int fd;
		uint64_t until_ms;
	} v[SQ_LINGER_MOST]; /* in the order of their ends */
	unsigned n;
};

/* Keeps a copy of 'fd', which is closed next. */
void sq_linger_add(struct sq_lingers *, int fd, uint64_t now_ms);
/* Shuts down writing, and closes sockets whose time is over; called in each tick. */
void sq_lingers_tick(struct sq_lingers *, uint64_t now_ms);
/* Closes all. */
void sq_lingers_fini(struct sq_lingers *);

#endif
