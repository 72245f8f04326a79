/* The local sockets that apps connect to: TCP on loopback addresses, and a unix
 * socket. */
#ifndef SQ_SIDECAR_MQTT_LISTENER_H
#define SQ_SIDECAR_MQTT_LISTENER_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "sidecar/config/config.h"

struct sq_clients;
struct sq_listener;

/* Listens on everything that the configuration names.  An address family that
 * this machine lacks is left out with a log line.  NULL with a line in 'err':
 * port in use, no permission, nothing to listen on. */
struct sq_listener *sq_listener_open(struct sq_clients *, struct sq_buf *err);
/* Whether sq_listener_open() could do it, but for addresses that somebody has
 * now: they are no error, and set '*in_use'.  Else a line in 'err'. */
int
sq_listener_check(const struct sq_sidecar_cfg *, bool *in_use, struct sq_buf *err) SQ_MUST_CHECK;
/* Stops accepting, removes the unix socket, frees '*lp', if any. */
void sq_listener_close(struct sq_listener **lp);

#endif
