/* Listening sockets; see listener.h. */
#include "sidecar/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "sidecar/client.h"
#include "sidecar/hub.h"

enum { SOCKETS_MAX = 16, BACKLOG = 1024, ACCEPT_MAX = 64 };

struct sq_listener {
	struct sq_hub *hub;
	ev_io io[SOCKETS_MAX];
	size_t n;
	ev_timer again;  /* accepts on after the process ran out of descriptors */
	char *unix_path; /* to remove */
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
	struct sockaddr_storage storage;
};

static void
listener_peer(const union address *a, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
		snprintf(out, size, "%s:%u", host, ntohs(a->v4.sin_port));
	} else if (a->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof host);
		snprintf(out, size, "[%s]:%u", host, ntohs(a->v6.sin6_port));
	} else {
		snprintf(out, size, "unix");
	}
}

static void
listener_pause(struct sq_listener *l)
{
	for (size_t i = 0; i < l->n; i++)
		ev_io_stop(l->hub->loop, &l->io[i]);
	ev_timer_stop(l->hub->loop, &l->again);
	ev_timer_set(&l->again, 0.2, 0.0);
	ev_timer_start(l->hub->loop, &l->again);
}

static void
listener_on_again(struct ev_loop *loop, ev_timer *w, int events)
{
	struct sq_listener *l = w->data;

	(void)events;
	for (size_t i = 0; i < l->n; i++)
		ev_io_start(loop, &l->io[i]);
}

static void
listener_on_accept(struct ev_loop *loop, ev_io *w, int events)
{
	struct sq_listener *l = w->data;
	int one = 1;

	(void)loop;
	(void)events;
	for (int i = 0; i < ACCEPT_MAX; i++) {
		union address a = {0};
		socklen_t len = sizeof a;
		char from[INET6_ADDRSTRLEN + 10];
		int fd = accept4(w->fd, &a.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK) {
				SQ_WARN("listener", "accept: %s", strerror(errno));
				listener_pause(l);
			}
			return;
		}
		if (l->hub->n_clients >= l->hub->cfg->max_clients) {
			SQ_WARN("listener", "limits.clients is reached, connection closed");
			close(fd);
			continue;
		}
		if (a.any.sa_family != AF_UNIX)
			(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		listener_peer(&a, from, sizeof from);
		sq_client_new(l->hub, fd, from);
	}
}

static void
listener_add(struct sq_listener *l, int fd)
{
	ev_io *w = &l->io[l->n++];

	ev_io_init(w, listener_on_accept, fd, EV_READ);
	w->data = l;
	ev_io_start(l->hub->loop, w);
}

/* One TCP address.  0, also when the machine lacks the family; or SQ_EIO. */
static int
listener_tcp(struct sq_listener *l, const char *address, uint16_t port, struct sq_buf *err)
{
	union address a = {0};
	int one = 1, fd;
	socklen_t len;

	if (inet_pton(AF_INET, address, &a.v4.sin_addr) == 1) {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons(port);
		len = sizeof a.v4;
	} else if (inet_pton(AF_INET6, address, &a.v6.sin6_addr) == 1) {
		a.v6.sin6_family = AF_INET6;
		a.v6.sin6_port = htons(port);
		len = sizeof a.v6;
	} else {
		sq_buf_printf(err, "listen.addresses: %s is no IP address", address);
		return SQ_EINVAL;
	}
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (a.any.sa_family == AF_INET6)
			(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
		if (bind(fd, &a.any, len) == 0 && listen(fd, BACKLOG) == 0) {
			listener_add(l, fd);
			return 0;
		}
	}
	if (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) {
		SQ_INFO("listener", "%s is not available here: %s", address, strerror(errno));
		if (fd >= 0)
			close(fd);
		return 0;
	}
	sq_buf_printf(err, "can't listen on %s port %u: %s", address, port, strerror(errno));
	if (fd >= 0)
		close(fd);
	return SQ_EIO;
}

/* A socket file that nobody listens on any more may be replaced. */
static void
listener_remove_stale(const union address *a)
{
	struct stat st;
	int fd;

	if (lstat(a->un.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, &a->any, sizeof a->un) != 0 && errno == ECONNREFUSED)
		(void)unlink(a->un.sun_path);
	close(fd);
}

static int
listener_unix(struct sq_listener *l, const char *path, struct sq_buf *err)
{
	union address a = {0};
	int fd;

	a.un.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof a.un.sun_path) {
		sq_buf_printf(err, "listen.unix: %s is longer than %zu bytes", path,
		    sizeof a.un.sun_path - 1);
		return SQ_EINVAL;
	}
	strcpy(a.un.sun_path, path);
	listener_remove_stale(&a);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, &a.any, sizeof a.un) != 0 || listen(fd, BACKLOG) != 0) {
		sq_buf_printf(err, "can't listen on %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return SQ_EIO;
	}
	l->unix_path = sq_xstrdup(path);
	listener_add(l, fd);
	return 0;
}

struct sq_listener *
sq_listener_open(struct sq_hub *h, struct sq_buf *err)
{
	const struct sq_sidecar_cfg *cfg = h->cfg;
	struct sq_listener *l = sq_xcalloc(1, sizeof *l);
	int rc = 0;

	l->hub = h;
	ev_timer_init(&l->again, listener_on_again, 0.2, 0.0);
	l->again.data = l;
	for (size_t i = 0; rc == 0 && cfg->listen_port != 0 && i < cfg->listen_addresses.n; i++) {
		if (l->n + 1 >= SOCKETS_MAX) {
			sq_buf_printf(err, "listen.addresses: more than %d", SOCKETS_MAX - 1);
			rc = SQ_EINVAL;
			break;
		}
		rc = listener_tcp(l, cfg->listen_addresses.v[i], (uint16_t)cfg->listen_port, err);
	}
	if (rc == 0 && cfg->listen_unix != NULL && cfg->listen_unix[0] != '\0')
		rc = listener_unix(l, cfg->listen_unix, err);
	if (rc == 0 && l->n == 0) {
		sq_buf_printf(err, "none of listen.addresses is available");
		rc = SQ_EIO;
	}
	if (rc != 0)
		sq_listener_close(&l);
	return l;
}

void
sq_listener_close(struct sq_listener **lp)
{
	struct sq_listener *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n; i++) {
		ev_io_stop(l->hub->loop, &l->io[i]);
		close(l->io[i].fd);
	}
	ev_timer_stop(l->hub->loop, &l->again);
	if (l->unix_path != NULL)
		(void)unlink(l->unix_path);
	free(l->unix_path);
	free(l);
}
