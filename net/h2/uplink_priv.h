/* The layout of a link, for its two halves: uplink.c (life, requests, writing)
 * and uplink_h2.c (what nghttp2 calls). */
#ifndef SQ_NET_H2_UPLINK_PRIV_H
#define SQ_NET_H2_UPLINK_PRIV_H

#include "net/conn/conn.h"
#include "net/h2/deliveries.h"
#include "net/h2/uplink.h"

enum {
	UPLINK_ANSWER_MAX = 4 * 1024 * 1024, /* bytes of an answer: an Attached with 65535 ids */
	UPLINK_STREAM_WINDOW = 4 * 1024 * 1024,
	UPLINK_CONN_WINDOW = 16 * 1024 * 1024,
	UPLINK_BODY_KEEP = 256, /* bytes of answer buffer that an unused stream keeps */
};

enum uplink_state {
	UPLINK_DIALING, /* TCP, TLS, then SETTINGS */
	UPLINK_OPENING, /* the deliveries request is out */
	UPLINK_UP,
};

/* A request in flight; req is NULL once it is answered. */
struct uplink_stream {
	struct sq_list node; /* of 'live' or 'spare' */
	int32_t id;
	struct sq_request *req;
	struct sq_block *auth;       /* what the headers point to */
	size_t total, offered, sent; /* bytes of the body */
	struct sq_answer answer;
	struct sq_buf body;
};

struct sq_uplink {
	const struct sq_uplink_env *env;
	const struct sq_uplink_hooks *hooks;
	void *owner;
	uint64_t id;
	unsigned version; /* by the head of the deliveries response */
	enum uplink_state state;
	bool draining;
	bool closing; /* nghttp2 takes no new request: GOAWAY, or ids used up */
	bool ended, ended_well;
	bool dirty; /* there may be something to write */
	bool heard;
	uint64_t heard_ms;
	int use;
	struct sq_conn *conn;
	nghttp2_session *session; /* from the time the connection is open */
	const char *authority;
	struct sq_list queue;       /* struct sq_request, waiting */
	struct sq_list live, spare; /* struct uplink_stream */
	unsigned queued, flying;
	int32_t deliveries_id;
	struct sq_block *deliveries_auth;
	char path[48];           /* of the deliveries request */
	struct sq_answer opened; /* what it was answered with */
	struct sq_deliveries deliveries;
	char name[96], why[192];
	char complaint[160]; /* of nghttp2, about the peer; a reason once it is over */
};

/* uplink.c */
void sq_uplink_lose(struct sq_uplink *, const char *fmt, ...) SQ_PRINTF(2, 3);
void sq_uplink_answer(struct sq_uplink *, struct uplink_stream *, bool complete);
void sq_uplink_stream_free(struct sq_uplink *, struct uplink_stream *);
/* The broker asks to move: by a frame, or ('closing') so that nothing new can go. */
void sq_uplink_asked_to_move(struct sq_uplink *, bool closing);

/* uplink_h2.c.  A negative result is a bug or memory; the link is lost then. */
int sq_uplink_h2_open(struct sq_uplink *) SQ_MUST_CHECK;
int sq_uplink_h2_deliveries(struct sq_uplink *) SQ_MUST_CHECK;
int sq_uplink_h2_submit(struct sq_uplink *, struct uplink_stream *) SQ_MUST_CHECK;

#endif
