/* The inner interface of the server. */
#ifndef SQ_K8S_INJECTOR_SERVER_PRIV_H
#define SQ_K8S_INJECTOR_SERVER_PRIV_H

#include <h2o.h>
#include <stdatomic.h>

#include "core/list.h"
#include "core/listen.h"
#include "k8s/injector/metrics.h"
#include "k8s/injector/server.h"
#include "web/acceptor.h"
#include "web/slot.h"
#include "web/worker.h"

struct sq_server {
	struct sq_server_cfg cfg;
	struct sq_listen sockets; /* taken over by 'acceptor' */
	h2o_globalconf_t config;
	struct sq_crew *crew; /* of one worker */
	struct sq_crew_slot slot;
	atomic_bool parting;  /* answers end their connections */
	atomic_bool draining; /* no new connections, idle ones end */
	atomic_uint conns_left;
	/* The thread's own. */
	h2o_accept_ctx_t accept; /* its context: NULL until there is a certificate */
	struct sq_acceptor acceptor;
	struct sq_list conns;       /* struct sq_server_conn */
	unsigned n_conns, n_killed; /* those that are being ended are among both */
};

struct sq_server_conn {
	struct sq_list node;
	struct sq_server *server;
	h2o_socket_t *sock;
	uint64_t since_ms; /* start of its present state: no request, a request, an answer */
	uint64_t idle_ms;  /* the end of its last answer */
	bool answering;    /* a request is with the handler, or its answer on the way */
	bool answered;     /* at least one was */
	bool killed;
};

/* server_conn.c */
void sq_server_listen(struct sq_server *);
struct sq_server_conn *sq_server_conn_of(h2o_req_t *);
/* Ends connections that are too old, too slow or too big; at each tick. */
void sq_server_conns_tick(struct sq_server *, uint64_t now_ms);
void sq_server_conns_kill(struct sq_server *);

/* server_http.c */
int sq_server_on_req(h2o_handler_t *, h2o_req_t *);

struct sq_server_handler {
	h2o_handler_t super;
	struct sq_server *server;
};

static inline uint64_t
sq_server_now_ms(const struct sq_server *s)
{
	return sq_worker_now_ms(s->slot.worker);
}

static inline void
sq_server_count(const struct sq_server *s, enum sq_injector_metric m)
{
	sq_metric_add(s->cfg.metrics, m, 1);
}

#endif
