/* What the parts of the front share.  front.c has its life and the way of a
 * request, conn.c connections, input.c what comes in on them, bodies.c how much of it is held
 * while memory is short, stranger.c who must go, ask.c who asks, calls.c requests that are with
 * the broker, deliveries.c the responses that never end. */
#ifndef SQ_BROKER_FRONT_LINK_FRONT_PRIV_H
#define SQ_BROKER_FRONT_LINK_FRONT_PRIV_H

#include <h2o.h>
#include <pthread.h>
#include <stdatomic.h>

#include "broker/auth/auth.h"
#include "broker/port/call.h"
#include "broker/front/link/ask.h"
#include "broker/front/link/bodies.h"
#include "broker/front/link/bundle.h"
#include "broker/front/link/certificate.h"
#include "broker/front/link/front.h"
#include "broker/front/link/input.h"
#include "broker/front/link/link.h"
#include "broker/front/link/linger.h"
#include "broker/front/link/route.h"
#include "broker/front/link/stranger.h"
#include "broker/metrics/metrics.h"
#include "web/crew.h"
#include "web/slot.h"
#include "web/worker.h"
#include "core/htab.h"
#include "core/list.h"
#include "core/listen.h"

struct sq_stream;

/* The front's part on one worker; that worker's thread only, but for the atomics. */
struct sq_front_worker {
	struct sq_slot slot;
	struct sq_link_front *front;
	struct sq_worker *worker;
	h2o_accept_ctx_t accept;
	h2o_socket_t *listeners[SQ_LISTEN_ADDRS];
	bool serving, paused;               /* paused: no descriptors left, until the next tick */
	uint64_t auth_epoch;                /* of the last look at what links rest on */
	uint64_t auth_ms;                   /* the next one */
	struct sq_certificate *certificate; /* NULL: clear text */
	struct sq_bundle *bundle;
	struct sq_list conns;  /* struct sq_conn */
	struct sq_list unread; /* struct sq_conn, those that h2o doesn't read from */
	struct sq_task leave;  /* has guests leave that must */
	unsigned ended[SQ_END_COUNT], ended_now; /* since the last line of the log */
	uint64_t stream_errors;                  /* of h2o's, by the last turn */
	struct sq_lingers lingers;
	struct sq_list streams; /* struct sq_stream, the longest silent first */
	struct sq_list spare;   /* struct sq_call, to be used again */
	unsigned n_spare;
	uint64_t calls, calls_seen; /* started so far, and when last looked at */
	bool rests;                 /* gave back what the last load left */
	uint64_t second_ms;         /* the next look at all connections */
	uint64_t files_ms;          /* and at certificate and bundle */
	atomic_uint running;        /* calls with the broker; written here only */
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
	unsigned asked;       /* the questions, of a connection that was not known */
	uint64_t active_ms;   /* of the last request, answer, or end of a link */
	uint64_t kill_at_ms;  /* 0: not ended */
	uint64_t move_at_ms;  /* 0: never */
	uint64_t close_at_ms; /* 0: not asked to move */
	int64_t expires_s;    /* its link's token, on the wall clock; 0: never */
};

/* conn.c */
void sq_conn_listen(struct sq_front_worker *, unsigned index);
void sq_conn_unlisten(struct sq_front_worker *);
struct sq_conn *sq_conn_of(h2o_req_t *);
/* The caller was the last to need a closed connection's memory, maybe. */
void sq_conn_release(struct sq_conn *);
/* It has a link now, whose identity ends at that time. */
void sq_conn_expires(struct sq_conn *, int64_t expires_s);
/* Asks for the link to move and closes the connection 'after_ms' later; 0: leaves it. */
void sq_conn_move(struct sq_conn *, uint64_t after_ms);
/* Ends it at once; h2o does the rest from its loop. */
void sq_conn_kill(struct sq_conn *);
/* The connection has shown a good token, or what stands for one where nobody is asked. */
void sq_conn_known(struct sq_conn *);
/* It has a link from now on, or has none any more. */
void sq_conn_linked(struct sq_conn *, bool linked);
/* A token of it is with broker/auth from now on, or is not any more. */
void sq_conn_asked(struct sq_conn *, bool asked);
/* Ends it, counted: with GOAWAY where it speaks HTTP/2. */
void sq_conn_end(struct sq_conn *, enum sq_end why);
/* Counts only. */
void sq_conn_count(struct sq_front_worker *, enum sq_end why);
/* Sends away the guests that must go; see sq_strangers_cfg. */
void sq_conns_wake(void *front, unsigned worker);
/* Each tick: listeners that pause; each second: age. */
void sq_conns_tick(struct sq_front_worker *, uint64_t now_ms);

/* front.c */
/* Does what a request of 'who' asks for; NULL 'proof': it is the link's own. */
void sq_front_go(
    struct sq_conn *, h2o_req_t *, const struct sq_identity *who, const struct sq_proof *proof);

/* calls.c */
void
sq_calls_start(struct sq_conn *, h2o_req_t *, const struct sq_route *, const struct sq_identity *);
void sq_calls_fini(struct sq_front_worker *);

/* deliveries.c */
void sq_deliveries_open(struct sq_conn *, h2o_req_t *, uint64_t id, const struct sq_identity *);
/* Tells every link of the worker which bundle of authorities is served. */
void sq_deliveries_trust(struct sq_front_worker *);
/* Writes what waits and ends the response; the link is closed at once. */
void sq_deliveries_end(struct sq_stream *);
/* Heartbeats, and links that take nothing. */
void sq_deliveries_tick(struct sq_front_worker *, uint64_t now_ms);

static inline void
sq_front_count(const struct sq_front_worker *p, enum sq_broker_metric m, int64_t by)
{
	sq_metric_add(p->front->cfg.metrics, m, by);
}

#endif
