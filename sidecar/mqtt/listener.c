/* Listening sockets; see listener.h. */
#include "sidecar/mqtt/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/listen.h"
#include "core/log.h"
#include "core/mem.h"
#include "sidecar/mqtt/client.h"
#include "sidecar/mqtt/clients.h"

#define ADDRESSES_KEY "listen.addresses"
#define UNIX_KEY "listen.unix"

enum { SOCKETS_MAX = 16, BACKLOG = 1024, ACCEPT_MAX = 64 };

struct sq_listener {
	struct sq_clients *of;
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
		ev_io_stop(l->of->loop->ev, &l->io[i]);
	ev_timer_stop(l->of->loop->ev, &l->again);
	ev_timer_set(&l->again, 0.2, 0.0);
	ev_timer_start(l->of->loop->ev, &l->again);
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
		if (l->of->n >= l->of->cfg->max_clients) {
			SQ_WARN("listener", "limits.clients is reached, connection closed");
			close(fd);
			continue;
		}
		if (a.any.sa_family != AF_UNIX)
			(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		listener_peer(&a, from, sizeof from);
		sq_client_new(l->of, fd, from);
	}
}

static void
listener_add(struct sq_listener *l, int fd)
{
	ev_io *w = &l->io[l->n++];

	ev_io_init(w, listener_on_accept, fd, EV_READ);
	w->data = l;
	ev_io_start(l->of->loop->ev, w);
}

/* "127.0.0.1" or "::1" with the port, as sq_listen_open() takes it. */
static void
listener_address(const char *host, uint64_t port, struct sq_buf *out)
{
	bool bare_v6 = strchr(host, ':') != NULL && host[0] != '[';

	sq_buf_printf(out, bare_v6 ? "[%s]:%llu" : "%s:%llu", host, (unsigned long long)port);
	sq_buf_u8(out, 0);
}

/* One of listen.addresses.  0, also when the machine lacks the family; or an
 * error with a line in 'err'. */
static int
listener_tcp(struct sq_listener *l, const char *host, uint64_t port, struct sq_buf *err)
{
	struct sq_buf address = {0}, why = {0};
	struct sq_listen sockets;
	int rc;

	listener_address(host, port, &address);
	rc = sq_listen_open(&sockets, ADDRESSES_KEY, (const char *)sq_buf_data(&address), 1, &why);
	if (rc == SQ_ENOTFOUND) {
		SQ_INFO("listener", "%.*s", (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
		rc = 0;
	} else if (rc != 0) {
		sq_buf_append(err, sq_buf_data(&why), sq_buf_len(&why));
	} else if (l->n + sockets.n >= SOCKETS_MAX) {
		sq_buf_printf(err, ADDRESSES_KEY ": more than %d", SOCKETS_MAX - 1);
		sq_listen_close(&sockets);
		rc = SQ_EINVAL;
	} else {
		for (unsigned i = 0; i < sockets.n; i++) {
			listener_add(l, sockets.fds[i]);
			sockets.fds[i] = -1;
		}
		sq_listen_close(&sockets);
	}
	sq_buf_fini(&address);
	sq_buf_fini(&why);
	return rc;
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

/* Fills the address of the socket file, if it can be one. */
static int
listener_unix_address(union address *a, const char *path, struct sq_buf *err)
{
	if (strlen(path) >= sizeof a->un.sun_path) {
		sq_buf_printf(
		    err, UNIX_KEY ": %s: longer than %zu bytes", path, sizeof a->un.sun_path - 1);
		return SQ_EINVAL;
	}
	a->un.sun_family = AF_UNIX;
	strcpy(a->un.sun_path, path);
	return 0;
}

static int
listener_unix(struct sq_listener *l, const char *path, struct sq_buf *err)
{
	union address a = {0};
	int fd, rc = listener_unix_address(&a, path, err);

	if (rc != 0)
		return rc;
	listener_remove_stale(&a);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, &a.any, sizeof a.un) != 0 || listen(fd, BACKLOG) != 0) {
		sq_buf_printf(err, UNIX_KEY ": %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return SQ_EIO;
	}
	l->unix_path = sq_xstrdup(path);
	listener_add(l, fd);
	return 0;
}

struct sq_listener *
sq_listener_open(struct sq_clients *of, struct sq_buf *err)
{
	const struct sq_sidecar_cfg *cfg = of->cfg;
	struct sq_listener *l = sq_xcalloc(1, sizeof *l);
	int rc = 0;

	l->of = of;
	ev_timer_init(&l->again, listener_on_again, 0.2, 0.0);
	l->again.data = l;
	for (size_t i = 0; rc == 0 && cfg->listen_port != 0 && i < cfg->listen_addresses.n; i++)
		rc = listener_tcp(l, cfg->listen_addresses.v[i], cfg->listen_port, err);
	if (rc == 0 && cfg->listen_unix != NULL && cfg->listen_unix[0] != '\0')
		rc = listener_unix(l, cfg->listen_unix, err);
	if (rc == 0 && l->n == 0) {
		sq_buf_printf(err, ADDRESSES_KEY ": none is available here");
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
		ev_io_stop(l->of->loop->ev, &l->io[i]);
		close(l->io[i].fd);
	}
	ev_timer_stop(l->of->loop->ev, &l->again);
	if (l->unix_path != NULL)
		(void)unlink(l->unix_path);
	free(l->unix_path);
	free(l);
}

/* Whether a socket file can be made at 'path': its folder is there and takes one,
 * and nothing but a socket is in its place. */
static int
listener_check_unix(const char *path, bool *in_use, struct sq_buf *err)
{
	union address a = {0};
	struct stat st;
	char *folder;
	int fd, rc = listener_unix_address(&a, path, err);

	if (rc != 0)
		return rc;
	folder = sq_xstrdup(path);
	errno = 0;
	if (faccessat(AT_FDCWD, dirname(folder), W_OK | X_OK, AT_EACCESS) == 0) {
		if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
			errno = EEXIST;
		else
			errno = 0;
	}
	free(folder);
	if (errno != 0) {
		sq_buf_printf(err, UNIX_KEY ": %s: %s", path, strerror(errno));
		return SQ_EIO;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, &a.any, sizeof a.un) == 0)
		*in_use = true;
	if (fd >= 0)
		close(fd);
	return 0;
}

/* One of listen.addresses; counts it in '*n' unless the machine lacks its family. */
static int
listener_check_tcp(const char *host, uint64_t port, size_t *n, bool *in_use, struct sq_buf *err)
{
	struct sq_buf address = {0}, why = {0};
	struct sq_listen_found found;
	int rc;

	listener_address(host, port, &address);
	rc = sq_listen_check(ADDRESSES_KEY, (const char *)sq_buf_data(&address), &found, &why);
	if (rc == 0)
		++*n;
	else if (rc != SQ_ENOTFOUND)
		sq_buf_append(err, sq_buf_data(&why), sq_buf_len(&why));
	*in_use = *in_use || found.in_use;
	sq_buf_fini(&address);
	sq_buf_fini(&why);
	return rc == SQ_ENOTFOUND ? 0 : rc;
}

int
sq_listener_check(const struct sq_sidecar_cfg *cfg, bool *in_use, struct sq_buf *err)
{
	size_t n = 0;
	int rc = 0;

	*in_use = false;
	for (size_t i = 0; rc == 0 && cfg->listen_port != 0 && i < cfg->listen_addresses.n; i++)
		rc = listener_check_tcp(
		    cfg->listen_addresses.v[i], cfg->listen_port, &n, in_use, err);
	if (rc == 0 && cfg->listen_unix != NULL && cfg->listen_unix[0] != '\0') {
		rc = listener_check_unix(cfg->listen_unix, in_use, err);
		n++;
	}
	if (rc == 0 && n == 0) {
		sq_buf_printf(err, ADDRESSES_KEY ": none is available here");
		rc = SQ_EIO;
	}
	return rc;
}
