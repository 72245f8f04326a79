/* What libh2o 2.2.5 leaves to its users: ending a thread without leaks, and what an HTTP/2
 * connection holds.  'sock' is one that h2o_http2_accept() took.  Thread: its loop's. */
#ifndef SQ_CORE_H2O_H
#define SQ_CORE_H2O_H

#include <h2o.h>
#include <stdbool.h>
#include <stdint.h>

/* Frees what h2o keeps for reuse in this thread.  Call it on the thread of
 * 'ctx' when its connections are gone, before h2o_context_dispose(); the loop
 * turns a few times inside.
 *
 * Two more things that h2o's own disposal leaves to the caller: ctx->queue,
 * read before h2o_context_dispose() and freed after it, and the loop, by
 * h2o_evloop_destroy() at last. */
void sq_h2o_thread_fini(h2o_context_t *ctx);

/* What an HTTP/2 connection's requests hold. */
struct sq_h2o_held {
	unsigned open; /* requests that have no answer yet */
	size_t body;   /* bytes of their bodies so far */
	size_t bytes;  /* allocated for all of it, answers that wait to be taken besides */
};

/* Whether h2o has closed the socket and only TLS' farewell is still being written: the
 * connection that it was of is gone.  Of any socket. */
bool sq_h2o_closing(const h2o_socket_t *sock);
struct sq_h2o_held sq_h2o_held(h2o_socket_t *sock);
/* Streams that h2o has ended by an error so far, of all connections of 'ctx'. */
uint64_t sq_h2o_stream_errors(const h2o_context_t *ctx);
/* Says GOAWAY with ENHANCE_YOUR_CALM and 'text', a literal, then ends the connection once
 * that is written, which a peer can put off: the caller bounds it.  What was read and not
 * yet looked at is dropped. */
void sq_h2o_calm(h2o_socket_t *sock, const char *text);

#endif
