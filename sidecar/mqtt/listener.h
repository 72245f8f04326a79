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

/* Listens on each configured address; leaves out an address family that this machine lacks, with a
 * log line.  NULL with a line in 'err': port in use, no permission, or no address. */
struct sq_listener *sq_listener_open(struct sq_clients *, struct sq_buf *err);
/* Whether sq_listener_open() would succeed.  An address in use is no error, and sets '*in_use'.  An
 * error puts a line into 'err'. */
int
sq_listener_check(const struct sq_sidecar_cfg *, bool *in_use, struct sq_buf *err) SQ_MUST_CHECK;
/* Stops accepting, removes the unix socket, frees '*lp', if any. */
void sq_listener_close(struct sq_listener **lp);

#endif
