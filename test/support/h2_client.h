/* A small HTTP/2 client for tests of servers: blocking calls with a bound, over
 * clear text with prior knowledge or TLS.  One thread per client. */
#ifndef SQ_TEST_H2_CLIENT_H
#define SQ_TEST_H2_CLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

enum { H2_WAIT_MS = 10000 };

/* What came back on one stream. */
struct h2_response {
	int32_t stream;
	unsigned status; /* 0: no headers yet */
	bool closed;     /* the stream has ended, well or not */
	uint32_t error;  /* HTTP/2 error code of the close */
	struct sq_buf body;
	char conflict[32], last[32], retry_after[32], reason[32], allow[32], authenticate[32],
	    type[64], owner[64], standby[64], owner_epoch[32], store[32], location[128];
	unsigned order;     /* counts closes on the connection, from 1 */
	const void *upload; /* what is still to be sent */
	size_t upload_left;
	struct h2_response *next;
};

struct h2_client;

/* Connects to 127.0.0.1:'port'; NULL if that is refused. */
struct h2_client *h2_open(unsigned port, SSL_CTX *tls);
/* Closes at once, without GOAWAY; responses are freed with it. */
void h2_close(struct h2_client **cp);
/* Sends a bearer token with every request from now on; NULL: none. */
void h2_token(struct h2_client *, const char *token);
/* Says with every request from now on which version of the link is spoken (a literal);
 * NULL: says nothing. */
void h2_version(struct h2_client *, const char *version);
/* Says the length of each body from now on. */
void h2_lengths(struct h2_client *);
/* Sends a trailer of that name, a literal, with the token behind each body from now on; NULL: none. */
void h2_trailer(struct h2_client *, const char *name);
/* Starts a request; 'body' (may be NULL) stays with the caller until the end. */
struct h2_response *
h2_start(struct h2_client *, const char *method, const char *path, const void *body, size_t len);
void h2_reset(struct h2_client *, struct h2_response *);
/* Reads and writes what can be, waiting at most 'ms' for the socket. */
void h2_turn(struct h2_client *, int ms);
/* Only writes: the peer's data stays in the socket. */
void h2_write(struct h2_client *);
/* Turns until the stream has closed; false after H2_WAIT_MS or a lost connection. */
bool h2_finish(struct h2_client *, struct h2_response *);
/* h2_start() and h2_finish(). */
struct h2_response *
h2_ask(struct h2_client *, const char *method, const char *path, const void *body, size_t len);
/* Turns until the response has 'n' bytes of body. */
bool h2_body(struct h2_client *, struct h2_response *, size_t n);
/* Turns until the peer has closed the connection. */
bool h2_lost(struct h2_client *);
bool h2_is_lost(const struct h2_client *);
bool h2_goaway(const struct h2_client *);

#endif
