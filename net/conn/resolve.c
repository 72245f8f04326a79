/* c-ares on libev; see net/conn/resolve.h. */
#include "net/conn/resolve.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/list.h"
#include "core/mem.h"

enum {
	RESOLVE_TIMEOUT_MS = 1000, /* of the first try; the second has twice as long */
	RESOLVE_TRIES = 2,
};

struct resolver_socket {
	struct sq_list node;
	struct ev_io io;
	struct sq_resolver *resolver;
};

struct resolver_lookup {
	struct sq_list node; /* of 'flying', then of 'finished' */
	struct sq_resolver *resolver;
	void *tag;
	struct sq_addr *addrs;
	size_t n;
	const char *error;
};

struct sq_resolver {
	struct ev_loop *loop;
	sq_resolved_fn *done;
	void *owner;
	ares_channel channel; /* while something is flying */
	bool open;
	struct ev_timer timeout; /* c-ares' own */
	struct ev_timer report;  /* hands out 'finished' */
	struct sq_list sockets, flying, finished;
};

int
sq_addr_split(const char *text, char host[SQ_HOST_MAX + 1], uint16_t *port)
{
	const char *colon = strrchr(text, ':'), *from = text;
	char *end;
	unsigned long n;
	size_t len;

	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return SQ_EINVAL;
	n = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || n == 0 || n > UINT16_MAX)
		return SQ_EINVAL;
	len = (size_t)(colon - text);
	if (text[0] == '[') {
		if (len < 3 || colon[-1] != ']')
			return SQ_EINVAL;
		from++;
		len -= 2;
	} else if (memchr(text, ':', len) != NULL) {
		return SQ_EINVAL; /* IPv6 without brackets */
	}
	if (len == 0 || len > SQ_HOST_MAX)
		return SQ_EINVAL;
	for (size_t i = 0; i < len; i++)
		if (from[i] <= ' ' || from[i] > '~' || strchr("/[]@", from[i]) != NULL)
			return SQ_EINVAL;
	memcpy(host, from, len);
	host[len] = '\0';
	*port = (uint16_t)n;
	return 0;
}

int
sq_addr_numeric(const char *host, uint16_t port, struct sq_addr *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&out->ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->ss;

	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		out->len = sizeof *v4;
		return 0;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		out->len = sizeof *v6;
		return 0;
	}
	return SQ_EINVAL;
}

/* Fills 'out' from an address of c-ares; false for a family that can't be dialled. */
static bool
resolve_addr(const struct ares_addrinfo_node *node, struct sq_addr *out)
{
	if (node->ai_addrlen > sizeof out->ss ||
	    (node->ai_family != AF_INET && node->ai_family != AF_INET6))
		return false;
	memset(out, 0, sizeof *out);
	memcpy(&out->ss, node->ai_addr, node->ai_addrlen);
	out->len = node->ai_addrlen;
	return true;
}

bool
sq_addr_equal(const struct sq_addr *a, const struct sq_addr *b)
{
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)&a->ss;
	const struct sockaddr_in *b4 = (const struct sockaddr_in *)&b->ss;
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)&a->ss;
	const struct sockaddr_in6 *b6 = (const struct sockaddr_in6 *)&b->ss;

	if (a->ss.ss_family != b->ss.ss_family)
		return false;
	if (a->ss.ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id &&
	    memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
}

void
sq_addr_text(const struct sq_addr *a, char out[SQ_ADDR_TEXT])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->ss;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->ss;
	char ip[INET6_ADDRSTRLEN] = "?";

	if (a->ss.ss_family == AF_INET) {
		(void)inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof ip);
		(void)snprintf(out, SQ_ADDR_TEXT, "%s:%u", ip, ntohs(v4->sin_port));
	} else {
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof ip);
		(void)snprintf(out, SQ_ADDR_TEXT, "[%s]:%u", ip, ntohs(v6->sin6_port));
	}
}

static void
resolver_arm(struct sq_resolver *r)
{
	struct timeval tv, *next = ares_timeout(r->channel, NULL, &tv);

	ev_timer_stop(r->loop, &r->timeout);
	if (next == NULL)
		return;
	ev_timer_set(&r->timeout, (double)next->tv_sec + (double)next->tv_usec / 1e6, 0.);
	ev_timer_start(r->loop, &r->timeout);
}

static void
resolver_on_socket(EV_P_ struct ev_io *w, int revents)
{
	struct resolver_socket *s = SQ_CONTAINER_OF(w, struct resolver_socket, io);
	struct sq_resolver *r = s->resolver;
	int fd = w->fd;

	(void)EV_A;
	ares_process_fd(r->channel, revents & EV_READ ? fd : ARES_SOCKET_BAD,
	    revents & EV_WRITE ? fd : ARES_SOCKET_BAD);
	resolver_arm(r);
}

static void
resolver_on_timeout(EV_P_ struct ev_timer *w, int revents)
{
	struct sq_resolver *r = SQ_CONTAINER_OF(w, struct sq_resolver, timeout);

	(void)EV_A, (void)revents;
	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	resolver_arm(r);
}

/* c-ares says which events of a socket it waits for; neither: it closes it. */
static void
resolver_watch(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct sq_resolver *r = arg;
	struct resolver_socket *s = NULL;

	SQ_LIST_FOR_EACH(it, &r->sockets, struct resolver_socket, node)
		if (it->io.fd == fd)
			s = it;
	if (s != NULL)
		ev_io_stop(r->loop, &s->io);
	if (!readable && !writable) {
		if (s != NULL) {
			sq_list_remove(&s->node);
			free(s);
		}
		return;
	}
	if (s == NULL) {
		s = sq_xcalloc(1, sizeof *s);
		s->resolver = r;
		sq_list_push_back(&r->sockets, &s->node);
	}
	ev_io_init(
	    &s->io, resolver_on_socket, fd, (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
	ev_io_start(r->loop, &s->io);
}

/* May run inside ares_getaddrinfo(), so it only keeps the addresses. */
static void
resolver_answer(void *arg, int status, int timeouts, struct ares_addrinfo *res)
{
	struct resolver_lookup *q = arg;
	struct sq_resolver *r = q->resolver;

	(void)timeouts;
	if (status == ARES_EDESTRUCTION)
		return;
	if (status != ARES_SUCCESS)
		q->error = ares_strerror(status);
	else
		q->addrs = sq_xcalloc(SQ_ADDRS_MAX, sizeof *q->addrs);
	if (status == ARES_SUCCESS)
		for (struct ares_addrinfo_node *n = res->nodes; n != NULL && q->n < SQ_ADDRS_MAX;
		     n = n->ai_next)
			q->n += resolve_addr(n, &q->addrs[q->n]);
	if (res != NULL)
		ares_freeaddrinfo(res);
	if (q->n == 0 && q->error == NULL)
		q->error = "it has no address";
	sq_list_remove(&q->node);
	sq_list_push_back(&r->finished, &q->node);
	ev_timer_start(r->loop, &r->report);
}

static void
resolver_close(struct sq_resolver *r)
{
	if (!r->open)
		return;
	r->open = false;
	ares_destroy(r->channel);
	ev_timer_stop(r->loop, &r->timeout);
	ares_library_cleanup();
}

static int
resolver_open(struct sq_resolver *r)
{
	struct ares_options opt = {
	    .timeout = RESOLVE_TIMEOUT_MS,
	    .tries = RESOLVE_TRIES,
	    .sock_state_cb = resolver_watch,
	    .sock_state_cb_data = r,
	};

	if (r->open)
		return 0;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return SQ_EIO;
	if (ares_init_options(&r->channel, &opt,
		ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS) {
		ares_library_cleanup();
		return SQ_EIO;
	}
	r->open = true;
	return 0;
}

static void
resolver_on_report(EV_P_ struct ev_timer *w, int revents)
{
	struct sq_resolver *r = SQ_CONTAINER_OF(w, struct sq_resolver, report);
	struct resolver_lookup *q;
	struct sq_list now;

	(void)EV_A, (void)revents;
	ev_timer_stop(r->loop, w);
	sq_list_init(&now);
	sq_list_splice(&now, &r->finished);
	if (sq_list_empty(&r->flying))
		resolver_close(r);
	while ((q = SQ_LIST_FIRST(&now, struct resolver_lookup, node)) != NULL) {
		sq_list_remove(&q->node);
		r->done(r->owner, q->tag, q->addrs, q->n, q->n > 0 ? NULL : q->error);
		free(q->addrs);
		free(q);
	}
}

struct sq_resolver *
sq_resolver_new(struct ev_loop *loop, sq_resolved_fn *done, void *owner)
{
	struct sq_resolver *r = sq_xcalloc(1, sizeof *r);

	r->loop = loop;
	r->done = done;
	r->owner = owner;
	ev_timer_init(&r->timeout, resolver_on_timeout, 0., 0.);
	ev_timer_init(&r->report, resolver_on_report, 0., 0.);
	sq_list_init(&r->sockets);
	sq_list_init(&r->flying);
	sq_list_init(&r->finished);
	return r;
}

void
sq_resolver_lookup(struct sq_resolver *r, const char *host, uint16_t port, void *tag)
{
	struct ares_addrinfo_hints hints = {
	    .ai_flags = ARES_AI_NUMERICSERV,
	    .ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM,
	};
	struct resolver_lookup *q = sq_xcalloc(1, sizeof *q);
	char service[8];

	q->resolver = r;
	q->tag = tag;
	if (resolver_open(r) != 0) {
		q->error = "the resolver can't be set up";
		sq_list_push_back(&r->finished, &q->node);
		ev_timer_start(r->loop, &r->report);
		return;
	}
	sq_list_push_back(&r->flying, &q->node);
	(void)snprintf(service, sizeof service, "%u", port);
	ares_getaddrinfo(r->channel, host, service, &hints, resolver_answer, q);
	if (r->open)
		resolver_arm(r);
}

void
sq_resolver_free(struct sq_resolver **rp)
{
	struct sq_resolver *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	resolver_close(r);
	ev_timer_stop(r->loop, &r->report);
	sq_list_splice(&r->finished, &r->flying);
	SQ_LIST_FOR_EACH_SAFE(q, &r->finished, struct resolver_lookup, node) {
		free(q->addrs);
		free(q);
	}
	SQ_LIST_FOR_EACH_SAFE(s, &r->sockets, struct resolver_socket, node) {
		ev_io_stop(r->loop, &s->io);
		free(s);
	}
	free(r);
}
