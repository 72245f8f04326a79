/* Listening sockets of an address, one set per thread that serves them. */
#ifndef SQ_CORE_LISTEN_H
#define SQ_CORE_LISTEN_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

enum { SQ_LISTEN_ADDRS = 8 };

struct sq_listen {
	unsigned sets, n; /* 'n' sockets in each set, one per address of the name */
	unsigned port;
	int *fds; /* fds[set * SQ_LISTEN_ADDRS + i]; -1: none, or taken by a user */
};

/* The findings of sq_listen_check(). */
struct sq_listen_found {
	bool in_use; /* a process listens there now, perhaps this program itself */
	bool beyond; /* other machines can reach the address: it is not loopback alone */
};

/* Listens on "host:port", "[v6]:port", ":port" or "*:port" (every address of
 * both families); port 0: any free one.  A family that this machine lacks is left
 * out; SQ_ENOTFOUND when none is left.  More than one set: each is bound with
 * SO_REUSEPORT, so the kernel spreads connections.  On error also SQ_EIO or
 * SQ_EINVAL, always with a line in 'err' that begins with 'key', the name of the
 * setting. */
int sq_listen_open(struct sq_listen *, const char *key, const char *address, unsigned sets,
    struct sq_buf *err) SQ_MUST_CHECK;
/* Closes the sockets that no user has taken. */
void sq_listen_close(struct sq_listen *);
/* Whether sq_listen_open() would succeed; a port in use is no error here.  Nothing is open
 * afterwards, and no peer could connect meanwhile. */
int sq_listen_check(const char *key, const char *address, struct sq_listen_found *,
    struct sq_buf *err) SQ_MUST_CHECK;

#endif
