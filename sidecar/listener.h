/* The local sockets that apps connect to: TCP on loopback addresses, and a unix
 * socket. */
#ifndef SQ_SIDECAR_LISTENER_H
#define SQ_SIDECAR_LISTENER_H

#include "core/buf.h"

struct sq_hub;
struct sq_listener;

/* Listens on everything that the configuration names.  An address family that
 * this machine lacks is left out with a log line.  NULL with a line in 'err':
 * port in use, no permission, nothing to listen on. */
struct sq_listener *sq_listener_open(struct sq_hub *, struct sq_buf *err);
/* Stops accepting, removes the unix socket, frees '*lp', if any. */
void sq_listener_close(struct sq_listener **lp);

#endif
