/* sqmqos-bench-proxy: the physical floor of a chain of programs.
 *
 * Takes TCP connections and carries their bytes to another address and back:
 * one read and one write per wakeup, no protocol, no splice().  What a chain
 * of these needs for a message, no chain of brokers can do without.  With
 * --sink it throws away what arrives, to measure a sender alone; with
 * --tls-in and --tls-out that side speaks TLS. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_tls.h"

enum { CHUNK = 256 * 1024, RECORD = 16384, EVENTS = 64 };

/* One direction's source: bytes read from it wait here until the other side
 * takes them; as long as some wait, nothing more is read. */
struct side {
	int fd;
	bool dialled, connecting, over;
	struct sq_proxy_tls *tls; /* NULL: in the clear */
	uint32_t watched;         /* events asked for */
	struct side *other;
	unsigned char *wait; /* read from here, not yet written to the other */
	size_t wait_at, wait_len;
};

static int epfd;
static struct sockaddr_storage to;
static socklen_t to_len;
static bool sink, tls_in, tls_out;
static struct side *dead[EVENTS * 2]; /* freed after the turn: events may name them */
static unsigned ndead;
static volatile sig_atomic_t stop;

static void
proxy_stop(int sig)
{
	(void)sig;
	stop = 1;
}

static void
proxy_die(const char *what)
{
	fprintf(stderr, "sqmqos-bench-proxy: %s: %s\n", what, strerror(errno));
	exit(3);
}

/* In TLS's handshake. */
static bool
proxy_greets(const struct side *s)
{
	return !s->connecting && s->tls != NULL && !sq_proxy_tls_open(s->tls);
}

/* Whether it can carry bytes. */
static bool
proxy_ready(const struct side *s)
{
	return !s->connecting && !proxy_greets(s);
}

static void
proxy_watch(struct side *s)
{
	struct epoll_event ev = {.data.ptr = s};

	if (s->over)
		return;
	/* Bytes may come with the end of a handshake. */
	if ((s->dialled && proxy_greets(s)) ||
	    (s->wait_len == 0 && !s->connecting && (s->other == NULL || proxy_ready(s->other))))
		ev.events |= EPOLLIN;
	if (s->connecting || (s->other != NULL && s->other->wait_len > 0))
		ev.events |= EPOLLOUT;
	if (ev.events == s->watched)
		return;
	s->watched = ev.events;
	if (epoll_ctl(epfd, EPOLL_CTL_MOD, s->fd, &ev) < 0)
		proxy_die("epoll");
}

static struct side *
proxy_side(int fd)
{
	struct side *s = calloc(1, sizeof *s);
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};
	int one = 1;

	if (s == NULL)
		abort();
	s->fd = fd;
	s->watched = EPOLLIN;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
		proxy_die("epoll");
	return s;
}

static void
proxy_close(struct side *s)
{
	if (s == NULL || s->over)
		return;
	s->over = true;
	close(s->fd);
	dead[ndead++] = s;
	proxy_close(s->other);
}

static void
proxy_accept(int lfd)
{
	struct side *a, *b;
	int out, in = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (in < 0)
		return;
	if (sink) {
		proxy_side(in);
		return;
	}
	out = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (out < 0 || (connect(out, (struct sockaddr *)&to, to_len) < 0 && errno != EINPROGRESS)) {
		perror("sqmqos-bench-proxy: connect");
		close(in);
		if (out >= 0)
			close(out);
		return;
	}
	a = proxy_side(in);
	b = proxy_side(out);
	a->other = b;
	b->other = a;
	b->dialled = b->connecting = true;
	a->tls = tls_in ? sq_proxy_tls_new(true) : NULL;
	b->tls = tls_out ? sq_proxy_tls_new(false) : NULL;
	proxy_watch(a);
	proxy_watch(b);
}

/* Bytes from 's' that its peer did not take at once. */
static void
proxy_wait(struct side *s, const unsigned char *p, size_t n)
{
	s->wait = malloc(n);
	if (s->wait == NULL)
		abort();
	memcpy(s->wait, p, n);
	s->wait_at = 0;
	s->wait_len = n;
}

/* Passes 'n' bytes from 's' on. */
static bool
proxy_pass(struct side *s, const unsigned char *p, size_t n)
{
	ssize_t done;

	if (s->other->tls != NULL) {
		if (!sq_proxy_tls_seal(s->other->tls, p, n))
			return false;
		p = sq_proxy_tls_sealed(s->other->tls, &n);
	}
	done = send(s->other->fd, p, n, MSG_NOSIGNAL);
	if (done < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	if (done < 0)
		done = 0;
	if ((size_t)done < n)
		proxy_wait(s, p + done, n - (size_t)done);
	return true;
}

/* Continues the handshake, or decrypts; returns the bytes of 'plain', -1 on an error. */
static ssize_t
proxy_decrypt(struct side *s, const unsigned char *p, size_t n, unsigned char *plain)
{
	bool greets = !sq_proxy_tls_open(s->tls);
	long have = sq_proxy_tls_take(s->tls, p, n, plain);
	size_t len;

	if (have >= 0 && greets) {
		p = sq_proxy_tls_sealed(s->tls, &len);
		if (len > 0 && send(s->fd, p, len, MSG_NOSIGNAL) != (ssize_t)len)
			return -1;
	}
	return have;
}

static void
proxy_read(struct side *s)
{
	static unsigned char buf[CHUNK], plain[CHUNK + RECORD];
	const unsigned char *p = buf;
	ssize_t n = recv(s->fd, buf, sizeof buf, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && s->tls != NULL) {
		p = plain;
		n = proxy_decrypt(s, buf, (size_t)n, plain);
		if (n == 0)
			return;
	}
	if (n <= 0 || (s->other != NULL && !proxy_pass(s, p, (size_t)n)))
		proxy_close(s);
}

/* 's' can be written to: connected, or room again. */
static void
proxy_write(struct side *s)
{
	struct side *from = s->other;
	ssize_t n;

	if (s->connecting && s->tls != NULL) {
		s->connecting = false;
		if (proxy_decrypt(s, NULL, 0, NULL) < 0)
			proxy_close(s);
		return;
	}
	s->connecting = false;
	if (from == NULL || from->wait_len == 0)
		return;
	n = send(s->fd, from->wait + from->wait_at, from->wait_len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		proxy_close(s);
		return;
	}
	if (n > 0) {
		from->wait_at += (size_t)n;
		from->wait_len -= (size_t)n;
	}
	if (from->wait_len == 0) {
		free(from->wait);
		from->wait = NULL;
	}
}

static void
proxy_event(struct side *s, uint32_t events)
{
	if (s->over)
		return;
	if (events & (EPOLLERR | EPOLLHUP))
		proxy_close(s);
	if (!s->over && events & EPOLLOUT)
		proxy_write(s);
	if (!s->over && events & EPOLLIN)
		proxy_read(s);
	if (s->over)
		return;
	proxy_watch(s);
	if (s->other != NULL)
		proxy_watch(s->other);
}

static void
proxy_loop(int lfd)
{
	struct epoll_event ev[EVENTS];

	while (!stop) {
		int n = epoll_wait(epfd, ev, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr == NULL)
				proxy_accept(lfd);
			else
				proxy_event(ev[i].data.ptr, ev[i].events);
		}
		while (ndead > 0) {
			struct side *s = dead[--ndead];

			sq_proxy_tls_free(s->tls);
			free(s->wait);
			free(s);
		}
	}
}

static void
proxy_resolve(const char *arg, struct sockaddr_storage *a, socklen_t *len)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *res;
	const char *colon = strrchr(arg, ':');
	char host[256];

	if (colon == NULL || (size_t)(colon - arg) >= sizeof host) {
		fprintf(stderr, "sqmqos-bench-proxy: not host:port: %s\n", arg);
		exit(2);
	}
	memcpy(host, arg, (size_t)(colon - arg));
	host[colon - arg] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &res) != 0) {
		fprintf(stderr, "sqmqos-bench-proxy: not an address: %s\n", arg);
		exit(2);
	}
	memcpy(a, res->ai_addr, res->ai_addrlen);
	*len = res->ai_addrlen;
	freeaddrinfo(res);
}

static int
proxy_usage(void)
{
	fprintf(stderr,
	    "usage: sqmqos-bench-proxy [--tls-in CERT KEY] [--tls-out] LISTEN-ADDR TO-ADDR\n"
	    "       sqmqos-bench-proxy --sink LISTEN-ADDR\n");
	return 2;
}

static void
proxy_prepare(void)
{
	struct sigaction sa = {.sa_handler = proxy_stop};
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	epfd = epoll_create1(EPOLL_CLOEXEC);
}

static int
proxy_listen(const char *arg)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct sockaddr_storage at;
	socklen_t at_len;
	int lfd, one = 1;

	proxy_resolve(arg, &at, &at_len);
	lfd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (lfd < 0)
		proxy_die("socket");
	(void)setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(lfd, (struct sockaddr *)&at, at_len) < 0 || listen(lfd, 1024) < 0)
		proxy_die(arg);
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, lfd, &ev) < 0)
		proxy_die("epoll");
	return lfd;
}

int
main(int argc, char **argv)
{
	int at = 1;

	if (at < argc && strcmp(argv[at], "--sink") == 0) {
		sink = true;
		at++;
	}
	if (!sink && at + 2 < argc && strcmp(argv[at], "--tls-in") == 0) {
		tls_in = true;
		sq_proxy_tls_serve(argv[at + 1], argv[at + 2]);
		at += 3;
	}
	if (!sink && at < argc && strcmp(argv[at], "--tls-out") == 0) {
		tls_out = true;
		at++;
	}
	if (argc - at != (sink ? 1 : 2))
		return proxy_usage();
	if (!sink)
		proxy_resolve(argv[at + 1], &to, &to_len);
	proxy_prepare();
	proxy_loop(proxy_listen(argv[at]));
	return 0;
}
