/* The server's life; see k8s/injector/server.h.
 *
 * All of h2o's objects are made, used and freed on the worker's thread. */
#include "k8s/injector/server.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/mem.h"
#include "k8s/injector/server_priv.h"
#include "web/crew.h"

enum {
	SERVER_POLL_MS = 10,        /* while connections are awaited to end */
	SERVER_HANDSHAKE_MS = 5000, /* for all of it */
	/* Above the 90 s after which Go's clients, so the API server, end idle connections. */
	SERVER_IDLE_MS = 120000,
	SERVER_SLACK = 65536, /* h2o's own limit is so much higher, so that the 413 is ours */
};

/* ---- tasks ---- */

void
sq_server_post(struct sq_server *s, struct sq_task *t)
{
	sq_worker_post(s->slot.worker, t);
}

/* A context on its way to the thread. */
struct new_context {
	struct sq_task task;
	struct sq_server *server;
	SSL_CTX *ctx;
};

static void
server_take_context(struct sq_task *t)
{
	struct new_context *n = SQ_CONTAINER_OF(t, struct new_context, task);

	SSL_CTX_free(n->server->accept.ssl_ctx); /* connections have references of their own */
	n->server->accept.ssl_ctx = n->ctx;
	free(n);
}

void
sq_server_use(struct sq_server *s, SSL_CTX *ctx)
{
	struct new_context *n = sq_xcalloc(1, sizeof *n);

	n->task.run = server_take_context;
	n->server = s;
	n->ctx = ctx;
	sq_server_post(s, &n->task);
}

/* ---- the thread ---- */

static struct sq_server *
server_of(struct sq_crew_slot *slot)
{
	return SQ_CONTAINER_OF(slot, struct sq_server, slot);
}

static void
server_opened(struct sq_crew_slot *slot)
{
	struct sq_server *s = server_of(slot);

	pthread_setname_np(pthread_self(), "webhook");
	s->accept.ctx = slot->ctx;
	s->accept.hosts = s->config.hosts;
	sq_server_listen(s);
}

static void
server_tick(struct sq_crew_slot *slot, uint64_t now_ms)
{
	sq_server_conns_tick(server_of(slot), now_ms);
}

static void
server_unlisten(void *server)
{
	struct sq_server *s = server;

	sq_acceptor_close(&s->acceptor);
}

static void
server_end(void *server)
{
	server_unlisten(server);
	sq_server_conns_kill(server);
}

/* ---- life ---- */

static void
server_configure(struct sq_server *s)
{
	struct sq_server_handler *handler;
	h2o_hostconf_t *host;

	h2o_config_init(&s->config);
	s->config.server_name = h2o_iovec_init(H2O_STRLIT("sqmqos"));
	s->config.max_request_entity_size = s->cfg.max_body + SERVER_SLACK;
	s->config.handshake_timeout = SERVER_HANDSHAKE_MS;
	s->config.http1.req_timeout = SERVER_IDLE_MS; /* the rest is server_conn.c's */
	s->config.http1.upgrade_to_http2 = 0;
	host = h2o_config_register_host(&s->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	handler = (void *)h2o_create_handler(
	    h2o_config_register_path(host, "/", 0), sizeof *handler);
	handler->super.on_req = sq_server_on_req;
	handler->server = s;
}

struct sq_server *
sq_server_start(const struct sq_server_cfg *cfg, struct sq_buf *err)
{
	static const struct sq_crew_slot_user user = {.opened = server_opened, .tick = server_tick};
	struct sq_server *s = sq_xcalloc(1, sizeof *s);

	s->cfg = *cfg;
	sq_list_init(&s->conns);
	if (sq_listen_open(&s->sockets, "listen.address", cfg->listen, 1, err) != SQ_OK) {
		free(s);
		return NULL;
	}
	s->cfg.listen = NULL; /* the caller's */
	server_configure(s);
	s->crew = sq_crew_new(1);
	sq_crew_slot_open(&s->slot, sq_crew_workers(s->crew)[0], &user, &s->config);
	return s;
}

unsigned
sq_server_port(const struct sq_server *s)
{
	return s->sockets.port;
}

bool
sq_server_live(const struct sq_server *s, uint64_t ms, struct sq_buf *why)
{
	struct sq_buf worker = {0};
	bool live = sq_crew_live(s->crew, ms, &worker);

	if (!live)
		sq_buf_printf(why, "webhook: %.*s", (int)sq_buf_len(&worker),
		    (const char *)sq_buf_data(&worker));
	sq_buf_fini(&worker);
	return live;
}

void
sq_server_part(struct sq_server *s)
{
	atomic_store(&s->parting, true);
}

/* Waits until no connection is left. */
static void
server_await(const struct sq_server *s, uint64_t until_ms)
{
	const struct timespec nap = {0, SERVER_POLL_MS * 1000000L};

	while (atomic_load(&s->conns_left) != 0 && sq_clock_ms() < until_ms)
		nanosleep(&nap, NULL);
}

void
sq_server_drain(struct sq_server *s, uint64_t ms)
{
	atomic_store(&s->parting, true);
	atomic_store(&s->draining, true);
	sq_worker_do(s->slot.worker, server_unlisten, s);
	server_await(s, sq_clock_ms() + ms);
}

void
sq_server_free(struct sq_server **sp)
{
	struct sq_server *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	sq_worker_do(s->slot.worker, server_end, s);
	server_await(s, UINT64_MAX);
	sq_crew_stop(s->crew);
	sq_crew_free(&s->crew);
	h2o_config_dispose(&s->config);
	SSL_CTX_free(s->accept.ssl_ctx);
	sq_listen_close(&s->sockets);
	free(s);
}
