#include "broker/front/door/pass.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/front/door/owners.h"
#include "core/clock.h"
#include "core/mem.h"

enum {
	PASS_DIAL_MS = 5000,
	PASS_LEFT_MS = 5000, /* for a peer whose other end has said all */
	PASS_DEAD_MS = 10000,
	PASS_PROBE_S = 10,
	PASS_PROBES_S = 5,
};

/* One way.  'rest': read, and not taken by 'to' yet; NULL: nothing. */
struct pass_way {
	h2o_socket_t *from, *to;
	unsigned char *rest;
	size_t at, len;
	bool ended;
};

struct sq_pass {
	h2o_loop_t *loop;
	h2o_socket_t *peer, *far; /* far: the other broker's */
	struct pass_way there, back;
	struct sq_owner_addresses to;
	unsigned tried; /* of them */
	bool made;
	uint64_t moved_ms; /* until it is made: begun */
	void (*failed)(void *owner);
	void *owner;
};

static void
pass_free(struct sq_pass *p)
{
	if (p->far != NULL)
		h2o_socket_close(p->far);
	free(p->there.rest);
	free(p->back.rest);
	free(p);
}

void
sq_pass_end(struct sq_pass *p)
{
	h2o_socket_t *peer = p->peer;

	pass_free(p);
	h2o_socket_close(peer);
}

static void
pass_fail(struct sq_pass *p)
{
	void (*failed)(void *) = p->failed;
	void *owner = p->owner;

	pass_free(p);
	failed(owner);
}

/* The bytes. */

static void pass_on_read(h2o_socket_t *, const char *err);
static void pass_on_write(h2o_socket_t *, const char *err);

/* Bytes that the socket takes; 0: none now.  Negative: it is broken. */
static ssize_t
pass_send(h2o_socket_t *to, const unsigned char *p, size_t len)
{
	ssize_t n = send(h2o_socket_get_fd(to), p, len, MSG_NOSIGNAL);

	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

/* False: the pass has ended. */
static bool
pass_finish(struct sq_pass *p, struct pass_way *w)
{
	w->ended = true;
	h2o_socket_read_stop(w->from);
	if (p->there.ended && p->back.ended) {
		sq_pass_end(p);
		return false;
	}
	(void)shutdown(h2o_socket_get_fd(w->to), SHUT_WR);
	return true;
}

/* Keeps what was not taken, and reads no more until it is. */
static void
pass_keep(struct pass_way *w, const unsigned char *rest, size_t len)
{
	w->rest = sq_xmalloc(len);
	memcpy(w->rest, rest, len);
	w->at = 0;
	w->len = len;
	h2o_socket_read_stop(w->from);
	h2o_socket_notify_write(w->to, pass_on_write);
}

static void
pass_on_read(h2o_socket_t *from, const char *err)
{
	struct sq_pass *p = from->data;
	struct pass_way *w = from == p->peer ? &p->there : &p->back;
	unsigned char piece[SQ_PASS_PIECE];
	ssize_t n = recv(h2o_socket_get_fd(from), piece, sizeof piece, 0), sent;

	if (n < 0 && err == NULL && (errno == EAGAIN || errno == EINTR))
		return;
	p->moved_ms = sq_clock_ms();
	if (n == 0) {
		(void)pass_finish(p, w);
		return;
	}
	sent = n > 0 ? pass_send(w->to, piece, (size_t)n) : -1;
	if (sent < 0)
		sq_pass_end(p);
	else if (sent < n)
		pass_keep(w, piece + sent, (size_t)(n - sent));
}

static void
pass_on_write(h2o_socket_t *to, const char *err)
{
	struct sq_pass *p = to->data;
	struct pass_way *w = to == p->far ? &p->there : &p->back;
	ssize_t sent = err == NULL ? pass_send(to, w->rest + w->at, w->len - w->at) : -1;

	if (sent < 0) {
		sq_pass_end(p);
		return;
	}
	p->moved_ms = sq_clock_ms();
	w->at += (size_t)sent;
	if (w->at < w->len) {
		h2o_socket_notify_write(to, pass_on_write);
		return;
	}
	free(w->rest);
	w->rest = NULL;
	h2o_socket_read_start(w->from, pass_on_read);
}

/* The dial. */

static void
pass_options(int fd)
{
	int on = 1, idle = PASS_PROBE_S, between = PASS_PROBES_S;
	unsigned dead = PASS_DEAD_MS;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof between);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead, sizeof dead);
}

static void
pass_join(struct sq_pass *p)
{
	p->made = true;
	p->moved_ms = sq_clock_ms();
	p->there.from = p->back.to = p->peer;
	p->there.to = p->back.from = p->far;
	p->peer->data = p;
	pass_options(h2o_socket_get_fd(p->peer));
	h2o_socket_dont_read(p->peer, 1);
	h2o_socket_read_start(p->peer, pass_on_read);
	h2o_socket_read_start(p->far, pass_on_read);
}

static void pass_on_dialled(h2o_socket_t *, const char *err);

/* False: there is no address left. */
static bool
pass_dial(struct sq_pass *p)
{
	while (p->tried < p->to.n) {
		const struct sockaddr_storage *to = &p->to.v[p->tried];
		socklen_t len = p->to.len[p->tried++];
		int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (fd < 0)
			continue;
		if (connect(fd, (const struct sockaddr *)to, len) < 0 && errno != EINPROGRESS) {
			(void)close(fd);
			continue;
		}
		pass_options(fd);
		p->far = h2o_evloop_socket_create(p->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
		p->far->data = p;
		h2o_socket_notify_write(p->far, pass_on_dialled);
		return true;
	}
	return false;
}

static void
pass_on_dialled(h2o_socket_t *far, const char *err)
{
	struct sq_pass *p = far->data;
	int error = 0;
	socklen_t len = sizeof error;

	if (err == NULL &&
	    getsockopt(h2o_socket_get_fd(far), SOL_SOCKET, SO_ERROR, &error, &len) == 0 &&
	    error == 0) {
		pass_join(p);
		return;
	}
	p->far = NULL;
	h2o_socket_close(far);
	if (!pass_dial(p))
		pass_fail(p);
}

struct sq_pass *
sq_pass_start(h2o_loop_t *loop, h2o_socket_t *peer, const struct sq_owner_addresses *to,
    void (*failed)(void *owner), void *owner)
{
	struct sq_pass *p = sq_xcalloc(1, sizeof *p);

	p->loop = loop;
	p->peer = peer;
	p->to = *to;
	p->moved_ms = sq_clock_ms();
	p->failed = failed;
	p->owner = owner;
	if (pass_dial(p))
		return p;
	pass_free(p);
	return NULL;
}

void
sq_pass_look(struct sq_pass *p, uint64_t now_ms, uint64_t idle_ms)
{
	uint64_t still_ms = now_ms > p->moved_ms ? now_ms - p->moved_ms : 0;

	if (!p->made) {
		if (still_ms >= PASS_DIAL_MS)
			pass_fail(p);
	} else if (still_ms >= (p->back.ended && PASS_LEFT_MS < idle_ms ? PASS_LEFT_MS : idle_ms)) {
		sq_pass_end(p);
	}
}
