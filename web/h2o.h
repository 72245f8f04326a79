/* Gaps of libh2o 2.2.5: the end of a thread without leaks, and the memory of an HTTP/2 connection.
 * 'sock' is a socket that h2o_http2_accept() took.  Thread: the loop's. */
#ifndef SQ_WEB_H2O_H
#define SQ_WEB_H2O_H

#include <h2o.h>
#include <stdbool.h>
#include <stdint.h>

/* Destroys a queue of h2o_multithread_create_queue() and frees its memory; the queue has no
 * receiver. */
void sq_h2o_queue_free(h2o_multithread_queue_t **qp);
/* Ends a context, including memory that h2o_context_dispose() leaks.  Its connections have
 * ended. */
void sq_h2o_context_fini(h2o_context_t *ctx);
/* Frees memory that h2o keeps for reuse in the calling thread, whose contexts have ended.  'loop' is
 * the thread's own; it turns a few times inside, and the caller destroys it. */
void sq_h2o_thread_fini(h2o_loop_t *loop);

/* Whether a socket of the loop waits for its callback, as after a write outside of the loop's run: h2o
 * does not look before it sleeps. */
bool sq_h2o_pending(const h2o_loop_t *loop);

/* Whether the request names one host, as RFC 9112, section 3.2 has it: h2o takes the last of several
 * headers and hides the others.  Within the handler that has just got the request. */
bool sq_h2o_one_host(const h2o_req_t *);

/* Memory of the requests of an HTTP/2 connection. */
struct sq_h2o_held {
	unsigned open;  /* requests without an answer */
	size_t body;    /* bytes of their bodies so far */
	size_t heads;   /* and of their fields */
	size_t answers; /* of complete answers that are not yet taken, about */
	size_t
	    bytes; /* allocated for requests and bodies, also of those whose answers are not taken */
};

/* Whether h2o has closed the socket, which exists only until TLS's close_notify is written; its
 * connection has ended.  'sock' may be any socket. */
bool sq_h2o_closing(const h2o_socket_t *sock);
struct sq_h2o_held sq_h2o_held(h2o_socket_t *sock);

/* A stream of an HTTP/2 connection whose request has not come whole, or whose complete answer has not
 * been taken. */
struct sq_h2o_moving {
	uint32_t stream;
	bool going; /* its answer */
};

/* Sets up to 'max' of them, in no order; returns how many. */
size_t sq_h2o_moving(h2o_socket_t *sock, struct sq_h2o_moving *out, size_t max);

/* The stream of a request that came over HTTP/2. */
uint32_t sq_h2o_stream(const h2o_req_t *);
/* A request of an HTTP/2 connection that has no answer, and whose head has come. */
struct sq_h2o_open {
	uint32_t stream;
	const h2o_req_t *req;
	bool coming; /* its body has not come whole */
	size_t body; /* its bytes, as the head says; where it says nothing, those that have come */
};

/* Sets up to 'max' of those whose stream is above 'after', the first ones first; returns how many. */
size_t sq_h2o_open(h2o_socket_t *sock, uint32_t after, struct sq_h2o_open *out, size_t max);
/* The first one whose stream is above 'after', which still comes, and whose body has more than 'size'
 * bytes; false: there is none. */
bool sq_h2o_coming(h2o_socket_t *sock, uint32_t after, size_t size, struct sq_h2o_open *out);
/* Hands a request that still comes to its handler as if it were whole, without a body; it is answered at
 * once.  h2o ends the stream at what comes of it from now on, so nothing is read until
 * sq_h2o_cut_ends(), if the answer needs no word of the peer's: then true. */
bool sq_h2o_cut(h2o_socket_t *sock, uint32_t stream);
/* Whether the answer of such a stream is on its way; then the peer is told to send no more of it. */
bool sq_h2o_cut_ends(h2o_socket_t *sock, uint32_t stream);
/* The number of streams that h2o has ended by an error so far, of all connections of 'ctx'. */
uint64_t sq_h2o_stream_errors(const h2o_context_t *ctx);
/* Sends GOAWAY without an error, which has the peer make its next requests over another connection;
 * this one ends when those that are whole are answered. */
void sq_h2o_leave(h2o_socket_t *sock);
/* Sends GOAWAY with ENHANCE_YOUR_CALM and 'text', a literal, and ends the connection when GOAWAY is
 * written.  A peer can delay that, so the caller sets a time limit.  Unparsed input is dropped. */
void sq_h2o_calm(h2o_socket_t *sock, const char *text);

#endif
