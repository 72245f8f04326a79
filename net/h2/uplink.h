/* One link to a broker: an HTTP/2 connection with its requests and its deliveries response.
 *
 * It owns a struct sq_wire and, once that is open, a struct sq_h2 above it.  It dials once: after
 * its end, its owner (the pool) frees it from the loop.
 *
 *   sq_uplink_send ─▶ queue ─(flush, at most SQ_LINK_STREAMS_MAX in flight)─▶ h2 ─▶ done()
 *
 * Functions for users neither write nor call back: the flush at the end of the turn writes, and
 * events come from the loop.  On the loop's thread. */
#ifndef SQ_NET_H2_UPLINK_H
#define SQ_NET_H2_UPLINK_H

#include <ev.h>
#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/block.h"
#include "net/h2/counts.h"
#include "net/h2/request.h"
#include "proto/link/frame.h"

struct sq_addr;
struct sq_wire_io;
struct sq_h2_env;
struct sq_pair;
struct sq_bearer;
struct sq_uplink;

/* --- for its users --- */

/* The link's 64-bit id, which is in the Attach body. */
uint64_t sq_uplink_id(const struct sq_uplink *);
bool sq_uplink_draining(const struct sq_uplink *);
/* The protocol's version on the link (docs/link.md, "Versions"). */
unsigned sq_uplink_version(const struct sq_uplink *);
/* Name for logs: "10.0.0.7:7443#2". */
const char *sq_uplink_name(const struct sq_uplink *);
/* Changes the number of sessions attached over it, which the sessions maintain; a draining link
 * without sessions closes. */
void sq_uplink_use(struct sq_uplink *, int delta);
/* Sends the request, or queues it while SQ_LINK_STREAMS_MAX are in flight; in the order of calls.
 * Never calls back from inside: on a lost link the answer with status 0 comes around the link's
 * end. */
void sq_uplink_send(struct sq_uplink *, struct sq_request *);
/* The broker broke the protocol: logs 'why' and drops the link. */
void sq_uplink_fail(struct sq_uplink *, const char *why);

/* Frames of the deliveries for sessions; called from the loop. */
struct sq_uplink_frames {
	/* A deliver frame.  The image is inside 'block' and may be kept by a reference; 'block'
	 * NULL: the image is valid during the call. */
	void (*deliver)(
	    void *owner, struct sq_uplink *, const struct sq_deliver *, struct sq_block *block);
	/* The attachment of 'epoch' has ended; 'text' is the reason for people, and may be empty. */
	void (*detached)(
	    void *owner, struct sq_uplink *, uint64_t epoch, uint8_t reason, struct sq_bytes text);
	/* A frame SQ_FRAME_SUBSCRIBED, or SQ_FRAME_KEPT. */
	void (*subscribed)(void *owner, struct sq_uplink *, const struct sq_frame *);
	void (*kept)(void *owner, struct sq_uplink *, const struct sq_frame *);
};

/* --- for its owner --- */

/* The credential of the client.  A broker that gets a token ignores a certificate. */
enum sq_credential {
	SQ_CREDENTIAL_NONE,
	SQ_CREDENTIAL_TOKEN,
	SQ_CREDENTIAL_CERTIFICATE,
};

/* Shared by all links of a pool; outlives them. */
struct sq_uplink_env {
	struct ev_loop *loop;
	struct sq_wire_io *io;
	struct sq_h2_env *h2;
	struct sq_bearer *token;
	enum sq_credential credential;
	uint32_t max_frame; /* bytes of a deliver frame */
	const struct sq_net_counts *counts;
	struct sq_uplink_frames frames;
	void *owner; /* for 'frames' */
};

struct sq_uplink_events {
	/* The deliveries response is open; from the loop. */
	void (*up)(void *owner);
	/* The broker asks to move, by a draining frame or GOAWAY; from the loop. */
	void (*draining)(void *owner);
	/* The broker does not own the state, or is not ready, says sq_uplink_told(): a scout's
	 * request is refused; from the loop. */
	void (*refused)(void *owner);
	/* The broker that would own the state next is another one, HOST:PORT; "": none; from the
	 * loop. */
	void (*standby)(void *owner, const char *address);
	/* The broker serves the bundle of authorities of 'digest'; from the loop. */
	void (*trust)(void *owner, uint64_t digest);
	/* The link has ended, see sq_uplink_ended(); once, from anywhere.  The owner calls
	 * sq_uplink_finish() and sq_uplink_free() from the loop. */
	void (*ended)(void *owner);
};

enum { SQ_UPLINK_WAIT_MS = 20000 /* a scout's question may be open for so long */ };

struct sq_uplink_to {
	const struct sq_addr *addr;
	const char *space; /* whose sessions come over it; NULL: of several; used during the call */
	bool scout; /* it asks again (sq_uplink_ask()) where the broker does not own the state */
	uint64_t epoch;             /* a scout: of the owner that is known, 0: none */
	const char *authority;      /* as configured: "broker.sqmqos.svc:7443"; outlives the link */
	const char *server;         /* name in the broker's certificate; used during the call */
	const char *name;           /* copied */
	SSL_CTX *tls;               /* NULL: in the clear; used during the call */
	const struct sq_pair *pair; /* own certificate; NULL: none; used during the call */
};

/* Starts to dial, with a random id. */
struct sq_uplink *sq_uplink_new(const struct sq_uplink_env *, const struct sq_uplink_to *,
    const struct sq_uplink_events *, void *owner);
/* Frees the link without an event; drops unfinished requests. */
void sq_uplink_free(struct sq_uplink **);

/* Writes the frames of this loop turn at once. */
void sq_uplink_flush(struct sq_uplink *);
/* Ends the link for 'why', which is copied. */
void sq_uplink_end(struct sq_uplink *, const char *why);
/* Answers all requests of an ended link with status 0. */
void sq_uplink_finish(struct sq_uplink *);
/* Begins to drain: no new attach; the link ends when it is unused. */
void sq_uplink_drain(struct sq_uplink *);
/* Sends a PING, so that the kernel notices a dead path. */
void sq_uplink_ping(struct sq_uplink *);

/* Asks once more for the deliveries, which were refused; 'epoch' as in struct sq_uplink_to. */
void sq_uplink_ask(struct sq_uplink *, uint64_t epoch);
/* Whether the connection is there, and the question open. */
bool sq_uplink_asks(const struct sq_uplink *);
/* What the broker has said of those that share its store, with its last answer. */
const struct sq_where *sq_uplink_told(const struct sq_uplink *);
/* The broker that sessions are to move to, HOST:PORT; "": any. */
const char *sq_uplink_moves_to(const struct sq_uplink *);
/* The reason of the end; NULL: it has not ended. */
const char *sq_uplink_ended(const struct sq_uplink *);
/* Whether the link ended after a drain. */
bool sq_uplink_ended_well(const struct sq_uplink *);
/* Whether attaches may use the link: up, not draining, not ended. */
bool sq_uplink_usable(const struct sq_uplink *);
/* The number of its requests and sessions. */
unsigned sq_uplink_load(const struct sq_uplink *);
/* The time of the last bytes of deliveries, on sq_clock_ms(); 0: never. */
uint64_t sq_uplink_heard_ms(const struct sq_uplink *);
/* The status of a refused deliveries request, and its retry-after; 0: it was not refused. */
unsigned sq_uplink_refused(const struct sq_uplink *, unsigned *retry_after_ms);

#endif
