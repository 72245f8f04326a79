/* HTTP/2 of one link, on nghttp2: requests with their answers, and the deliveries response.
 *
 * Reads no socket and knows no state of the link: the owner feeds it bytes, has it write to the
 * connection, and gets struct sq_h2_events.  A request's body never enters nghttp2, which asks only
 * for lengths; with each DATA frame the pieces go from the caller's memory to the connection.  On
 * the loop's thread. */
#ifndef SQ_NET_H2_H2_H
#define SQ_NET_H2_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn/wire.h"
#include "net/conn/bearer.h"
#include "net/h2/request.h"

struct sq_h2;
/* nghttp2's callbacks and options, shared by all connections of a pool. */
struct sq_h2_env;

/* Everything that it points to outlives the connection. */
struct sq_h2_cfg {
	const struct sq_h2_env *env;
	struct sq_wire *wire; /* open */
	const struct sq_bearer *token;
	const char *name; /* for logs */
	const char *authority;
	const char *deliveries; /* the path of the deliveries request */
	bool secure;            /* the scheme: https */
};

/* Called from inside the functions below.  A request's answer comes by its own done(). */
struct sq_h2_events {
	/* The head of the deliveries response, once, and not after sq_h2_stop(): its status and
	 * version. */
	void (*opened)(void *owner, const struct sq_answer *);
	/* Bytes of it after status 200, valid during the call. */
	void (*deliveries)(void *owner, const unsigned char *p, size_t len);
	/* It has ended: with 'error', for people, or NULL for a regular end. */
	void (*closed)(void *owner, const char *error);
	/* A stream has closed: one more request may be sent. */
	void (*room)(void *owner);
	/* The broker accepts no new request. */
	void (*goaway)(void *owner);
	/* The broker broke the protocol, ... */
	void (*broken)(void *owner, const char *why);
	/* ... or HTTP/2 can't continue; 'why' is for people, valid during the call. */
	void (*lost)(void *owner, const char *why);
};

struct sq_h2_env *sq_h2_env_new(void);
void sq_h2_env_free(struct sq_h2_env **);

/* Makes the connection's HTTP/2; sends the deliveries request after the broker's SETTINGS.  NULL:
 * nghttp2 can't be set up. */
struct sq_h2 *sq_h2_new(const struct sq_h2_cfg *, const struct sq_h2_events *, void *owner);
/* Frees it without an event; nulls the pointer. */
void sq_h2_free(struct sq_h2 **);
/* Stops reading and writing, because the link has ended. */
void sq_h2_stop(struct sq_h2 *);
/* Answers each request in flight with status 0; after sq_h2_stop(). */
void sq_h2_finish(struct sq_h2 *);

/* Processes the next bytes of the connection. */
void sq_h2_feed(struct sq_h2 *, const unsigned char *p, size_t len);
/* Puts the pending output to the connection, until that is blocked.  The owner flushes. */
void sq_h2_write(struct sq_h2 *);
/* Sends a request.  SQ_EIO, after lost(): it can't be sent. */
int sq_h2_submit(struct sq_h2 *, struct sq_request *) SQ_MUST_CHECK;
void sq_h2_ping(struct sq_h2 *);

/* Sends the deliveries request again, which was refused; opened() comes again. */
void sq_h2_ask(struct sq_h2 *);

/* Requests in flight. */
unsigned sq_h2_flying(const struct sq_h2 *);
/* Whether nothing is left to read or to write. */
bool sq_h2_over(const struct sq_h2 *);
/* Whether the stream ids are used up: 2^30 requests, hours at full speed. */
bool sq_h2_used_up(const struct sq_h2 *);
/* The peer's mistake in the words of nghttp2 or the broker, a better reason than the end that
 * followed; NULL: none. */
const char *sq_h2_complaint(const struct sq_h2 *);

#endif
