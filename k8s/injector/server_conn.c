/* Connections of the webhook's server, and their bounds; see k8s/injector/server.h.
 *
 * h2o's timer of a request starts again with each byte, so the time that a request may
 * take is kept here.  A request that is coming in stands in its socket's buffer. */
#include <stdlib.h>
#include <sys/socket.h>

#include "core/log.h"
#include "core/mem.h"
#include "k8s/injector/server_priv.h"

enum {
	CONN_REQUEST_MS = 10000, /* from a connection, or a first byte, to a whole request */
	CONN_ANSWER_MS = 10000,  /* until an answer is taken */
	CONN_IDLE_MS = 150000,   /* a bit more than h2o allows, which sees no lone TLS bytes */
};

struct sq_server_conn *
sq_server_conn_of(h2o_req_t *req)
{
	return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

static void
conn_gauge(struct sq_server *s)
{
	atomic_store(&s->conns_left, s->n_conns);
	sq_metric_set(s->cfg.metrics, SQ_IM_CONNECTIONS, s->n_conns);
}

static void
conn_on_close(void *data)
{
	struct sq_server_conn *c = data;

	sq_list_remove(&c->node);
	c->server->n_conns--;
	c->server->n_killed -= c->killed;
	conn_gauge(c->server);
	free(c);
}

/* Has h2o close the connection, which it does in each state when it reads the end. */
static void
conn_kill(struct sq_server_conn *c)
{
	c->server->n_killed += !c->killed;
	c->killed = true;
	shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
}

/* Bytes of a request that is not complete. */
static size_t
conn_waiting(const struct sq_server_conn *c)
{
	return c->answering || c->killed ? 0 : c->sock->input->size;
}

/* Since when it has been of no use. */
static uint64_t
conn_idle_since(const struct sq_server_conn *c)
{
	return c->answered && conn_waiting(c) == 0 ? c->idle_ms : c->since_ms;
}

/* Whether one more may come: at the limit the one that was of no use for the longest time
 * goes, so that nobody shuts the API server out by holding connections. */
static bool
conn_make_room(struct sq_server *s)
{
	struct sq_server_conn *idlest = NULL;

	if (s->n_conns - s->n_killed < s->cfg.max_connections)
		return true;
	SQ_LIST_FOR_EACH(c, &s->conns, struct sq_server_conn, node) {
		if (!c->answering && !c->killed &&
		    (idlest == NULL || conn_idle_since(c) < conn_idle_since(idlest)))
			idlest = c;
	}
	sq_server_count(s, SQ_IM_ENDED_LIMIT);
	SQ_WARN("webhook", "listen.max-connections is reached: %s",
	    idlest != NULL ? "the idlest connection ends" : "a connection is refused");
	if (idlest != NULL)
		conn_kill(idlest);
	return idlest != NULL;
}

static void
conn_accepted(void *server, h2o_socket_t *sock)
{
	struct sq_server *s = server;
	struct sq_server_conn *c;

	if (s->accept.ssl_ctx == NULL || !conn_make_room(s)) {
		h2o_socket_close(sock);
		return;
	}
	c = sq_xcalloc(1, sizeof *c);
	c->server = s;
	c->sock = sock;
	c->since_ms = sq_server_now_ms(s);
	sq_list_push_back(&s->conns, &c->node);
	s->n_conns++;
	conn_gauge(s);
	sock->on_close.cb = conn_on_close;
	sock->on_close.data = c;
	h2o_accept(&s->accept, sock);
}

void
sq_server_listen(struct sq_server *s)
{
	s->acceptor = (struct sq_acceptor){
	    .scope = "webhook", .burst = SQ_ACCEPTOR_BURST, .accepted = conn_accepted, .owner = s};
	sq_acceptor_open(&s->acceptor, s->slot.ctx->loop, &s->sockets, 0);
}

void
sq_server_conns_kill(struct sq_server *s)
{
	SQ_LIST_FOR_EACH(c, &s->conns, struct sq_server_conn, node)
		conn_kill(c);
}

/* Carries out what its times say. */
static void
conn_age(struct sq_server *s, struct sq_server_conn *c, uint64_t now_ms)
{
	uint64_t age_ms = now_ms - c->since_ms;
	bool due = conn_waiting(c) > 0 || !c->answered;

	if (c->killed)
		return;
	if (c->answering ? age_ms > CONN_ANSWER_MS : due && age_ms > CONN_REQUEST_MS) {
		sq_server_count(s, SQ_IM_ENDED_SLOW);
		SQ_WARN("webhook", "a connection ends: %s for %u s",
		    c->answering ? "its answer was not taken" : "no whole request came",
		    CONN_REQUEST_MS / 1000u);
		conn_kill(c);
	} else if (!c->answering && !due) {
		/* Between two requests: the next one's time begins with its first byte. */
		if (atomic_load(&s->draining) || now_ms - c->idle_ms > CONN_IDLE_MS)
			conn_kill(c);
		c->since_ms = now_ms;
	}
}

/* Above the limit the largest that waits has to go. */
static void
conns_bound(struct sq_server *s)
{
	struct sq_server_conn *largest = NULL;
	size_t sum = 0;

	SQ_LIST_FOR_EACH(c, &s->conns, struct sq_server_conn, node) {
		sum += conn_waiting(c);
		if (largest == NULL || conn_waiting(c) > conn_waiting(largest))
			largest = c;
	}
	if (sum <= s->cfg.max_waiting)
		return;
	sq_server_count(s, SQ_IM_ENDED_MEMORY);
	SQ_WARN("webhook", "a connection ends: %zu bytes of requests are not complete", sum);
	conn_kill(largest);
}

void
sq_server_conns_tick(struct sq_server *s, uint64_t now_ms)
{
	sq_acceptor_resume(&s->acceptor);
	SQ_LIST_FOR_EACH_SAFE(c, &s->conns, struct sq_server_conn, node)
		conn_age(s, c, now_ms);
	conns_bound(s);
}
