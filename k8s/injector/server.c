/* The server's thread and its life; see k8s/injector/server.h.
 *
 * All of h2o's objects are made, used and freed on that thread. */
#include "k8s/injector/server.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/thread.h"
#include "k8s/injector/server_priv.h"
#include "web/h2o.h"

enum {
	SERVER_TICK_MS = 250,
	SERVER_POLL_MS = 10,        /* while a drain waits */
	SERVER_HANDSHAKE_MS = 5000, /* for all of it */
	/* Above the 90 s after which Go's clients, so the API server, end idle connections. */
	SERVER_IDLE_MS = 120000,
	SERVER_SLACK = 65536, /* h2o's own limit is so much higher, so that the 413 is ours */
};

_Static_assert(sizeof(struct sq_list) == sizeof(((struct sq_server_task *)0)->reserved),
    "a task's list is opaque in the header");

/* ---- tasks ---- */

static void
server_wake(struct sq_server *s)
{
	h2o_multithread_message_t *m = sq_xcalloc(1, sizeof *m);

	h2o_multithread_send_message(&s->woken, m);
}

static struct sq_list *
task_node(struct sq_server_task *t)
{
	return (void *)t->reserved;
}

void
sq_server_post(struct sq_server *s, struct sq_server_task *t)
{
	pthread_mutex_lock(&s->lock);
	sq_list_push_back(&s->tasks, task_node(t));
	pthread_mutex_unlock(&s->lock);
	server_wake(s);
}

static void
server_run_tasks(struct sq_server *s)
{
	struct sq_list due;

	sq_list_init(&due);
	pthread_mutex_lock(&s->lock);
	sq_list_splice(&due, &s->tasks);
	pthread_mutex_unlock(&s->lock);
	while (!sq_list_empty(&due)) {
		struct sq_server_task *t = (void *)due.next; /* 'reserved' is its first member */

		sq_list_remove(task_node(t));
		t->run(t);
	}
}

/* A context on its way to the thread. */
struct new_context {
	struct sq_server_task task;
	struct sq_server *server;
	SSL_CTX *ctx;
};

static void
server_take_context(struct sq_server_task *t)
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

static void
server_woken(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
	struct sq_server *s = SQ_CONTAINER_OF(receiver, struct sq_server, woken);

	while (!h2o_linklist_is_empty(messages)) {
		h2o_multithread_message_t *m = H2O_STRUCT_FROM_MEMBER(
		    h2o_multithread_message_t, link, messages->next);

		h2o_linklist_unlink(&m->link);
		free(m);
	}
	server_run_tasks(s);
	if (atomic_load(&s->draining))
		sq_server_unlisten(s);
}

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

static void
server_open(struct sq_server *s)
{
	server_configure(s);
	h2o_context_init(&s->ctx, h2o_evloop_create(), &s->config);
	s->accept.ctx = &s->ctx;
	s->accept.hosts = s->config.hosts;
	h2o_multithread_register_receiver(s->ctx.queue, &s->woken, server_woken);
	s->now_ms = sq_clock_ms();
	atomic_store(&s->turned_ms, s->now_ms);
	sq_server_listen(s);
}

static void
server_close(struct sq_server *s)
{
	h2o_loop_t *loop = s->ctx.loop;

	sq_server_unlisten(s);
	sq_server_conns_kill(s);
	while (!sq_list_empty(&s->conns))
		h2o_evloop_run(loop, SERVER_TICK_MS);
	server_run_tasks(s);
	h2o_multithread_unregister_receiver(s->ctx.queue, &s->woken);
	sq_h2o_context_fini(&s->ctx);
	sq_h2o_thread_fini(loop);
	h2o_evloop_destroy(loop);
	h2o_config_dispose(&s->config);
	SSL_CTX_free(s->accept.ssl_ctx);
	s->accept.ssl_ctx = NULL;
}

static void *
server_main(void *arg)
{
	struct sq_server *s = arg;

	pthread_setname_np(pthread_self(), "webhook");
	server_open(s);
	sem_post(&s->started);
	while (!atomic_load(&s->ended)) {
		h2o_evloop_run(s->ctx.loop, SERVER_TICK_MS);
		s->now_ms = sq_clock_ms();
		atomic_store_explicit(&s->turned_ms, s->now_ms, memory_order_relaxed);
		if (s->now_ms >= s->tick_ms) {
			s->tick_ms = s->now_ms + SERVER_TICK_MS;
			sq_server_conns_tick(s);
		}
	}
	server_close(s);
	return NULL;
}

/* ---- life ---- */

struct sq_server *
sq_server_start(const struct sq_server_cfg *cfg, struct sq_buf *err)
{
	struct sq_server *s = sq_xcalloc(1, sizeof *s);

	s->cfg = *cfg;
	sq_list_init(&s->conns);
	sq_list_init(&s->tasks);
	if (sq_listen_open(&s->sockets, "listen.address", cfg->listen, 1, err) != SQ_OK) {
		free(s);
		return NULL;
	}
	s->cfg.listen = NULL; /* the caller's */
	pthread_mutex_init(&s->lock, NULL);
	sem_init(&s->started, 0, 0);
	sq_thread_start(&s->thread, server_main, s);
	while (sem_wait(&s->started) != 0)
		;
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
	uint64_t since_ms = sq_clock_ms() - atomic_load(&s->turned_ms);

	if ((int64_t)since_ms <= (int64_t)ms)
		return true;
	sq_buf_printf(
	    why, "webhook: its loop has not turned for %llu ms\n", (unsigned long long)since_ms);
	return false;
}

void
sq_server_part(struct sq_server *s)
{
	atomic_store(&s->parting, true);
}

void
sq_server_drain(struct sq_server *s, uint64_t ms)
{
	const struct timespec nap = {0, SERVER_POLL_MS * 1000000L};
	uint64_t until = sq_clock_ms() + ms;

	atomic_store(&s->parting, true);
	atomic_store(&s->draining, true);
	server_wake(s);
	while (atomic_load(&s->conns_left) != 0 && sq_clock_ms() < until)
		nanosleep(&nap, NULL);
}

void
sq_server_free(struct sq_server **sp)
{
	struct sq_server *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	atomic_store(&s->ended, true);
	server_wake(s);
	pthread_join(s->thread, NULL);
	assert(sq_list_empty(&s->tasks));
	sq_listen_close(&s->sockets);
	sem_destroy(&s->started);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
