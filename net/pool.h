/* The pool: a few HTTP/2 links to the broker tier, shared by all sessions.
 *
 * Structure:
 *
 *   pool ─┬─▶ peers ─▶ resolver            addresses of the configured names
 *         ├─▶ seat ─▶ peer                 brokers_max of them; each claims one broker
 *         ├─▶ scout ─▶ uplink              to the standby, where several share the state
 *         ├─▶ member ─┬─▶ reconnect        links_per_broker for each seat
 *         │           └─▶ uplink ─▶ h2 ─▶ wire     h2/uplink.h, h2/h2.h, conn/wire.h
 *         └─▶ trust, pair, bearer          the pool's authorities, and its credentials
 *
 * An arrow is ownership, and calls follow it; in the opposite direction go the events that are
 * given at creation.  A member owns its link and frees it from the loop once the link has ended;
 * users of a link hold a pointer from up() to down().  Requests belong to their callers.
 *
 * Uses libev, nghttp2 and OpenSSL; knows requests and frames, not sessions.  All of a pool is on the
 * thread of its loop; a process may have several, each with a pool.  Events come from the loop, never from inside a call of this header.  Everything
 * put during a loop turn is written at its end, once per link, by a prepare watcher of priority -1;
 * an owner's prepare watcher that puts has a higher one. */
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
	/* The broker asks to move (draining, GOAWAY or connection age): no new attach.  Requests
	 * still work until down(), except with GOAWAY: HTTP/2 lets requests in flight finish and no
	 * other begin, so the link is down after them. */
	void (*draining)(void *owner, struct sq_uplink *);
	/* The link has ended: all requests have been answered, with status 0 if need be.  The
	 * pointer is invalid when this returns. */
	void (*down)(void *owner, struct sq_uplink *);
	struct sq_uplink_frames frames;
};

/* Everything that it points to outlives the pool. */
struct sq_pool_cfg {
	const struct sq_strings *brokers; /* host:port, [v6]:port */
	const struct sq_strings
	    *allowed;              /* where brokers may lead to (net/allowed.h); NULL: none */
	const char *space;         /* whose sessions come over it; NULL: of several */
	unsigned links_per_broker; /* 1 or 2 */
	unsigned brokers_max;      /* brokers in use at a time */
	bool tls;                  /* false: clear text with prior knowledge */
	const char *ca_file;       /* authorities: this file, or ... */
	const char *ca;            /* ... this text (PEM); neither: the system's */
	const char *cert_file, *key_file; /* own certificate, with 'tls'; NULL or empty: none */
	const char *state_dir;            /* keeps the bundle that brokers send; NULL: nowhere */
	const char *server_name;          /* NULL: the host's name */
	const char *token_file;           /* NULL or empty: none; read again when it changes */
	uint64_t backoff_min_ms, backoff_max_ms, dial_timeout_ms;
	uint64_t silence_ms; /* time without a frame after which a link counts as dead */
	uint64_t max_age_ms; /* 0: no limit */
	uint64_t
	    forget_ms; /* without a link for so long, the owner's epoch is forgotten; 0: 5 minutes */
	uint32_t max_frame; /* bytes of a deliver frame */
	const struct sq_net_counts *counts;
};

/* Makes a pool and starts to dial.  NULL with a line in 'err' (bad address, TLS files, token). */
struct sq_pool *sq_pool_new(struct ev_loop *, const struct sq_pool_cfg *,
    const struct sq_pool_events *, void *owner, struct sq_buf *err);
/* Closes all links without events and frees '*pp'; requests are dropped. */
void sq_pool_free(struct sq_pool **pp);

/* An open link that is not draining, the less busy of two drawn at random; NULL: none. */
struct sq_uplink *sq_pool_pick(struct sq_pool *);
/* Updates the gauges that change with time alone. */
void sq_pool_set_metrics(const struct sq_pool *);
/* Whether any link is open.  If links are missing, 'why' gets a line that counts them and one per
 * unreachable broker. */
bool sq_pool_ready(struct sq_pool *, struct sq_buf *why);
enum sq_credential sq_pool_credential(const struct sq_pool *);

#endif
