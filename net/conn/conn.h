/* One byte stream to a broker: TCP, or TLS 1.3 over it.
 *
 * Knows no HTTP/2.  It reads once per readiness event and writes once per
 * sq_conn_flush().  The buffers in between are shared by all connections of the
 * process, which therefore live on one thread; an idle connection keeps none, and
 * a busy one only the bytes that a full socket has refused. */
#ifndef SQ_NET_CONN_CONN_H
#define SQ_NET_CONN_CONN_H

#include <ev.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/err.h"

struct sq_conn;
struct sq_pair;

struct sq_conn_cfg {
	struct ev_loop *loop;
	const struct sockaddr *addr; /* used during the call only */
	socklen_t addr_len;
	SSL_CTX *tls;               /* NULL: in the clear */
	const struct sq_pair *pair; /* certificate that it shows, with 'tls'; NULL: none */
	const char *server;         /* name or address that the certificate must carry */
};

/* Called from the loop only.  The connection must not be freed inside. */
struct sq_conn_events {
	/* Connected; with TLS the peer is verified and speaks h2. */
	void (*open)(void *owner);
	/* Bytes, valid during the call. */
	void (*data)(void *owner, const unsigned char *p, size_t len);
	/* The bytes that a full socket had refused have left: put more. */
	void (*drained)(void *owner);
	/* Ended, by the peer or an error; sq_conn_error() says why.  Nothing follows. */
	void (*closed)(void *owner);
};

/* Starts to connect.  Never fails: an error comes as closed(), from the loop. */
struct sq_conn *sq_conn_new(const struct sq_conn_cfg *, const struct sq_conn_events *, void *owner);
/* Closes without a word to the owner, and frees. */
void sq_conn_free(struct sq_conn **);

/* Adds bytes for the next sq_conn_flush() to write.  They are copied. */
void sq_conn_put(struct sq_conn *, const void *p, size_t len);
/* The same for bytes that stay where they are until sq_conn_flush() returns;
 * large ones are not copied. */
void sq_conn_put_ref(struct sq_conn *, const void *p, size_t len);
/* Writes.  Every put must be followed by a flush of the same connection before
 * another one is put to.  SQ_EIO: the connection is dead, sq_conn_error() says why. */
int sq_conn_flush(struct sq_conn *) SQ_MUST_CHECK;
/* The socket is full: bytes that are put now are kept until drained(), so put no more. */
bool sq_conn_blocked(const struct sq_conn *);
/* Why it ended, for people; never NULL. */
const char *sq_conn_error(const struct sq_conn *);

#endif
