/* Connections: accepted, asked to move when they are old, closed. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/front/link/front_priv.h"
#include "broker/front/link/link.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/memory.h"
#include "web/h2o.h"

enum {
	CONN_ACCEPT_BURST = 32,
	CONN_USER_TIMEOUT_MS = 10000, /* docs/link.md, "Around the link" */
	CONN_LINGER_MS = 2000,        /* from the end of the deliveries to the socket's */
	CONN_EXPIRED_MS = 30000,      /* from the end of a link's token to the link's */
	CONN_SKEW_S = 60,             /* that tokens are taken after their end */
	CONN_STRANGER_MS = 10000,     /* from the accept to a link or a good token */
	CONN_ASKED_MS = 30000,        /* the same, while a token is being verified */
	CONN_END_MS = 1000,           /* for a peer to take GOAWAY */
	CONN_LINE = 400,
};

struct sq_conn *
sq_conn_of(h2o_req_t *req)
{
	return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

void
sq_conn_release(struct sq_conn *c)
{
	if (c->sock == NULL && c->running == 0 && !c->input.turning)
		free(c);
}

static void
conn_on_close(void *data)
{
	struct sq_conn *c = data;

	sq_list_remove(&c->node);
	sq_list_remove(&c->input.unread);
	sq_strangers_leave(c->part->front->strangers, &c->guest);
	sq_bodies_gone(c);
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
conn_address(h2o_socket_t *sock, unsigned char out[SQ_STRANGER_ADDRESS_SIZE])
{
	struct sockaddr_storage peer = {0};
	const struct sockaddr_in6 *v6 = (const void *)&peer;
	const struct sockaddr_in *v4 = (const void *)&peer;

	memset(out, 0, SQ_STRANGER_ADDRESS_SIZE);
	(void)h2o_socket_getpeername(sock, (struct sockaddr *)&peer);
	if (peer.ss_family == AF_INET6) {
		memcpy(out, &v6->sin6_addr, sizeof v6->sin6_addr);
	} else if (peer.ss_family == AF_INET) {
		out[10] = out[11] = 0xff; /* RFC 4291, 2.5.5.2 */
		memcpy(out + 12, &v4->sin_addr, sizeof v4->sin_addr);
	}
}

static void
conn_new(struct sq_front_worker *p, h2o_socket_t *sock)
{
	unsigned char address[SQ_STRANGER_ADDRESS_SIZE];
	uint64_t now_ms = sq_worker_now_ms(p->worker);
	unsigned timeout = CONN_USER_TIMEOUT_MS;
	struct sq_conn *c = sq_xcalloc(1, sizeof *c);
	enum sq_end why;

	conn_address(sock, address);
	why = sq_strangers_enter(
	    p->front->strangers, &c->guest, sq_worker_index(p->worker), address, now_ms);
	if (why != SQ_END_NONE) {
		sq_conn_count(p, why);
		h2o_socket_close(sock);
		free(c);
		return;
	}
	atomic_fetch_add_explicit(&p->front->conns, 1, memory_order_relaxed);
	c->part = p;
	c->sock = sock;
	c->move_at_ms = conn_move_at(p);
	sq_list_push_back(&p->conns, &c->node);
	sq_list_init(&c->input.unread);
	sock->on_close.cb = conn_on_close;
	sock->on_close.data = c;
	setsockopt(
	    h2o_socket_get_fd(sock), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
	sq_input_start(c);
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
		    p->slot.ctx->loop, *fd, H2O_SOCKET_FLAG_DONT_READ);
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
		sq_link_draining(c->link);
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
sq_conn_count(struct sq_front_worker *p, enum sq_end why)
{
	sq_front_count(p, SQ_M_ENDED(why), 1);
	p->ended[why]++;
	p->ended_now++;
}

void
sq_conn_end(struct sq_conn *c, enum sq_end why)
{
	uint64_t now_ms = sq_worker_now_ms(c->part->worker);

	if (c->sock == NULL || c->kill_at_ms != 0)
		return;
	sq_conn_count(c->part, why);
	c->kill_at_ms = now_ms + CONN_END_MS;
	if (c->input.protocol != SQ_INPUT_HTTP2 || sq_h2o_closing(c->sock)) {
		sq_conn_kill(c);
		return;
	}
	sq_linger_add(&c->part->lingers, h2o_socket_get_fd(c->sock), now_ms);
	sq_h2o_calm(c->sock, sq_end_text(why));
}

/* Standings. */

static void
conn_stand(struct sq_conn *c, enum sq_standing standing)
{
	sq_strangers_stand(c->part->front->strangers, &c->guest, standing);
}

void
sq_conn_known(struct sq_conn *c)
{
	if (c->sock != NULL && c->guest.standing < SQ_STANDING_KNOWN)
		conn_stand(c, SQ_STANDING_KNOWN);
}

void
sq_conn_linked(struct sq_conn *c, bool linked)
{
	c->active_ms = sq_worker_now_ms(c->part->worker);
	if (c->sock != NULL)
		conn_stand(c, linked ? SQ_STANDING_LINKED : SQ_STANDING_KNOWN);
}

void
sq_conn_asked(struct sq_conn *c, bool asked)
{
	c->asked += asked ? 1 : -1u;
	if (c->sock != NULL && c->guest.standing < SQ_STANDING_KNOWN)
		conn_stand(c, c->asked > 0 ? SQ_STANDING_ASKED : SQ_STANDING_STRANGER);
}

static void
conns_leave(struct sq_task *t)
{
	struct sq_front_worker *p = SQ_CONTAINER_OF(t, struct sq_front_worker, leave);
	struct sq_guest *g;
	enum sq_end why;

	while ((g = sq_strangers_leaving(p->front->strangers, sq_worker_index(p->worker), &why)) !=
	    NULL)
		sq_conn_end(SQ_CONTAINER_OF(g, struct sq_conn, guest), why);
}

void
sq_conns_wake(void *front, unsigned worker)
{
	struct sq_link_front *f = front;

	f->parts[worker].leave.run = conns_leave;
	sq_worker_post(f->parts[worker].worker, &f->parts[worker].leave);
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

/* Whether it has had the time that there is for its standing; else why not. */
static enum sq_end
conn_overdue(const struct sq_conn *c, uint64_t now_ms)
{
	uint64_t idle_ms = c->part->front->cfg.idle_ms + CONN_LINGER_MS; /* h2o's comes first */

	switch (c->guest.standing) {
	case SQ_STANDING_STRANGER:
		return now_ms - c->guest.began_ms >= CONN_STRANGER_MS ? SQ_END_TIME : SQ_END_NONE;
	case SQ_STANDING_ASKED:
		return now_ms - c->guest.began_ms >= CONN_ASKED_MS ? SQ_END_TIME : SQ_END_NONE;
	case SQ_STANDING_KNOWN:
		return c->running == 0 && now_ms - c->active_ms >= idle_ms ? SQ_END_IDLE
									   : SQ_END_NONE;
	case SQ_STANDING_LINKED:
	default:
		return SQ_END_NONE;
	}
}

/* Carries out what its times say. */
static void
conn_age(struct sq_conn *c, uint64_t now_ms)
{
	enum sq_end why = conn_overdue(c, now_ms);

	if (c->kill_at_ms != 0) {
		if (now_ms >= c->kill_at_ms)
			sq_conn_kill(c);
		return;
	}
	if (why != SQ_END_NONE) {
		sq_conn_end(c, why);
		return;
	}
	sq_input_account(c); /* what was answered is held no more */
	sq_bodies_look(c);
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

/* Says at most once a second who was ended, and counts who is a stranger. */
static void
conns_say(struct sq_front_worker *p)
{
	struct sq_strangers_counts n;
	char line[CONN_LINE];
	int len = 0;

	if (sq_worker_index(p->worker) == 0) {
		n = sq_strangers_count(p->front->strangers);
		sq_metric_set(p->front->cfg.metrics, SQ_M_STRANGERS, (int64_t)n.strangers);
		sq_metric_set(p->front->cfg.metrics, SQ_M_STRANGER_BYTES, (int64_t)n.bytes);
	}
	if (p->ended_now == 0)
		return;
	for (enum sq_end i = SQ_END_NONE + 1; i < SQ_END_COUNT; i++)
		if (p->ended[i] > 0 && len < CONN_LINE)
			len += snprintf(line + len, (size_t)(CONN_LINE - len), "%s%u %s",
			    len > 0 ? ", " : "", p->ended[i], sq_end_name(i));
	SQ_WARN("front", "connections ended or not taken, by reason: %s", line);
	memset(p->ended, 0, sizeof p->ended);
	p->ended_now = 0;
}

/* After a second without calls: the memory of a load goes back to the system. */
static void
conns_rest(struct sq_front_worker *p)
{
	bool idle = p->calls == p->calls_seen;

	p->calls_seen = p->calls;
	if (idle && !p->rests) {
		sq_calls_fini(p);
		(void)sq_memory_allocator_trim();
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
	sq_lingers_tick(&p->lingers, now_ms);
	if (now_ms < p->second_ms)
		return;
	p->second_ms = now_ms + 1000;
	conns_rest(p);
	conns_say(p);
	SQ_LIST_FOR_EACH_SAFE(c, &p->conns, struct sq_conn, node)
		conn_age(c, now_ms);
}
