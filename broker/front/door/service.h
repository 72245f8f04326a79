/* The contract of a door's services: what is spoken over the connections of a listener.
 *
 *   listener ── door (TLS, strangers, bounds, who asks) ──▶ service ── sq_call ──▶ broker
 *
 * The door has the connections from their accept to their close, and a whole request of a known
 * sender before a service sees it.  A request belongs to the first of the door's services with a
 * path that fits, else to the last one.  Each request is authenticated by itself; one without a
 * credential has the identity of the connection's hold, if there is one (see below).
 *
 * A request that the broker answers later is a pending one (pending.h).  A service's own struct
 * begins with struct sq_service, and is the door's from its opening on.  All functions without
 * another word run on the connection's worker; none may block. */
#ifndef SQ_BROKER_FRONT_DOOR_SERVICE_H
#define SQ_BROKER_FRONT_DOOR_SERVICE_H

#include <h2o.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/auth/auth.h"
#include "broker/auth/identity/digest.h"

struct sq_broker;
struct sq_conn;
struct sq_conn_hold;
struct sq_service;

/* Why a door refuses a request: X(symbol, status, text) */
#define SQ_TURNED(X) \
	X(CREDENTIAL, 401, "a valid bearer token is needed") \
	X(AUTH_AWAY, 503, "who judges the token can't be reached") \
	X(BUSY, 429, "too many requests of this connection are not done") \
	X(IDENTITY_BUSY, 429, "too many requests of this identity are not done") \
	X(IDENTITY_CONNS, 429, "too many connections of this identity") \
	X(TOO_LARGE, 413, "the body is larger than the limit") \
	X(HEADERS, 431, "the headers are too large, or too many") \
	X(TRAILERS, 400, "the request has trailers, which are not taken")

#define SQ_TURNED_SYMBOL(symbol, status, text) SQ_TURNED_##symbol,
enum sq_turned { SQ_TURNED(SQ_TURNED_SYMBOL) SQ_TURNED_COUNT };
#undef SQ_TURNED_SYMBOL

/* The last proof of an identity by a token. */
struct sq_proof {
	unsigned char token[SQ_DIGEST_SIZE]; /* digest of the header */
	struct sq_basis basis;               /* see sq_auth_holds() */
	uint64_t epoch;                      /* of broker/auth at that time */
};

struct sq_service_ops {
	/* One word, for the view and the log. */
	const char *name;
	/* The beginnings of its requests' paths, as "/v1/links/"; NULL ends them. */
	const char *const *paths;
	/* Before the first connection, or while the door stands by, so that requests may come
	 * meanwhile: those that the service takes before it knows of the broker are answered with
	 * where to go (port/place.h).  The broker outlives the door's stop.  Once.  Thread: main. */
	void (*serve)(struct sq_service *, struct sq_broker *);
	/* A request that needs nobody's rights, before anybody is asked, as a preflight of CORS: true:
	 * it is answered, or will be.  NULL: there are none. */
	bool (*greet)(struct sq_service *, struct sq_conn *, h2o_req_t *);
	/* A whole request of 'who', who is valid during the call: takes a reference to keep it.
	 * 'proof': of the request's own credential; NULL: 'who' is the hold's. */
	void (*request)(struct sq_service *, struct sq_conn *, h2o_req_t *,
	    const struct sq_identity *who, const struct sq_proof *proof);
	/* Answers a request that the door refuses, in the service's own form.  Headers of the
	 * refusal (www-authenticate, retry-after) are there already. */
	void (*refuse)(struct sq_service *, h2o_req_t *, enum sq_turned why);
	/* About every 100 ms on each worker while the door is open, and as it begins to serve; may be NULL.  'worker' is its
	 * index. */
	void (*tick)(struct sq_service *, unsigned worker, uint64_t now_ms);
	/* The peer of the hold is asked to come again over another connection; may be NULL. */
	void (*moved)(struct sq_conn_hold *);
	/* The hold is to end at once: calls sq_conn_hold_end().  NULL: the service has no holds. */
	void (*ended)(struct sq_conn_hold *);
	/* After the last connection, when the crew's threads have ended.  Thread: main. */
	void (*free)(struct sq_service *);
};

struct sq_service {
	const struct sq_service_ops *ops;
	/* Bytes of the largest body: a request that says that it has more, or over HTTP/2 shows it, is
	 * refused while it comes, whoever sends it.  One over HTTP/1.1 that says nothing ends with h2o's
	 * own 413. */
	size_t body_max;
	/* Its requests stand alone, over HTTP/1.1 too: no hold comes of them.  The first good one of
	 * a connection, judged at its head while its body comes, makes the connection known; until
	 * then its body may be as large as any, while those of all strangers keep to their total.
	 * Basic credentials are taken with a token as password. */
	bool plain;
	/* Of a plain service; 0: the door's.  A connection that waits for so long is closed. */
	uint64_t idle_ms;
	unsigned max_running;          /* pending requests of a connection; 0: any number */
	unsigned max_identity_running; /* and of an identity, over all connections; 0: any number */
	/* Connections of an identity; 0: any number.  A connection is that of its last good request's
	 * identity, unless that is nobody or the connection has a hold; one above it is refused, and
	 * closed. */
	unsigned max_identity_conns;
};

/* Holds: a service's endless response over a connection, one at a time, as a link's.  A connection
 * that is held has no idle time, and a place that no stranger can take; it ends when its proof or
 * its token does, which 'moved' and 'ended' tell the service. */
struct sq_conn_hold {
	struct sq_service *service;
	struct sq_conn *conn;
	const struct sq_identity *who; /* its user's reference */
	struct sq_proof proof;         /* the last one */
	int64_t expires_s;             /* on the wall clock; 0: never */
};

/* Begins the hold, which is embedded in its user's struct; 'who' stays until its end.  The
 * connection has none. */
void sq_conn_hold_begin(
    struct sq_conn_hold *, struct sq_service *, struct sq_conn *, const struct sq_identity *who);
/* A request of the connection has proven again that it is the hold's identity. */
void sq_conn_hold_prove(struct sq_conn_hold *, const struct sq_proof *);
void sq_conn_hold_end(struct sq_conn_hold *);
/* Whether the connection has a hold, of whichever service. */
bool sq_conn_held(const struct sq_conn *);
/* The hold of the connection if it is that service's; else NULL. */
struct sq_conn_hold *sq_conn_hold_of(const struct sq_conn *, const struct sq_service *);

/* What a service may do with a connection. */

enum { SQ_CONN_PEER_MAX = 64 };

struct sq_worker *sq_conn_worker(const struct sq_conn *);
/* Requests of the connection that are not done (pending.h). */
unsigned sq_conn_running(const struct sq_conn *);
/* Of these, the ones that wait. */
unsigned sq_conn_waiting(const struct sq_conn *);
/* Whether the door drains, or the connection has been asked to move: nothing endless begins. */
bool sq_conn_leaving(const struct sq_conn *);
/* Whether the door drains. */
bool sq_conn_draining(const struct sq_conn *);
/* Whether the connection itself has been asked to move. */
bool sq_conn_moved(const struct sq_conn *);
/* Its peer has shown what it is by other means than a credential; it is a stranger no more. */
void sq_conn_welcome(struct sq_conn *);
/* Has the peer of a connection without a hold make its next request over another one; this request is
 * still answered. */
void sq_conn_leave(const struct sq_conn *, h2o_req_t *);
/* So many bytes have been given to h2o outside of an answer of a pending request. */
void sq_conn_sent(struct sq_conn *, size_t bytes);
/* Closes the connection at once; h2o finishes from its loop. */
void sq_conn_kill(struct sq_conn *);
/* Writes "ADDRESS:PORT" of the peer. */
void sq_conn_peer(const struct sq_conn *, char out[SQ_CONN_PEER_MAX]);

/* A line of the table above. */
unsigned sq_turned_status(enum sq_turned);
const char *sq_turned_text(enum sq_turned);

#endif
