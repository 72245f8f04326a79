/* The generator's sockets.  A connection has no buffers of its own while it
 * is idle: one big read buffer serves all, and only the start of a packet
 * that isn't whole yet is kept. */
#include "bench/load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { OUT_KEEP = 4096, OUT_MAX = 256 << 20 };

bool
sq_load_fail(struct sq_load *l, const char *fmt, ...)
{
	va_list ap;

	if (l->failed) /* the first reason is the one that helps */
		return false;
	l->failed = true;
	fputs("sqmqos-bench: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return false;
}

static const char *
conn_name(const struct sq_load_conn *c, char *buf, size_t cap)
{
	static const char *const kinds[] = {
	    "subscriber", "publisher", "idle client", "subscribing client", "listener", "receiver"};

	snprintf(buf, cap, "%s %u", kinds[c->kind], c->idx);
	return buf;
}

static bool
conn_fail(struct sq_load *l, const struct sq_load_conn *c, const char *what)
{
	char name[40];

	return sq_load_fail(l, "%s: %s", conn_name(c, name, sizeof name), what);
}

static bool
conn_watch(struct sq_load *l, struct sq_load_conn *c, int op, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	if (epoll_ctl(l->epfd, op, c->fd, &ev) < 0)
		return conn_fail(l, c, strerror(errno));
	return true;
}

static void
conn_nodelay(int fd)
{
	int one = 1;

	/* Fails on unix sockets, which don't delay anyway. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

bool
sq_load_conn_open(struct sq_load *l, struct sq_load_conn *c, const struct sq_load_addr *to)
{
	c->fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return conn_fail(l, c, strerror(errno));
	conn_nodelay(c->fd);
	if (to->sa.sa_family == AF_INET &&
	    (ntohl(((const struct sockaddr_in *)(const void *)&to->any)->sin_addr.s_addr) >> 24) ==
		127) {
		/* Loopback has 28,000 ports per source address: use several. */
		struct sockaddr_in from = {.sin_family = AF_INET,
		    .sin_addr.s_addr = htonl(0x7f000001 + l->opened / 20000)};
		int one = 1;

		(void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
		if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0)
			return conn_fail(l, c, strerror(errno));
	}
	if (connect(c->fd, &to->sa, to->len) < 0 && errno != EINPROGRESS)
		return conn_fail(l, c, strerror(errno));
	c->state = SQ_LOAD_CONNECTING;
	c->blocked = true;
	return conn_watch(l, c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

bool
sq_load_conn_listen(struct sq_load *l, const struct sq_load_addr *at)
{
	struct sq_load_conn *c = &l->listener;
	int one = 1;

	c->kind = SQ_LOAD_LISTEN;
	c->fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return conn_fail(l, c, strerror(errno));
	if (at->sa.sa_family == AF_UNIX)
		unlink(at->un.sun_path);
	else
		(void)setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(c->fd, &at->sa, at->len) < 0 || listen(c->fd, 1024) < 0)
		return conn_fail(l, c, strerror(errno));
	return conn_watch(l, c, EPOLL_CTL_ADD, EPOLLIN);
}

void
sq_load_conn_close(struct sq_load *l, struct sq_load_conn *c)
{
	if (c->fd > 0) {
		(void)epoll_ctl(l->epfd, EPOLL_CTL_DEL, c->fd, NULL);
		close(c->fd);
	}
	c->fd = 0;
	c->state = SQ_LOAD_CLOSED;
	free(c->part);
	free(c->out);
	c->part = c->out = NULL;
	c->part_len = c->out_at = c->out_len = c->out_cap = 0;
}

void
sq_load_conn_dirty(struct sq_load *l, struct sq_load_conn *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	l->dirty[l->ndirty++] = c;
}

unsigned char *
sq_load_conn_room(struct sq_load_conn *c, size_t n)
{
	size_t need;

	if (c->out_at == c->out_len)
		c->out_at = c->out_len = 0;
	if (c->out_len + n > c->out_cap && c->out_at > 0) {
		memmove(c->out, c->out + c->out_at, c->out_len - c->out_at);
		c->out_len -= c->out_at;
		c->out_at = 0;
	}
	need = c->out_len + n;
	if (need > c->out_cap) {
		if (need > OUT_MAX) {
			fputs("sqmqos-bench: a peer doesn't read\n", stderr);
			exit(3);
		}
		c->out_cap = need < 256 ? 256 : need * 2;
		c->out = realloc(c->out, c->out_cap);
		if (c->out == NULL)
			abort();
	}
	c->out_len = need;
	return c->out + need - n;
}

bool
sq_load_conn_flush(struct sq_load *l, struct sq_load_conn *c)
{
	ssize_t n;

	c->dirty = false;
	if (c->blocked || c->state == SQ_LOAD_CLOSED)
		return true;
	if (c->kind == SQ_LOAD_PUB && c->state == SQ_LOAD_READY)
		sq_load_pub_fill(l, (struct sq_load_pub *)(void *)c);
	if (c->out_at == c->out_len)
		return true;
	n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return conn_fail(l, c, strerror(errno));
	if (n > 0)
		c->out_at += (size_t)n;
	if (c->out_at < c->out_len) {
		c->blocked = true;
		return conn_watch(l, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
	}
	if (c->kind == SQ_LOAD_IDLE && c->out_cap <= OUT_KEEP) {
		free(c->out);
		c->out = NULL;
		c->out_at = c->out_len = c->out_cap = 0;
	}
	/* There may be more to fill in. */
	if (c->kind == SQ_LOAD_PUB && c->state == SQ_LOAD_READY)
		sq_load_conn_dirty(l, c);
	return true;
}

void
sq_load_conn_ready(struct sq_load *l, struct sq_load_conn *c)
{
	c->state = SQ_LOAD_READY;
	l->ready++;
	if (c->kind == SQ_LOAD_PUB)
		sq_load_pub_start(l, (struct sq_load_pub *)(void *)c);
}

/* The TCP connection is there: greet. */
static bool
conn_greet(struct sq_load *l, struct sq_load_conn *c)
{
	unsigned char packet[SQ_WIRE_SMALL];
	char id[100];
	struct sq_wire_connect cfg = {.client_id = id,
	    .v5 = l->o.v5,
	    .clean = !l->o.durable,
	    .expiry_s = l->o.expiry_s,
	    .receive_max = c->kind == SQ_LOAD_SUB ? l->o.receive_max : 0};
	socklen_t len = sizeof errno;
	int err = 0;
	size_t n;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err != 0)
		return conn_fail(l, c, strerror(err));
	if (l->o.raw) {
		c->receive_max = UINT16_MAX;
		sq_load_conn_ready(l, c);
		return true;
	}
	snprintf(id, sizeof id, "%s-%c%u", l->o.prefix, "spif"[c->kind], c -> idx);
	n = sq_wire_put_connect(packet, &cfg);
	memcpy(sq_load_conn_room(c, n), packet, n);
	c->state = SQ_LOAD_GREETING;
	sq_load_conn_dirty(l, c);
	return true;
}

static bool
conn_greeted(struct sq_load *l, struct sq_load_conn *c, const struct sq_wire_frame *f)
{
	unsigned char packet[SQ_WIRE_SMALL];
	struct sq_wire_connack ack;
	char filter[128], why[64];
	size_t n;

	if (f->head >> 4 != SQ_WIRE_CONNACK || !sq_wire_read_connack(f, l->o.v5, &ack))
		return conn_fail(l, c, "malformed CONNACK");
	if (ack.reason != 0) {
		snprintf(why, sizeof why, "refused: CONNACK 0x%02x", ack.reason);
		return conn_fail(l, c, why);
	}
	c->receive_max = ack.receive_max;
	if (c->kind == SQ_LOAD_PUB || c->kind == SQ_LOAD_FILTERS ||
	    (c->kind == SQ_LOAD_IDLE && !l->o.idle_subscribe)) {
		sq_load_conn_ready(l, c);
		return true;
	}
	if (c->kind == SQ_LOAD_SUB && l->o.resume) {
		if (!ack.present)
			return conn_fail(l, c, "its session is not there");
		sq_load_conn_ready(l, c);
		return true;
	}
	sq_load_sub_filter(l, c->idx, filter, sizeof filter);
	n = sq_wire_put_subscribe(packet, 1, filter, l->o.qos, l->o.v5);
	memcpy(sq_load_conn_room(c, n), packet, n);
	c->state = SQ_LOAD_SUBSCRIBING;
	sq_load_conn_dirty(l, c);
	return true;
}

static bool
conn_subscribed(struct sq_load *l, struct sq_load_conn *c, const struct sq_wire_frame *f)
{
	char why[64];
	uint16_t id;
	uint8_t code;

	if (f->head >> 4 != SQ_WIRE_SUBACK || !sq_wire_read_suback(f, l->o.v5, &id, &code))
		return conn_fail(l, c, "malformed SUBACK");
	if (code != l->o.qos) {
		snprintf(why, sizeof why, "asked for QoS %u: SUBACK 0x%02x", l->o.qos, code);
		return conn_fail(l, c, why);
	}
	sq_load_conn_ready(l, c);
	return true;
}

static bool
conn_packet(struct sq_load *l, struct sq_load_conn *c, const struct sq_wire_frame *f)
{
	char why[64];

	if (f->head >> 4 == SQ_WIRE_DISCONNECT) {
		snprintf(why, sizeof why, "DISCONNECT 0x%02x", f->len > 0 ? f->body[0] : 0);
		return conn_fail(l, c, why);
	}
	switch (c->state) {
	case SQ_LOAD_GREETING:
		return conn_greeted(l, c, f);
	case SQ_LOAD_SUBSCRIBING:
		return conn_subscribed(l, c, f);
	case SQ_LOAD_READY:
		if (c->kind == SQ_LOAD_PUB)
			return sq_load_pub_packet(l, (struct sq_load_pub *)(void *)c, f);
		if (c->kind == SQ_LOAD_SUB)
			return sq_load_sub_packet(l, (struct sq_load_sub *)(void *)c, c, f);
		if (c->kind == SQ_LOAD_FILTERS)
			return sq_load_filters_packet(l, c, f);
		if (c->kind == SQ_LOAD_SINK)
			return sq_load_sub_packet(l, &l->sub[0], c, f);
		return true;
	default:
		return conn_fail(l, c, "a packet too early");
	}
}

/* Keeps the 'n' bytes at 'p', the start of a packet of 'want' bytes (0: not
 * known yet), until more arrive. */
static bool
conn_keep(struct sq_load *l, struct sq_load_conn *c, const unsigned char *p, size_t n, size_t want)
{
	if (want > l->rbuf_cap)
		return conn_fail(l, c, "a packet larger than any that this run sends");
	if (n > 0) {
		c->part = realloc(c->part, n);
		if (c->part == NULL)
			abort();
		memcpy(c->part, p, n);
	} else {
		free(c->part);
		c->part = NULL;
	}
	c->part_len = n;
	return true;
}

static bool
conn_read(struct sq_load *l, struct sq_load_conn *c)
{
	unsigned char *p = l->rbuf, *end;
	struct sq_wire_frame f = {0};
	ssize_t n;
	int cut = 0;

	if (c->part_len > 0)
		memcpy(p, c->part, c->part_len);
	n = recv(c->fd, p + c->part_len, l->rbuf_cap - c->part_len, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR || conn_fail(l, c, strerror(errno));
	if (n == 0)
		return conn_fail(l, c, "the peer closed the connection");
	l->now = sq_load_clock_ns();
	end = p + c->part_len + n;
	while (p < end && (cut = sq_wire_cut(p, (size_t)(end - p), &f)) == 1) {
		if (!conn_packet(l, c, &f))
			return false;
		p += f.total;
	}
	if (cut < 0)
		return conn_fail(l, c, "malformed packet");
	if (p == end && c->part_len == 0)
		return true;
	return conn_keep(l, c, p, (size_t)(end - p), p < end ? f.total : 0);
}

static bool
conn_accept(struct sq_load *l)
{
	struct sq_load_conn *c;
	int fd = accept4(l->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return true;
	if (l->nsinks == l->o.publishers) {
		close(fd);
		return true;
	}
	conn_nodelay(fd);
	c = calloc(1, sizeof *c);
	if (c == NULL)
		abort();
	*c = (struct sq_load_conn){
	    .fd = fd, .kind = SQ_LOAD_SINK, .state = SQ_LOAD_READY, .idx = l->nsinks};
	l->sink[l->nsinks++] = c;
	return conn_watch(l, c, EPOLL_CTL_ADD, EPOLLIN);
}

bool
sq_load_conn_event(struct sq_load *l, struct sq_load_conn *c, uint32_t events)
{
	if (c->kind == SQ_LOAD_LISTEN)
		return conn_accept(l);
	if (c->state == SQ_LOAD_CLOSED)
		return true;
	if (c->blocked && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
		c->blocked = false;
		if (!conn_watch(l, c, EPOLL_CTL_MOD, EPOLLIN))
			return false;
		if (c->state == SQ_LOAD_CONNECTING) {
			if (!conn_greet(l, c))
				return false;
		} else {
			sq_load_conn_dirty(l, c);
		}
	}
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		return conn_read(l, c);
	return true;
}
