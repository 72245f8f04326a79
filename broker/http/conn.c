/* Connections: accepted, asked to move when they are old, closed. */
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "broker/http/front_priv.h"
#include "broker/link_priv.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	CONN_ACCEPT_BURST = 32,
	CONN_USER_TIMEOUT_MS = 10000, /* docs/link.md, "Around the link" */
	CONN_LINGER_MS = 2000,        /* from the end of the deliveries to the socket's */
	CONN_EXPIRED_MS = 30000,      /* from the end of a link's token to the link's */
	CONN_SKEW_S = 60,             /* that tokens are taken after their end */
};

struct sq_conn *
sq_conn_of(h2o_req_t *req)
{
	return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

void
sq_conn_release(struct sq_conn *c)
{
	if (c->sock == NULL && c->running == 0)
		free(c);
}

static void
conn_on_close(void *data)
{
	struct sq_conn *c = data;

	sq_list_remove(&c->node);
	c->sock = NULL;
	atomic_fetch_sub_explicit(&c->part->front->conns, 1, memory_order_relaxed);
	sq_conn_release(c);
}

/* When a connection made now is asked to move: the age of the configuration,
 * give or take a tenth, so that links made together don't move together. */
static uint64_t
conn_move_at(const struct sq_front_worker *p)
{
	uint64_t age = p->front->cfg.link_max_age_ms;

	return age == 0
	    ? 0
	    : sq_worker_now_ms(p->worker) + age - age / 10 + sq_random_u64() % (age / 5 + 1);
}

static void
conn_new(struct sq_front_worker *p, h2o_socket_t *sock)
{
	struct sq_front *f = p->front;
	unsigned timeout = CONN_USER_TIMEOUT_MS;
	struct sq_conn *c;

	if (atomic_fetch_add_explicit(&f->conns, 1, memory_order_relaxed) >=
	    f->cfg.max_connections) {
		atomic_fetch_sub_explicit(&f->conns, 1, memory_order_relaxed);
		SQ_WARN("front", "connection refused: link.max-connections is reached");
		h2o_socket_close(sock);
		return;
	}
	c = sq_xcalloc(1, sizeof *c);
	c->part = p;
	c->sock = sock;
	c->move_at_ms = conn_move_at(p);
	sq_list_push_back(&p->conns, &c->node);
	sock->on_close.cb = conn_on_close;
	sock->on_close.data = c;
	setsockopt(
	    h2o_socket_get_fd(sock), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
	h2o_accept(&p->accept, sock);
}

static void
conn_pause(struct sq_front_worker *p)
{
	p->paused = true;
	for (unsigned i = 0; i < SQ_LISTEN_ADDRS; i++)
		if (p->listeners[i] != NULL)
			h2o_socket_read_stop(p->listeners[i]);
}

static void
conn_on_accept(h2o_socket_t *listener, const char *err)
{
	struct sq_front_worker *p = listener->data;

	if (err != NULL)
		return;
	for (int i = 0; i < CONN_ACCEPT_BURST; i++) {
		h2o_socket_t *sock = h2o_evloop_socket_accept(listener);

		if (sock != NULL) {
			conn_new(p, sock);
		} else if (errno != ECONNABORTED && errno != EINTR) {
			if (errno != EAGAIN && errno != EWOULDBLOCK) {
				SQ_WARN("front", "accept: %s; waiting", strerror(errno));
				conn_pause(p); /* the listener would stay readable */
			}
			return;
		}
	}
}

void
sq_conn_listen(struct sq_front_worker *p, unsigned index)
{
	struct sq_listen *l = &p->front->listen;

	for (unsigned i = 0; i < l->n; i++) {
		int *fd = &l->fds[index * SQ_LISTEN_ADDRS + i];

		p->listeners[i] = h2o_evloop_socket_create(
		    sq_worker_context(p->worker)->loop, *fd, H2O_SOCKET_FLAG_DONT_READ);
		p->listeners[i]->data = p;
		h2o_socket_read_start(p->listeners[i], conn_on_accept);
		*fd = -1;
	}
}

void
sq_conn_unlisten(struct sq_front_worker *p)
{
	for (unsigned i = 0; i < SQ_LISTEN_ADDRS; i++) {
		if (p->listeners[i] == NULL)
			continue;
		h2o_socket_read_stop(p->listeners[i]);
		h2o_socket_close(p->listeners[i]);
		p->listeners[i] = NULL;
	}
}

void
sq_conn_move(struct sq_conn *c, uint64_t after_ms)
{
	if (c->stream != NULL)
		sq_link_draining(sq_deliveries_link(c->stream));
	c->move_at_ms = 0;
	if (after_ms > 0 && c->close_at_ms == 0)
		c->close_at_ms = sq_worker_now_ms(c->part->worker) + after_ms;
}

void
sq_conn_kill(struct sq_conn *c)
{
	if (c->sock != NULL)
		shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
}

void
sq_conn_expires(struct sq_conn *c, int64_t expires_s)
{
	int64_t now_s = (int64_t)(sq_clock_wall_ms() / 1000);

	/* One that was taken all the same, as clocks differ, has what they may differ by. */
	c->expires_s = expires_s == 0 || expires_s > now_s ? expires_s : expires_s + CONN_SKEW_S;
}

/* Whether the link's token has come to its end.  By the wall clock each time: it may be
 * set, and who verifies tokens goes by it, too. */
static bool
conn_expired(const struct sq_conn *c)
{
	return c->stream != NULL && c->expires_s != 0 &&
	    (int64_t)(sq_clock_wall_ms() / 1000) >= c->expires_s;
}

/* A sidecar dials anew with the token that its file has by now. */
static void
conn_expire(struct sq_conn *c, uint64_t now_ms)
{
	c->expires_s = 0;
	sq_conn_move(c, CONN_EXPIRED_MS);
	if (c->close_at_ms > now_ms + CONN_EXPIRED_MS) /* it was asked before */
		c->close_at_ms = now_ms + CONN_EXPIRED_MS;
}

/* Carries out what its times say. */
static void
conn_age(struct sq_conn *c, uint64_t now_ms)
{
	if (conn_expired(c))
		conn_expire(c, now_ms);
	if (c->move_at_ms != 0 && now_ms >= c->move_at_ms)
		sq_conn_move(c, c->part->front->cfg.move_ms);
	if (c->close_at_ms == 0 || now_ms < c->close_at_ms)
		return;
	if (c->stream != NULL)
		sq_deliveries_end(c->stream);
	else if (c->running == 0 || now_ms >= c->close_at_ms + CONN_LINGER_MS)
		sq_conn_kill(c);
}

/* After a second without calls: the memory of a load goes back to the system. */
static void
conns_rest(struct sq_front_worker *p)
{
	bool idle = p->calls == p->calls_seen;

	p->calls_seen = p->calls;
	if (idle && !p->rests) {
		sq_calls_fini(p);
		malloc_trim(0);
	}
	p->rests = idle;
}

void
sq_conns_tick(struct sq_front_worker *p, uint64_t now_ms)
{
	if (p->paused) {
		p->paused = false;
		for (unsigned i = 0; i < SQ_LISTEN_ADDRS; i++)
			if (p->listeners[i] != NULL)
				h2o_socket_read_start(p->listeners[i], conn_on_accept);
	}
	sq_ask_tick(p, now_ms);
	if (now_ms < p->second_ms)
		return;
	p->second_ms = now_ms + 1000;
	conns_rest(p);
	SQ_LIST_FOR_EACH_SAFE(c, &p->conns, struct sq_conn, node)
		conn_age(c, now_ms);
}
