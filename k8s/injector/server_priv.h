/* The inner interface of the server. */
#ifndef SQ_K8S_INJECTOR_SERVER_PRIV_H
#define SQ_K8S_INJECTOR_SERVER_PRIV_H

#include <h2o.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "core/list.h"
#include "core/listen.h"
#include "k8s/injector/metrics.h"
#include "k8s/injector/server.h"

struct sq_server {
	struct sq_server_cfg cfg;
	struct sq_listen sockets; /* taken over by 'listeners' */
	pthread_t thread;
	sem_t started;
	atomic_uint_fast64_t turned_ms;
	atomic_bool parting;  /* answers end their connections */
	atomic_bool draining; /* no new connections, idle ones end */
	atomic_bool ended;    /* the thread shall end */
	atomic_uint conns_left;
	pthread_mutex_t lock; /* guards 'tasks' */
	struct sq_list tasks; /* struct server_task_link */
	/* The thread's own. */
	h2o_globalconf_t config;
	h2o_context_t ctx;
	h2o_accept_ctx_t accept; /* its context: NULL until there is a certificate */
	h2o_multithread_receiver_t woken;
	h2o_socket_t *listeners[SQ_LISTEN_ADDRS];
	unsigned n_listeners;
	struct sq_list conns;       /* struct sq_server_conn */
	unsigned n_conns, n_killed; /* those that are being ended are among both */
	bool paused;                /* not accepting: no descriptors; until the next tick */
	uint64_t now_ms, tick_ms;
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
void sq_server_unlisten(struct sq_server *);
struct sq_server_conn *sq_server_conn_of(h2o_req_t *);
/* Ends connections that are too old, too slow or too big; at each tick. */
void sq_server_conns_tick(struct sq_server *);
void sq_server_conns_kill(struct sq_server *);

/* server_http.c */
int sq_server_on_req(h2o_handler_t *, h2o_req_t *);

struct sq_server_handler {
	h2o_handler_t super;
	struct sq_server *server;
};

static inline void
sq_server_count(const struct sq_server *s, enum sq_injector_metric m)
{
	sq_metric_add(s->cfg.metrics, m, 1);
}

#endif
