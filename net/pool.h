/* The pool: a few HTTP/2 links to the broker tier, shared by all sessions.
 *
 * Sits on libev, nghttp2 and OpenSSL; knows requests and frames, not sessions.
 * Callbacks come from the loop, never from inside a call of this header.
 * Everything put during a loop turn leaves in one write per link at its end, by
 * a prepare watcher of priority -1; who puts in a prepare watcher of his own gives
 * it a higher one. */
#ifndef SQ_NET_POOL_H
#define SQ_NET_POOL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/block.h"
#include "core/buf.h"
#include "core/config.h"
#include "core/err.h"
#include "core/list.h"
#include "net/h2/counts.h"
#include "proto/link/answer.h"
#include "proto/link/frame.h"

struct sq_pool;
struct sq_uplink; /* one open link */

/* What the sidecar shows of itself; where there is a token, brokers look at nothing else. */
enum sq_credential {
	SQ_CREDENTIAL_NONE,
	SQ_CREDENTIAL_TOKEN,
	SQ_CREDENTIAL_CERTIFICATE,
};

struct sq_answer {
	unsigned status;           /* HTTP; 0: the link or the stream was lost before an answer */
	enum sq_conflict conflict; /* with 409 */
	uint64_t last;             /* with SQ_CONFLICT_GAP */
	unsigned retry_after_ms;   /* with 429 and 503; 0 unknown */
	enum sq_denied denied;     /* with 403; NONE: by a broker that says no reason */
	enum sq_full full;         /* with 429; of a link, with 503 */
	unsigned version;          /* of the link: what the body is laid out by */
	const unsigned char *body; /* valid during the callback */
	size_t len;
};

enum sq_method { SQ_POST, SQ_PUT, SQ_GET };

/* A request; the caller owns it and what it points to until done() is called. */
struct sq_request {
	struct sq_list node; /* the pool's while it is queued or in flight */
	enum sq_method method;
	const char *path; /* NUL-terminated, with query */
	struct iovec body[2];
	unsigned n_body;
	void (*done)(struct sq_request *, const struct sq_answer *); /* exactly once */
	void *priv;                                                  /* the pool's */
	struct sq_uplink *link;                                      /* the pool's */
};

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

/* What it points to must outlive the pool. */
struct sq_pool_cfg {
	const struct sq_strings *brokers; /* host:port, [v6]:port */
	unsigned links_per_broker;        /* 1 or 2 */
	unsigned brokers_max;             /* how many of them at a time */
	bool tls;                         /* false: clear text with prior knowledge */
	const char *ca_file;              /* whom to trust: this file, or ... */
	const char *ca;                   /* ... this text (PEM); neither: the system's */
	const char *cert_file, *key_file; /* of its own, with 'tls'; NULL or empty: none */
	const char *state_dir;            /* what brokers sent of trust is kept there; NULL: not */
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
/* Its 64-bit id, as in the Attach body. */
uint64_t sq_uplink_id(const struct sq_uplink *);
bool sq_uplink_draining(const struct sq_uplink *);
/* Of the protocol: what its two ends both speak (docs/link.md, "Versions"). */
unsigned sq_uplink_version(const struct sq_uplink *);
/* Name for logs: "10.0.0.7:7443#2". */
const char *sq_uplink_name(const struct sq_uplink *);
/* How many sessions are attached over it (the sessions count themselves);
 * an idle draining link closes itself. */
void sq_uplink_use(struct sq_uplink *, int delta);

/* Sends, or queues while SQ_LINK_STREAMS_MAX requests are in flight; in order
 * of call.  Never calls back from inside: on a link that is lost already, the
 * answer with status 0 comes around its down(). */
void sq_uplink_send(struct sq_uplink *, struct sq_request *);
/* The broker broke the protocol: log 'why' and drop the link. */
void sq_uplink_fail(struct sq_uplink *, const char *why);
/* Sets the metrics of what changes with time alone. */
void sq_pool_set_metrics(const struct sq_pool *);
/* Whether any link is open.  Where links are missing, fills 'why' with a line that counts them
 * and one per broker that is not reachable. */
bool sq_pool_ready(struct sq_pool *, struct sq_buf *why);
enum sq_credential sq_pool_credential(const struct sq_pool *);

#endif
