/* Addresses of AMQP peers: "amqps://host:5671/vhost" (RabbitMQ's URI specification).  Pure. */
#ifndef SQ_BROKER_BRIDGE_AMQP_URL_H
#define SQ_BROKER_BRIDGE_AMQP_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

enum {
	SQ_AMQP_LINES_MAX = 16, /* connections of each direction */
	SQ_AMQP_HOST_MAX = 253,
	SQ_AMQP_VHOST_MAX = 255, /* a short string of AMQP */
};

struct sq_amqp_url {
	bool tls;
	char host[SQ_AMQP_HOST_MAX + 1];   /* without brackets */
	uint16_t port;                     /* 5672 and 5671 unless it is said */
	char vhost[SQ_AMQP_VHOST_MAX + 1]; /* "/" unless it is said */
};

/* Takes a URL apart.  SQ_EINVAL with the reason in 'err', without the text: it may hold a password,
 * which belongs into a file. */
int sq_amqp_url_read(const char *text, struct sq_amqp_url *out, struct sq_buf *err) SQ_MUST_CHECK;
/* Appends it for people: scheme, host, port. */
void sq_amqp_url_name(const struct sq_amqp_url *, struct sq_buf *out);

#endif
