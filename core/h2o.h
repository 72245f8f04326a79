/* What libh2o 2.2.5 leaves to its users: ending a thread without leaks, and what an HTTP/2
 * connection holds.  'sock' is one that h2o_http2_accept() took.  Thread: its loop's. */
#ifndef SQ_CORE_H2O_H
#define SQ_CORE_H2O_H

#include <h2o.h>
#include <stdbool.h>
#include <stdint.h>

/* Destroys a queue that h2o_multithread_create_queue() made, its memory as well; no receiver is
 * left in it. */
void sq_h2o_queue_free(h2o_multithread_queue_t **qp);
/* The end of h2o_context_init(), with all that h2o_context_dispose() leaves; the connections are
 * gone. */
void sq_h2o_context_fini(h2o_context_t *ctx);
/* Frees what h2o keeps for reuse in the calling thread, whose contexts have ended; 'loop' is its
 * own, turns a few times inside, and is the caller's to destroy. */
void sq_h2o_thread_fini(h2o_loop_t *loop);

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
