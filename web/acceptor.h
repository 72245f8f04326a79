/* An acceptor: the listening sockets of one loop, and the acceptance of connections from them.
 * Thread: the loop's. */
#ifndef SQ_WEB_ACCEPTOR_H
#define SQ_WEB_ACCEPTOR_H

#include <h2o.h>
#include <stdbool.h>

#include "core/listen.h"

enum { SQ_ACCEPTOR_BURST = 32 }; /* of a front */

struct sq_acceptor {
	/* The user's, set before the acceptor is opened. */
	const char *scope; /* of log lines; NULL: nothing is logged */
	unsigned burst;    /* connections in a row of one socket, before others have a turn */
	/* Takes a new connection's socket over. */
	void (*accepted)(void *owner, h2o_socket_t *sock);
	void *owner;
	/* The acceptor's. */
	h2o_socket_t *sockets[SQ_LISTEN_ADDRS];
	unsigned n;
	bool paused;
};

/* Takes the sockets of 'set' over and accepts from them in turns of 'loop'. */
void sq_acceptor_open(struct sq_acceptor *, h2o_loop_t *loop, struct sq_listen *, unsigned set);
/* Whether the acceptor has paused, because the process or the system had no descriptor left. */
bool sq_acceptor_paused(const struct sq_acceptor *);
/* Accepts again, if it has paused.  The user calls it from time to time. */
void sq_acceptor_resume(struct sq_acceptor *);
/* Closes the sockets.  Whether it is open or not. */
void sq_acceptor_close(struct sq_acceptor *);

#endif
