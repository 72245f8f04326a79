/* The structs of the front of links, below all its files; each file writes the part named after it.
 * From low to high: conn.c has one connection; watch.c h2o's callbacks; bodies.c the bounds of
 * bodies while memory is short; calls.c requests that the broker carries out; deliveries.c the
 * endless responses; input.c input; ask.c authentication; conns.c all connections of a worker;
 * front.c the front's life and the routing of requests. */
#ifndef SQ_BROKER_FRONT_LINK_PART_H
#define SQ_BROKER_FRONT_LINK_PART_H

#include <h2o.h>
#include <pthread.h>
#include <stdatomic.h>

#include "broker/auth/auth.h"
#include "broker/auth/identity/digest.h"
#include "broker/front/link/bundle.h"
#include "broker/front/link/front.h"
#include "broker/front/link/link.h"
#include "broker/front/link/stranger.h"
#include "broker/front/link/toll.h"
#include "broker/metrics/metrics.h"
#include "core/htab.h"
#include "core/list.h"
#include "core/listen.h"
#include "web/acceptor.h"
#include "web/certificate.h"
#include "web/linger.h"
#include "web/slot.h"
#include "web/worker.h"

struct sq_stream;

/* The last proof of a link's identity by a token. */
struct sq_proof {
	unsigned char token[SQ_DIGEST_SIZE]; /* digest of the header */
	struct sq_basis basis;               /* see sq_auth_holds() */
	uint64_t epoch;                      /* of broker/auth at that time */
};

/* Of a connection; starts zeroed. */
struct sq_bodies {
	size_t bytes;     /* counted in the front's total */
	uint64_t over_ms; /* since when it is above the bound and not read; 0: it is below */
};

/* Input of a connection. */
struct sq_input {
	enum { SQ_INPUT_NEW, SQ_INPUT_HTTP1, SQ_INPUT_HTTP2 } protocol;
	h2o_socket_cb on_read; /* the front's callback, in place of h2o's, which is 'next' */
	h2o_socket_cb next;
	struct sq_list unread; /* in its worker's list, while h2o does not read */
	struct sq_toll toll;   /* HTTP/2 */
	bool preface;          /* HTTP/2: the preface has come */
	bool turning;          /* h2o's callback runs */
	size_t head;           /* HTTP/1.1: bytes of the request's head; 0: incomplete */
};

/* Of a worker: calls that the broker carries out, and calls for reuse. */
struct sq_calls {
	struct sq_list spare; /* struct sq_call */
	unsigned n_spare;
	uint64_t started, seen; /* so far, and at the last check */
	bool rests;             /* memory of the last load has been freed */
	atomic_uint running;    /* written by its own worker only */
	struct sq_buf body;     /* of an answer, while it is given */
};

/* Of a worker: checks of the basis of links' identities. */
struct sq_looks {
	uint64_t epoch; /* of broker/auth, at the last check */
	uint64_t at_ms; /* of the next check */
};

/* Of a worker: connections ended since the last log line. */
struct sq_ended {
	unsigned by_reason[SQ_END_COUNT], n;
};

/* The front's part on one worker; that worker's thread only, but for the atomics. */
struct sq_front_worker {
	struct sq_crew_slot slot;
	struct sq_link_front *front;
	struct sq_worker *worker;
	h2o_accept_ctx_t accept;
	struct sq_acceptor acceptor;
	bool serving; /* until the end begins */
	struct sq_looks looks;
	struct sq_certificate *certificate; /* NULL: clear text */
	struct sq_bundle *bundle;
	struct sq_list conns;  /* struct sq_conn */
	struct sq_list unread; /* struct sq_conn, those that h2o doesn't read from */
	struct sq_task leave;  /* ends guests that must leave */
	struct sq_ended ended;
	uint64_t stream_errors; /* of h2o's, by the last turn */
	struct sq_lingers lingers;
	struct sq_list streams; /* struct sq_stream, the longest silent first */
	struct sq_calls calls;
	uint64_t second_ms; /* of the next check of all connections */
	uint64_t files_ms;  /* and of certificate and bundle */
};

struct sq_link_front {
	struct sq_front front; /* first */
	struct sq_link_front_cfg cfg;
	struct sq_broker *broker; /* set before a worker serves */
	h2o_globalconf_t conf;
	struct sq_listen listen;
	struct sq_front_worker *parts; /* one per worker */
	unsigned n_parts;
	bool serving; /* its slots are open */
	struct sq_strangers *strangers;
	atomic_uint conns;
	atomic_size_t bodies; /* bytes of good connections, while memory is short */
	atomic_bool draining;
	pthread_mutex_t lock;
	struct sq_htab links; /* open streams by link id; under 'lock' */
};

/* A connection.  Freed when its socket is closed and no call is left. */
struct sq_conn {
	struct sq_list node;
	struct sq_front_worker *part;
	h2o_socket_t *sock;       /* NULL once closed */
	struct sq_stream *stream; /* its deliveries response, while its link is open; or NULL */
	struct sq_link *link;     /* the stream's, or NULL */
	SSL *peer;                /* the socket's, once it has shown a certificate; or NULL */
	struct sq_proof proof;    /* of the open link */
	struct sq_guest guest;
	struct sq_input input;
	struct sq_bodies bodies;
	unsigned running;     /* calls with the broker, questions with broker/auth */
	unsigned asked;       /* the questions, while the connection was not known */
	uint64_t active_ms;   /* of the last request, answer, or end of a link */
	uint64_t kill_at_ms;  /* 0: not ended */
	uint64_t move_at_ms;  /* 0: never */
	uint64_t close_at_ms; /* 0: not asked to move */
	int64_t expires_s;    /* its link's token, on the wall clock; 0: never */
};

static inline void
sq_front_count(const struct sq_front_worker *p, enum sq_broker_metric m, int64_t by)
{
	sq_metric_add(p->front->cfg.metrics, m, by);
}

#endif
