/* See support/sink.h. */
#include "sink.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/mem.h"
#include "core/thread.h"

enum { SINK_CONNS = 4096, HEAD_MAX = 1 << 17 };

struct sink_conn {
	struct sink *sink;
	unsigned number;
	int fd;
	SSL *ssl; /* NULL: in the clear */
	pthread_t thread;
	bool over; /* under the lock */
};

struct sink {
	struct sink_cfg cfg;
	SSL_CTX *tls;
	int listener;
	unsigned port;
	pthread_t thread;
	atomic_uint requests;
	atomic_bool stopped;
	pthread_mutex_t lock;
	struct sink_conn *conns[SINK_CONNS];
	unsigned n_conns;
	char offered[64];
};

static ssize_t
conn_read(struct sink_conn *c, void *to, size_t n)
{
	return c->ssl != NULL ? SSL_read(c->ssl, to, (int)n) : read(c->fd, to, n);
}

bool
sink_write(struct sink_conn *c, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		size_t part = n < 16384 ? n : 16384;
		ssize_t done = c->ssl != NULL ? SSL_write(c->ssl, at, (int)part)
					      : send(c->fd, at, part, MSG_NOSIGNAL);

		if (done <= 0)
			return false;
		at += done;
		n -= (size_t)done;
	}
	return true;
}

bool
sink_say(struct sink_conn *c, const char *text)
{
	return sink_write(c, text, strlen(text));
}

bool
sink_is_stopped(struct sink_conn *c)
{
	return atomic_load(&c->sink->stopped);
}

/* Reads until the buffer has 'len' bytes, or with 0 a whole head; false at the end. */
static bool
conn_fill(struct sink_conn *c, struct sq_buf *in, size_t len)
{
	for (;;) {
		size_t have = sq_buf_len(in);
		ssize_t n;

		if (len > 0 ? have >= len
			    : have > 0 && memmem(sq_buf_data(in), have, "\r\n\r\n", 4) != NULL)
			return true;
		if (len == 0 && have > HEAD_MAX)
			return false;
		n = conn_read(c, sq_buf_reserve(in, 65536), 65536);
		if (n <= 0)
			return false;
		sq_buf_commit(in, (size_t)n);
	}
}

static bool
conn_turn(struct sink_conn *c, struct sq_buf *in)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	struct sink *s = c->sink;
	struct sink_request req = {.connection = c->number};
	const unsigned char *end;
	const char *length;
	size_t head;
	char *text;
	bool goes_on = false;

	if (!conn_fill(c, in, 0))
		return false;
	end = memmem(sq_buf_data(in), sq_buf_len(in), "\r\n\r\n", 4);
	head = (size_t)(end - sq_buf_data(in)) + 4;
	text = sq_xmemdup0(sq_buf_data(in), head);
	length = strcasestr(text, "\r\ncontent-length:");
	req.body_len = length != NULL ? strtoul(length + 17, NULL, 10) : 0;
	if (req.body_len == 0 || conn_fill(c, in, head + req.body_len)) {
		req.head = text;
		req.body = (const char *)sq_buf_data(in) + head;
		atomic_fetch_add(&s->requests, 1);
		goes_on = s->cfg.serve != NULL ? s->cfg.serve(s->cfg.owner, c, &req)
					       : sink_write(c, ok, sizeof ok - 1);
		sq_buf_drain(in, head + req.body_len);
	}
	free(text);
	return goes_on;
}

static void *
conn_run(void *arg)
{
	struct sink_conn *c = arg;
	struct sq_buf in = {0};
	bool goes_on = c->ssl == NULL || SSL_accept(c->ssl) == 1;

	while (goes_on)
		goes_on = conn_turn(c, &in);
	sq_buf_fini(&in);
	if (c->ssl != NULL)
		(void)SSL_shutdown(c->ssl);
	pthread_mutex_lock(&c->sink->lock);
	c->over = true;
	SSL_free(c->ssl);
	close(c->fd);
	pthread_mutex_unlock(&c->sink->lock);
	return NULL;
}

static void *
sink_run(void *arg)
{
	struct sink *s = arg;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		struct sink_conn *c = sq_xcalloc(1, sizeof *c);

		c->sink = s;
		c->fd = fd;
		if (s->tls != NULL) {
			c->ssl = SSL_new(s->tls);
			SSL_set_fd(c->ssl, fd);
		}
		pthread_mutex_lock(&s->lock);
		assert(s->n_conns < SINK_CONNS);
		s->conns[s->n_conns++] = c;
		c->number = s->n_conns;
		pthread_mutex_unlock(&s->lock);
		sq_thread_start(&c->thread, conn_run, c);
	}
	return NULL;
}

/* Notes what is offered, and takes http/1.1. */
static int
sink_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
    unsigned len, void *arg)
{
	static const unsigned char http1[] = "http/1.1";
	struct sink *s = arg;
	size_t n = 0;

	(void)ssl;
	pthread_mutex_lock(&s->lock);
	s->offered[0] = '\0';
	for (unsigned i = 0; i < len; i += 1u + in[i])
		n += (size_t)snprintf(s->offered + n, sizeof s->offered - n, "%s%.*s",
		    n > 0 ? "," : "", in[i], (const char *)in + i + 1);
	pthread_mutex_unlock(&s->lock);
	*out = http1;
	*out_len = sizeof http1 - 1;
	return SSL_TLSEXT_ERR_OK;
}

static void
sink_listen(struct sink *s)
{
	const char *host = s->cfg.host != NULL ? s->cfg.host : "127.0.0.1";
	bool v6 = strchr(host, ':') != NULL;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = {.any.sa_family = v6 ? AF_INET6 : AF_INET};
	socklen_t len = v6 ? sizeof a.v6 : sizeof a.v4;

	if (inet_pton(a.any.sa_family, host, v6 ? (void *)&a.v6.sin6_addr : &a.v4.sin_addr) != 1)
		abort();
	s->listener = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s->listener, &a.any, len) != 0 || listen(s->listener, 256) != 0 ||
	    getsockname(s->listener, &a.any, &len) != 0)
		abort();
	s->port = ntohs(v6 ? a.v6.sin6_port : a.v4.sin_port);
}

static void
sink_set_tls(struct sink *s)
{
	s->tls = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_security_level(s->tls, 0); /* the old versions, too */
	SSL_CTX_set_min_proto_version(s->tls, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(s->tls, s->cfg.max_version);
	SSL_CTX_set_alpn_select_cb(s->tls, sink_on_alpn, s);
	if (SSL_CTX_use_certificate_chain_file(s->tls, s->cfg.cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(s->tls, s->cfg.key, SSL_FILETYPE_PEM) != 1)
		abort();
	if (s->cfg.client_ca == NULL)
		return;
	if (SSL_CTX_load_verify_locations(s->tls, s->cfg.client_ca, NULL) != 1)
		abort();
	SSL_CTX_set_verify(s->tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

struct sink *
sink_start(const struct sink_cfg *cfg)
{
	struct sink *s = sq_xcalloc(1, sizeof *s);

	s->cfg = *cfg;
	pthread_mutex_init(&s->lock, NULL);
	if (cfg->cert != NULL)
		sink_set_tls(s);
	sink_listen(s);
	sq_thread_start(&s->thread, sink_run, s);
	return s;
}

void
sink_stop(struct sink **sp)
{
	struct sink *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	atomic_store(&s->stopped, true);
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->n_conns; i++)
		if (!s->conns[i]->over)
			shutdown(s->conns[i]->fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->n_conns; i++) {
		pthread_join(s->conns[i]->thread, NULL);
		free(s->conns[i]);
	}
	SSL_CTX_free(s->tls);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

unsigned
sink_port(const struct sink *s)
{
	return s->port;
}

unsigned
sink_connections(struct sink *s)
{
	unsigned n;

	pthread_mutex_lock(&s->lock);
	n = s->n_conns;
	pthread_mutex_unlock(&s->lock);
	return n;
}

unsigned
sink_open(struct sink *s)
{
	unsigned n = 0;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->n_conns; i++)
		n += !s->conns[i]->over;
	pthread_mutex_unlock(&s->lock);
	return n;
}

unsigned
sink_requests(struct sink *s)
{
	return atomic_load(&s->requests);
}

void
sink_offered(struct sink *s, char *out, size_t room)
{
	pthread_mutex_lock(&s->lock);
	(void)snprintf(out, room, "%s", s->offered);
	pthread_mutex_unlock(&s->lock);
}
