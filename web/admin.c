/* The admin endpoint on h2o; see web/admin.h.
 *
 * All of h2o's objects are made, used and freed on the admin thread.  The other
 * threads only start it (the listening socket is opened before, so that errors
 * are the caller's) and wake it to stop.
 *
 * A connection has one answer and ADMIN_LIFE_MS at the most.  One more than there may be
 * takes the place of the oldest, so that silent ones never keep a probe out. */
#include "web/admin.h"

#include <assert.h>
#include <h2o.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/list.h"
#include "core/listen.h"
#include "core/mem.h"
#include "core/openmetrics.h"
#include "core/thread.h"
#include "web/acceptor.h"
#include "web/admin_asks.h"
#include "web/h2o.h"
#include "web/reply.h"

#define ADMIN_STACK (256u * 1024) /* reserved; only pages that are touched count */
#define ADMIN_CONNS_MAX 16u       /* h2o bounds the head of a request at 408 KiB */
#define ADMIN_BURST 1u            /* a connection is read before the next can take its place */
#define ADMIN_LIFE_MS 2000        /* of a connection, whatever it does */
#define ADMIN_RETRY_MS 1000       /* until accepting is tried again */
#define ADMIN_HTTP2_STREAMS 4u
/* Of a body: h2o resets the stream of a longer one over HTTP/2 as if it had not been looked at, so a
 * client sends it again, and the answer is lost. */
#define ADMIN_READ_MAX (4u * SQ_ADMIN_BODY_MAX)

struct sq_admin {
	struct sq_admin_cfg cfg;
	struct sq_listen sockets; /* taken over by 'acceptor' */
	pthread_t thread;
	sem_t started;
	/* The thread's own. */
	h2o_globalconf_t config;
	h2o_context_t ctx;
	h2o_accept_ctx_t accept_ctx;
	h2o_multithread_receiver_t stop; /* any thread may send to it */
	struct sq_acceptor acceptor;
	struct sq_list conns; /* struct admin_conn, the oldest first */
	unsigned n_conns;     /* of these, without those that are ended */
	struct sq_admin_asks asks;
	bool stopping;
};

struct admin_conn {
	struct sq_list node;
	struct sq_admin *admin;
	h2o_socket_t *sock;
	uint64_t since_ms; /* when it was accepted */
	bool answered;     /* all of an answer over HTTP/2 is written */
	bool parted;       /* and the client has been told that no more comes */
	bool ended;        /* h2o is about to read its end */
};

struct admin_handler {
	h2o_handler_t super;
	struct sq_admin *admin;
};

/* ---- answers ---- */

static void
admin_send(h2o_req_t *req, unsigned status, const char *type, const struct sq_buf *body)
{
	sq_reply_header(req, H2O_TOKEN_CACHE_CONTROL, "no-store");
	sq_reply_send(req, status, type, sq_buf_data(body), sq_buf_len(body));
}

static void
admin_problem(h2o_req_t *req, unsigned status, const char *detail)
{
	sq_reply_header(req, H2O_TOKEN_CACHE_CONTROL, "no-store");
	sq_reply_problem(req, status, detail, strlen(detail));
}

static bool
admin_wants_open(const h2o_req_t *req)
{
	ssize_t at = h2o_find_header(&req->headers, H2O_TOKEN_ACCEPT, -1);

	return at != -1 &&
	    sq_openmetrics_wanted(
		(struct sq_bytes){(const unsigned char *)req->headers.entries[at].value.base,
		    req->headers.entries[at].value.len});
}

static void
admin_metrics(struct sq_admin *a, h2o_req_t *req)
{
	struct sq_buf body = {0}, open = {0};

	if (a->cfg.refresh != NULL)
		a->cfg.refresh(a->cfg.owner);
	sq_metrics_write(a->cfg.metrics, &body);
	if (a->cfg.more != NULL)
		a->cfg.more(a->cfg.owner, &body);
	sq_reply_header(req, H2O_TOKEN_VARY, "accept");
	if (admin_wants_open(req)) {
		sq_openmetrics_write(sq_buf_bytes(&body), &open);
		admin_send(req, 200, SQ_OPENMETRICS_TYPE, &open);
	} else {
		admin_send(req, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
	}
	sq_buf_fini(&open);
	sq_buf_fini(&body);
}

/* /livez or /readyz: "ok" and what there is to know, or 503 with the reasons. */
static void
admin_probe(struct sq_admin *a, h2o_req_t *req, bool (*ask)(void *owner, struct sq_buf *why))
{
	struct sq_buf body = {0}, why = {0};
	bool ok = ask == NULL || ask(a->cfg.owner, &why);

	if (ok)
		sq_buf_printf(&body, "ok\n");
	else if (sq_buf_len(&why) == 0)
		sq_buf_printf(&body, "not ok\n");
	sq_buf_append(&body, sq_buf_data(&why), sq_buf_len(&why));
	sq_buf_fini(&why);
	admin_send(req, ok ? 200 : 503, "text/plain; charset=utf-8", &body);
	sq_buf_fini(&body);
}

static bool
admin_is_path(const h2o_req_t *req, const char *path)
{
	return h2o_memis(req->path_normalized.base, req->path_normalized.len, path, strlen(path));
}

/* A request over HTTP/2 is freed: its answer has been written, or its connection ends, which
 * is there until all of its requests are freed. */
static void
admin_on_answered(void *slot)
{
	(*(struct admin_conn **)slot)->answered = true;
}

/* Has the connection end behind this answer. */
static void
admin_once(h2o_req_t *req)
{
	struct admin_conn **slot;

	req->http1_is_persistent = 0;
	if (req->version < 0x200)
		return;
	slot = h2o_mem_alloc_shared(&req->pool, sizeof(struct admin_conn *), admin_on_answered);
	*slot = req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

static int
admin_on_req(h2o_handler_t *self, h2o_req_t *req)
{
	struct sq_admin *a = ((struct admin_handler *)(void *)self)->admin;
	bool live = admin_is_path(req, "/livez"), ready = admin_is_path(req, "/readyz");
	const struct sq_admin_pages *pages = sq_admin_asks_find(&a->asks, req);

	admin_once(req);
	if (pages != NULL) {
		sq_admin_asks_take(&a->asks, pages, req);
	} else if (!live && !ready && !admin_is_path(req, "/metrics")) {
		admin_problem(req, 404, "There are /livez, /readyz and /metrics.");
	} else if (!h2o_memis(req->method.base, req->method.len, H2O_STRLIT("GET")) &&
	    !h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"))) {
		sq_reply_header(req, H2O_TOKEN_ALLOW, "GET, HEAD");
		admin_problem(req, 405, "Use GET or HEAD.");
	} else if (live) {
		admin_probe(a, req, a->cfg.live);
	} else if (ready) {
		admin_probe(a, req, a->cfg.ready);
	} else {
		admin_metrics(a, req);
	}
	return 0;
}

/* ---- connections ---- */

static void
admin_on_close(void *data)
{
	struct admin_conn *c = data;

	sq_list_remove(&c->node);
	if (!c->ended)
		c->admin->n_conns--;
	free(c);
}

/* Has h2o close the connection, which it does when it reads its end, whatever state it is in.
 * With a reset: what the client has not taken until now holds no memory of the kernel's. */
static void
admin_end(struct admin_conn *c)
{
	int fd = h2o_socket_get_fd(c->sock);

	if (c->ended)
		return;
	c->ended = true;
	c->admin->n_conns--;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	(void)shutdown(fd, SHUT_RDWR);
}

/* Ends those whose time is over and parts from those that have their answer; returns the time
 * until there is more to do. */
static int32_t
admin_sweep(struct sq_admin *a)
{
	uint64_t now_ms = sq_clock_ms();
	int32_t wait_ms = sq_admin_asks_sweep(&a->asks, now_ms);

	if (sq_acceptor_paused(&a->acceptor) && wait_ms > ADMIN_RETRY_MS)
		wait_ms = ADMIN_RETRY_MS;

	SQ_LIST_FOR_EACH(c, &a->conns, struct admin_conn, node) {
		uint64_t age_ms = now_ms - c->since_ms;

		if (age_ms >= ADMIN_LIFE_MS) {
			admin_end(c);
			continue;
		}
		if (c->answered && !c->parted) {
			c->parted = true;
			(void)shutdown(h2o_socket_get_fd(c->sock), SHUT_WR);
		}
		if (!c->ended && wait_ms > (int32_t)(ADMIN_LIFE_MS - age_ms))
			wait_ms = (int32_t)(ADMIN_LIFE_MS - age_ms);
	}
	return wait_ms;
}

/* Makes room for one more: the oldest goes. */
static void
admin_make_room(struct sq_admin *a)
{
	SQ_LIST_FOR_EACH(c, &a->conns, struct admin_conn, node) {
		if (a->n_conns < ADMIN_CONNS_MAX)
			return;
		admin_end(c);
	}
}

static void
admin_accepted(void *owner, h2o_socket_t *sock)
{
	struct sq_admin *a = owner;
	struct admin_conn *c;

	admin_make_room(a);
	c = sq_xcalloc(1, sizeof *c);
	c->admin = a;
	c->sock = sock;
	c->since_ms = sq_clock_ms();
	sq_list_push_back(&a->conns, &c->node);
	a->n_conns++;
	sock->on_close.cb = admin_on_close;
	sock->on_close.data = c;
	h2o_accept(&a->accept_ctx, sock);
}

/* sq_admin_stop() has woken the loop. */
static void
admin_on_stop(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
	struct sq_admin *a = SQ_CONTAINER_OF(receiver, struct sq_admin, stop);

	while (!h2o_linklist_is_empty(messages)) {
		h2o_multithread_message_t *m = H2O_STRUCT_FROM_MEMBER(
		    h2o_multithread_message_t, link, messages->next);

		h2o_linklist_unlink(&m->link);
		free(m);
		a->stopping = true;
	}
	if (!a->stopping)
		return;
	sq_acceptor_close(&a->acceptor);
	SQ_LIST_FOR_EACH(c, &a->conns, struct admin_conn, node)
		(void)shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
}

/* ---- the thread ---- */

static void
admin_open(struct sq_admin *a)
{
	h2o_hostconf_t *host;
	struct admin_handler *handler;

	h2o_config_init(&a->config);
	a->config.server_name = h2o_iovec_init(H2O_STRLIT("sqmqos"));
	a->config.max_request_entity_size = ADMIN_READ_MAX;
	a->config.http1.req_timeout = ADMIN_LIFE_MS;
	a->config.http2.idle_timeout = ADMIN_LIFE_MS;
	a->config.http2.max_concurrent_requests_per_connection = ADMIN_HTTP2_STREAMS;
	host = h2o_config_register_host(&a->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	handler = (void *)h2o_create_handler(
	    h2o_config_register_path(host, "/", 0), sizeof *handler);
	handler->super.on_req = admin_on_req;
	handler->admin = a;
	h2o_context_init(&a->ctx, h2o_evloop_create(), &a->config);
	a->accept_ctx.ctx = &a->ctx;
	a->accept_ctx.hosts = a->config.hosts;
	h2o_multithread_register_receiver(a->ctx.queue, &a->stop, admin_on_stop);
	sq_admin_asks_open(&a->asks, a->ctx.queue, a->cfg.pages);
	a->acceptor = (struct sq_acceptor){
	    .burst = ADMIN_BURST, .accepted = admin_accepted, .owner = a};
	sq_acceptor_open(&a->acceptor, a->ctx.loop, &a->sockets, 0);
}

static void
admin_close(struct sq_admin *a)
{
	h2o_loop_t *loop = a->ctx.loop;

	sq_admin_asks_close(&a->asks, a->ctx.queue);
	h2o_multithread_unregister_receiver(a->ctx.queue, &a->stop);
	sq_h2o_context_fini(&a->ctx);
	sq_h2o_thread_fini(loop);
	h2o_evloop_destroy(loop);
	h2o_config_dispose(&a->config);
}

static void *
admin_main(void *arg)
{
	struct sq_admin *a = arg;

	pthread_setname_np(pthread_self(), "admin");
	admin_open(a);
	sem_post(&a->started);
	while (!a->stopping || !sq_list_empty(&a->conns) || a->asks.n > 0) {
		h2o_evloop_run(a->ctx.loop, admin_sweep(a));
		sq_acceptor_resume(&a->acceptor);
	}
	admin_close(a);
	return NULL;
}

/* ---- start and stop ---- */

/* Starts the thread with a small stack and all signals blocked: they are the
 * program's loop's. */
static int
admin_spawn(struct sq_admin *a)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, ADMIN_STACK);
	sq_thread_signals(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&a->thread, &attr, admin_main, a);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

static void
admin_free(struct sq_admin *a)
{
	sq_listen_close(&a->sockets);
	sem_destroy(&a->started);
	free(a);
}

struct sq_admin *
sq_admin_start(const struct sq_admin_cfg *cfg, struct sq_buf *err)
{
	struct sq_admin *a = sq_xcalloc(1, sizeof *a);
	int rc;

	a->cfg = *cfg;
	sq_list_init(&a->conns);
	sem_init(&a->started, 0, 0);
	if (sq_listen_open(&a->sockets, SQ_ADMIN_KEY, cfg->listen, 1, err) != 0)
		goto fail;
	rc = admin_spawn(a);
	if (rc != 0) {
		sq_buf_printf(err, SQ_ADMIN_KEY ": cannot start a thread: %s", strerror(rc));
		goto fail;
	}
	while (sem_wait(&a->started) != 0)
		;
	a->cfg.listen = NULL; /* the caller's */
	return a;
fail:
	admin_free(a);
	return NULL;
}

unsigned
sq_admin_port(const struct sq_admin *a)
{
	return a->sockets.port;
}

void
sq_admin_stop(struct sq_admin **adminp)
{
	struct sq_admin *a = *adminp;
	h2o_multithread_message_t *m;

	if (a == NULL)
		return;
	*adminp = NULL;
	m = sq_xcalloc(1, sizeof *m);
	h2o_multithread_send_message(&a->stop, m);
	pthread_join(a->thread, NULL);
	admin_free(a);
}
