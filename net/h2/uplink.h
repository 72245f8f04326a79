/* One link: an HTTP/2 connection with its requests and its deliveries response.
 *
 * Sits on net/conn/conn.h and nghttp2; what sessions see of it is in
 * net/pool.h, this is the pool's side.  It doesn't dial again: when it has
 * ended, its pool reaps it from the loop. */
#ifndef SQ_NET_H2_UPLINK_H
#define SQ_NET_H2_UPLINK_H

#include <ev.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/pool.h"
#include "net/conn/resolve.h"
#include "net/conn/token.h"
#include "net/trust.h"

/* What all links of a pool share; outlives them. */
struct sq_uplink_env {
	struct ev_loop *loop;
	struct sq_trust *trust;               /* NULL: in the clear */
	struct sq_pair *pair;                 /* NULL: none is shown */
	nghttp2_session_callbacks *callbacks; /* by sq_uplink_env_init() */
	nghttp2_option *option;
	struct sq_token *token;
	enum sq_credential credential; /* which of these counts */
	uint32_t max_frame;
	const struct sq_net_counts *counts;
	const struct sq_pool_events *events; /* deliver(), detached(), subscribed() */
	void *owner;                         /* for 'events' */
};

/* Creates 'callbacks' and 'option'; the rest is the caller's. */
void sq_uplink_env_init(struct sq_uplink_env *);
void sq_uplink_env_fini(struct sq_uplink_env *);

/* What the pool is told. */
struct sq_uplink_hooks {
	/* From the loop: the deliveries response is open. */
	void (*up)(void *owner);
	/* From the loop: the broker asks to move, by a draining frame or GOAWAY. */
	void (*draining)(void *owner);
	/* From anywhere, once: it is over, sq_uplink_ended() says why.  To be reaped
	 * from the loop: sq_uplink_finish(), sq_uplink_free(). */
	void (*ended)(void *owner);
};

struct sq_uplink_to {
	const struct sq_addr *addr;
	const char *authority; /* as configured: "broker.sqmqos.svc:7443"; outlives the link */
	const char *server;    /* what the certificate must name; used during the call */
	const char *name;      /* copied */
};

/* Starts to dial.  The id is drawn here. */
struct sq_uplink *sq_uplink_new(const struct sq_uplink_env *, const struct sq_uplink_to *,
    const struct sq_uplink_hooks *, void *owner);
/* Frees without a word; requests that were not finished are dropped. */
void sq_uplink_free(struct sq_uplink **);

/* Writes what this loop turn has brought, in one go. */
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
/* What the refused deliveries request said: status (0: it didn't) and retry-after. */
unsigned sq_uplink_refused(const struct sq_uplink *, unsigned *retry_after_ms);

#endif
