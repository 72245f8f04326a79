/* The structs of the door, below all its files; each file writes the part named after it.  From low
 * to high: watch.c has h2o's callbacks; pass.c a connection that
 * another broker answers, and owners.c where that is; conn.c one connection; bodies.c the bounds of bodies while
 * memory is short; pending.c requests that are answered later; service.c what services may do; ask.c
 * authentication; early.c requests that are refused before they are whole; input.c input, and heads whose bodies still come; conns.c all connections of a
 * worker; door.c the door's life and the way of a request to its service.  Beside them, of none of
 * these structs: pick.c whose a request is; elsewhere.c what is said of another broker; ledger.c how many of an identity there are;
 * ages.c since when their streams move; stranger.c, toll.c, head.c and
 * fields.c what strangers and input cost. */
#ifndef SQ_BROKER_FRONT_DOOR_PART_H
#define SQ_BROKER_FRONT_DOOR_PART_H

#include <h2o.h>
#include <stdatomic.h>

#include "broker/front/door/ages.h"
#include "broker/front/door/door.h"
#include "broker/front/door/service.h"
#include "broker/front/door/stranger.h"
#include "broker/front/door/toll.h"
#include "broker/metrics/metrics.h"
#include "core/list.h"
#include "core/listen.h"
#include "web/acceptor.h"
#include "web/certificate.h"
#include "web/linger.h"
#include "web/slot.h"
#include "web/worker.h"

struct sq_ledger;
struct sq_ledger_entry;
struct sq_owners;
struct sq_pass;

/* Of a connection; starts zeroed. */
struct sq_bodies {
	size_t bytes;     /* counted in the total */
	uint64_t over_ms; /* since when it is above the bound and not read; 0: it is below */
};

/* Input of a connection. */
struct sq_input {
	enum { SQ_INPUT_NEW, SQ_INPUT_HTTP1, SQ_INPUT_HTTP2 } protocol;
	h2o_socket_cb on_read; /* the door's callback, in place of h2o's, which is 'next' */
	h2o_socket_cb next;
	struct sq_list unread;  /* in its worker's list, while h2o does not read, but may begin */
	struct sq_toll toll;    /* HTTP/2 */
	bool preface;           /* HTTP/2: the preface has come */
	bool turning;           /* h2o's callback runs */
	size_t head;            /* HTTP/1.1: bytes of the request's head; 0: incomplete */
	bool early;             /* the next request that h2o hands over is refused (early.c) */
	enum sq_turned why;     /* and why it is */
	uint32_t cut;           /* the stream that was; 0: none */
	bool held_up;           /* nothing is read until it has */
	struct sq_list cutting; /* in its worker's list, until that stream has ended */
	uint32_t judged;        /* the last stream whose credential was, at its head; HTTP/1.1: 1 */
};

/* Times of a connection without a hold: of the request that has come for longest, and of the complete
 * answer that has not been taken for longest.  By stream; over HTTP/1.1 it is stream 1. */
struct sq_times {
	struct sq_ages streams;        /* HTTP/2, at the last look */
	uint32_t coming, going;        /* 0: there is none */
	uint64_t coming_ms, going_ms;  /* since when */
	const struct sq_service *last; /* of the last request; NULL: there was none */
};

/* Of a worker: checks of the basis of holds' identities. */
struct sq_looks {
	uint64_t epoch; /* of broker/auth, at the last check */
	uint64_t at_ms; /* of the next check */
};

/* Of a worker: connections ended since the last log line. */
struct sq_ended {
	unsigned by_reason[SQ_END_COUNT], n;
};

/* The door's part on one worker; that worker's thread only, but for the atomics. */
struct sq_door_part {
	struct sq_crew_slot slot;
	struct sq_door *door;
	struct sq_worker *worker;
	h2o_accept_ctx_t accept;
	struct sq_acceptor acceptor;
	bool serving; /* until the end begins */
	struct sq_looks looks;
	struct sq_certificate *certificate; /* NULL: clear text */
	struct sq_list conns;               /* struct sq_conn */
	struct sq_list unread;              /* struct sq_conn, those that h2o doesn't read from */
	struct sq_list cutting;             /* struct sq_conn, with a stream that is about to end */
	struct sq_task leave;               /* ends guests that must leave */
	struct sq_ended ended;
	uint64_t stream_errors; /* of h2o's, by the last turn */
	struct sq_lingers lingers;
	atomic_uint running; /* pending requests with the broker; written by its own worker only */
	uint64_t second_ms;  /* of the next check of all connections */
	uint64_t files_ms;   /* and of the certificate */
};

struct sq_door {
	struct sq_front front; /* first */
	struct sq_door_cfg cfg;
	struct sq_broker *_Atomic broker; /* NULL: the door stands by */
	h2o_globalconf_t conf;
	struct sq_listen listen;
	struct sq_door_part *parts; /* one per worker */
	unsigned n_parts;
	bool open;                /* its slots are */
	bool plain;               /* one of its services is: HTTP/1.1 is welcome */
	size_t body_least;        /* the least body_max of its services */
	struct sq_owners *owners; /* NULL: nothing is passed on */
	struct sq_strangers *strangers;
	struct sq_strangers_counts seen;     /* of them, in the metrics; the first worker's */
	struct sq_ledger *requests, *places; /* of identities: what is pending, connections */
	atomic_uint conns;
	atomic_bool draining;
};

/* A connection.  Freed when its socket is closed and no pending request is left. */
struct sq_conn {
	struct sq_list node;
	struct sq_door_part *part;
	h2o_socket_t *sock;        /* NULL once closed */
	struct sq_conn_hold *hold; /* its service's; or NULL */
	struct sq_pass *pass;      /* passed on to another broker, which alone reads it; or NULL */
	SSL *peer;                 /* the socket's, once it has shown a certificate; or NULL */
	struct sq_ledger_entry *place; /* of whom it counts; NULL: of nobody */
	struct sq_guest guest;
	struct sq_input input;
	struct sq_bodies bodies;
	struct sq_times times;
	unsigned running;     /* requests with the broker, questions with broker/auth */
	unsigned waiting;     /* of the requests, those that wait until something happens */
	unsigned asked;       /* the questions, while the connection was not known */
	uint64_t active_ms;   /* of the last request, answer, or end of a hold */
	uint64_t kill_at_ms;  /* 0: not ended */
	uint64_t move_at_ms;  /* 0: never */
	uint64_t close_at_ms; /* 0: not asked to move */
};

static inline void
sq_door_count(const struct sq_door_part *p, enum sq_broker_metric m, int64_t by)
{
	sq_metric_add(p->door->cfg.metrics, m, by);
}

#endif
