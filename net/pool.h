/* The pool: a few HTTP/2 links to the broker tier, shared by all sessions.
 *
 * Structure:
 *
 *   pool ─┬─▶ peers ─▶ resolver            addresses behind the configured names
 *         ├─▶ seat ─▶ peer                 brokers_max of them; each claims one broker
 *         ├─▶ member ─┬─▶ reconnect        links_per_broker for each seat
 *         │           └─▶ uplink ─▶ h2 ─▶ conn     h2/uplink.h, h2/h2.h, conn/conn.h
 *         └─▶ trust, pair, token           whom the pool trusts, and its credentials
 *
 * An arrow is ownership, and calls go along it; the other way go the events that are given at
 * creation.  A member owns its link and frees it from the loop once the link has ended; users
 * of a link hold a pointer from up() to down().  Requests belong to their callers.
 *
 * Sits on libev, nghttp2 and OpenSSL; knows requests and frames, not sessions.  All of it lives
 * on the thread of one loop, and one such thread is all that a process may have (conn/conn.h
 * shares buffers among its connections).  Events come from the loop, never from inside a call
 * of this header.  Everything put during a loop turn leaves in one write per link at its end,
 * by a prepare watcher of priority -1; a prepare watcher of the owner that puts has a higher
 * one. */
#ifndef SQ_NET_POOL_H
#define SQ_NET_POOL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/config.h"
#include "core/err.h"
#include "net/h2/counts.h"
#include "net/h2/uplink.h"

struct sq_pool;

struct sq_pool_events {
	/* The link's deliveries response is open: sessions may attach over it. */
	void (*up)(void *owner, struct sq_uplink *);
	/* The broker asks to move (draining, GOAWAY or connection age): no new attach;
	 * requests still work until it is down, but for GOAWAY: HTTP/2 lets those in
	 * flight finish and no other go, so the link is down when they have. */
	void (*draining)(void *owner, struct sq_uplink *);
	/* Gone: its requests have all been answered with status 0.  The pointer is
	 * dead when this returns. */
	void (*down)(void *owner, struct sq_uplink *);
	struct sq_uplink_frames frames;
};

/* Texts and tables that it points to outlive the pool. */
struct sq_pool_cfg {
	const struct sq_strings *brokers; /* host:port, [v6]:port */
	unsigned links_per_broker;        /* 1 or 2 */
	unsigned brokers_max;             /* how many of them at a time */
	bool tls;                         /* false: clear text with prior knowledge */
	const char *ca_file;              /* authorities: this file, or ... */
	const char *ca;                   /* ... this text (PEM); neither: the system's */
	const char *cert_file, *key_file; /* of its own, with 'tls'; NULL or empty: none */
	const char *state_dir;            /* keeps the bundle that brokers send; NULL: nowhere */
	const char *server_name;          /* NULL: the host's name */
	const char *token_file;           /* NULL or empty: none; read again when it changes */
	uint64_t backoff_min_ms, backoff_max_ms, dial_timeout_ms;
	uint64_t silence_ms; /* no frame for so long: the link is dead */
	uint64_t max_age_ms; /* 0: no limit */
	uint32_t max_frame;  /* bytes of a deliver frame */
	const struct sq_net_counts *counts;
};

/* Starts dialling.  NULL with a line in 'err' (bad address, TLS files, token). */
struct sq_pool *sq_pool_new(struct ev_loop *, const struct sq_pool_cfg *,
    const struct sq_pool_events *, void *owner, struct sq_buf *err);
/* Closes all links without events and frees '*pp'; requests are dropped. */
void sq_pool_free(struct sq_pool **pp);

/* An open link that is not draining, the less busy of two drawn at random; NULL: none. */
struct sq_uplink *sq_pool_pick(struct sq_pool *);
/* Sets the gauges that change with time alone. */
void sq_pool_set_metrics(const struct sq_pool *);
/* Whether any link is open.  Where links are missing, fills 'why' with a line that counts them
 * and one per broker that is not reachable. */
bool sq_pool_ready(struct sq_pool *, struct sq_buf *why);
enum sq_credential sq_pool_credential(const struct sq_pool *);

#endif
