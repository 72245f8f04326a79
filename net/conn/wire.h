/* One byte stream to a broker: TCP, or TLS 1.3 over it.
 *
 * Knows no HTTP/2.  It reads once per readiness event and writes once per sq_wire_flush().  The
 * connections of a loop share the buffers in between, which their owner makes, and therefore live
 * on one thread.  An idle connection keeps no buffer, a busy one only the bytes that a full socket
 * has refused. */
#ifndef SQ_NET_CONN_WIRE_H
#define SQ_NET_CONN_WIRE_H

#include <ev.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/err.h"

struct sq_wire;
struct sq_pair;

struct sq_wire_io;

struct sq_wire_cfg {
	struct ev_loop *loop;
	struct sq_wire_io *io;       /* outlives the connection */
	const struct sockaddr *addr; /* used during the call only */
	socklen_t addr_len;
	SSL_CTX *tls;               /* NULL: in the clear */
	const struct sq_pair *pair; /* own certificate, with 'tls'; NULL: none */
	const char *server;         /* name or address that the certificate must carry */
};

/* Called from the loop only.  The connection must not be freed inside. */
struct sq_wire_events {
	/* Connected; with TLS the peer is verified and speaks h2. */
	void (*open)(void *owner);
	/* Bytes, valid during the call. */
	void (*data)(void *owner, const unsigned char *p, size_t len);
	/* The bytes that a full socket had refused have been written: more may be put. */
	void (*drained)(void *owner);
	/* Ended by the peer or by an error, see sq_wire_error().  No event follows. */
	void (*closed)(void *owner);
};

/* Makes the buffers that connections of one loop share. */
struct sq_wire_io *sq_wire_io_new(void);
/* Frees them, if any, and nulls the pointer; no connection is left. */
void sq_wire_io_free(struct sq_wire_io **);

/* Starts to connect.  Never fails: an error comes as closed(), from the loop. */
struct sq_wire *sq_wire_new(const struct sq_wire_cfg *, const struct sq_wire_events *, void *owner);
/* Closes and frees the connection without an event; nulls the pointer. */
void sq_wire_free(struct sq_wire **);

/* Adds bytes for the next sq_wire_flush() to write.  They are copied. */
void sq_wire_put(struct sq_wire *, const void *p, size_t len);
/* Adds bytes that stay in place until sq_wire_flush() returns; large ones are not copied. */
void sq_wire_put_ref(struct sq_wire *, const void *p, size_t len);
/* Writes the added bytes.  Puts to a connection are followed by its flush before a put to another
 * one of the same loop.  SQ_EIO: the connection has ended, see sq_wire_error(). */
int sq_wire_flush(struct sq_wire *) SQ_MUST_CHECK;
/* Whether the socket is full: bytes put now are kept in memory until drained(), so the caller
 * stops. */
bool sq_wire_blocked(const struct sq_wire *);
/* The reason of the end, for people; never NULL. */
const char *sq_wire_error(const struct sq_wire *);

#endif
