/* One link to a broker: an HTTP/2 connection with its requests and its deliveries response.
 *
 * It owns a struct sq_conn and, once that is open, a struct sq_h2 above it.  It doesn't dial
 * again: when it has ended, its owner (the pool) reaps it from the loop.
 *
 *   sq_uplink_send ─▶ queue ─(flush, at most SQ_LINK_STREAMS_MAX in flight)─▶ h2 ─▶ done()
 *
 * The functions for its users neither write nor call back: the flush at the end of the turn
 * writes, and events come from the loop. */
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
struct sq_h2_env;
struct sq_pair;
struct sq_token;
struct sq_uplink;

/* --- for its users --- */

/* Its 64-bit id, as in the Attach body. */
uint64_t sq_uplink_id(const struct sq_uplink *);
bool sq_uplink_draining(const struct sq_uplink *);
/* Of the protocol: the version that its two ends both speak (docs/link.md, "Versions"). */
unsigned sq_uplink_version(const struct sq_uplink *);
/* Name for logs: "10.0.0.7:7443#2". */
const char *sq_uplink_name(const struct sq_uplink *);
/* How many sessions are attached over it (the sessions count themselves);
 * an idle draining link closes itself. */
void sq_uplink_use(struct sq_uplink *, int delta);
/* Sends, or queues while SQ_LINK_STREAMS_MAX requests are in flight; in order
 * of call.  Never calls back from inside: on a link that is lost already, the
 * answer with status 0 comes around its end. */
void sq_uplink_send(struct sq_uplink *, struct sq_request *);
/* The broker broke the protocol: logs 'why' and drops the link. */
void sq_uplink_fail(struct sq_uplink *, const char *why);

/* Frames of the deliveries for sessions; called from the loop. */
struct sq_uplink_frames {
	/* A deliver frame.  When 'block' is not NULL the image lies in it and may be
	 * kept by a reference; else the image is valid during the call only. */
	void (*deliver)(
	    void *owner, struct sq_uplink *, const struct sq_deliver *, struct sq_block *block);
	/* 'text' says why, for people; it may be empty. */
	void (*detached)(
	    void *owner, struct sq_uplink *, uint64_t epoch, uint8_t reason, struct sq_bytes text);
	/* A frame SQ_FRAME_SUBSCRIBED, or SQ_FRAME_KEPT. */
	void (*subscribed)(void *owner, struct sq_uplink *, const struct sq_frame *);
	void (*kept)(void *owner, struct sq_uplink *, const struct sq_frame *);
};

/* --- for its owner --- */

/* The credential that the client shows; a broker that is shown a token looks at nothing else. */
enum sq_credential {
	SQ_CREDENTIAL_NONE,
	SQ_CREDENTIAL_TOKEN,
	SQ_CREDENTIAL_CERTIFICATE,
};

/* Shared by all links of a pool; outlives them. */
struct sq_uplink_env {
	struct ev_loop *loop;
	struct sq_h2_env *h2;
	struct sq_token *token;
	enum sq_credential credential;
	uint32_t max_frame; /* bytes of a deliver frame */
	const struct sq_net_counts *counts;
	struct sq_uplink_frames frames;
	void *owner; /* for 'frames' */
};

struct sq_uplink_events {
	/* From the loop: the deliveries response is open. */
	void (*up)(void *owner);
	/* From the loop: the broker asks to move, by a draining frame or GOAWAY. */
	void (*draining)(void *owner);
	/* From the loop: the broker serves the bundle of authorities of 'digest'. */
	void (*trust)(void *owner, uint64_t digest);
	/* From anywhere, once: it is over, sq_uplink_ended() says why.  To be reaped
	 * from the loop: sq_uplink_finish(), sq_uplink_free(). */
	void (*ended)(void *owner);
};

struct sq_uplink_to {
	const struct sq_addr *addr;
	const char *authority;      /* as configured: "broker.sqmqos.svc:7443"; outlives the link */
	const char *server;         /* name that the certificate must have; used during the call */
	const char *name;           /* copied */
	SSL_CTX *tls;               /* NULL: in the clear; used during the call */
	const struct sq_pair *pair; /* NULL: none is shown; used during the call */
};

/* Starts to dial.  The id is drawn here. */
struct sq_uplink *sq_uplink_new(const struct sq_uplink_env *, const struct sq_uplink_to *,
    const struct sq_uplink_events *, void *owner);
/* Frees without a word; requests that were not finished are dropped. */
void sq_uplink_free(struct sq_uplink **);

/* Writes the frames that this loop turn has made, in one go. */
void sq_uplink_flush(struct sq_uplink *);
/* Ends it, from our side; 'why' is copied. */
void sq_uplink_end(struct sq_uplink *, const char *why);
/* Answers all requests that it has with status 0.  It must have ended. */
void sq_uplink_finish(struct sq_uplink *);
/* No new attach; it ends when it is unused. */
void sq_uplink_drain(struct sq_uplink *);
/* Sends a PING, for the kernel to notice a path that is dead. */
void sq_uplink_ping(struct sq_uplink *);

/* Why it is over, NULL while it isn't. */
const char *sq_uplink_ended(const struct sq_uplink *);
/* The end was wanted: drained. */
bool sq_uplink_ended_well(const struct sq_uplink *);
/* Open for attaches: up, not draining, not over. */
bool sq_uplink_usable(const struct sq_uplink *);
/* Requests it has and sessions that use it. */
unsigned sq_uplink_load(const struct sq_uplink *);
/* When deliveries last brought something, sq_clock_ms(); 0: never. */
uint64_t sq_uplink_heard_ms(const struct sq_uplink *);
/* The status of a deliveries request that the broker refused (0: it didn't), and its
 * retry-after. */
unsigned sq_uplink_refused(const struct sq_uplink *, unsigned *retry_after_ms);

#endif
