/* Listening sockets of an address, one set per worker. */
#ifndef SQ_BROKER_HTTP_LISTEN_H
#define SQ_BROKER_HTTP_LISTEN_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

enum { SQ_LISTEN_ADDRS = 8 };

struct sq_listen {
	unsigned sets, n; /* 'n' sockets in each set, one per address of the name */
	unsigned port;
	int *fds; /* fds[set * SQ_LISTEN_ADDRS + i]; -1: none, or taken over */
};

/* Listens on "host:port", "[v6]:port", ":port" or "*:port" (every address);
 * port 0: any free one.  More than one set: each is bound with SO_REUSEPORT, so
 * the kernel spreads connections.  On error SQ_EIO or SQ_EINVAL with a line in
 * 'err'. */
int sq_listen_open(
    struct sq_listen *, const char *address, unsigned sets, struct sq_buf *err) SQ_MUST_CHECK;
/* Closes what was not taken over. */
void sq_listen_close(struct sq_listen *);

#endif
