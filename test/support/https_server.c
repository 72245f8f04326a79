/* See support/https_server.h. */
#include "https_server.h"

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

#include "core/mem.h"
#include "core/thread.h"

enum { REQUEST_MAX = 1 << 20 };

struct https_server {
	struct https_cfg cfg;
	SSL_CTX *tls;
	pthread_t thread;
	int listener;
	unsigned port, connections;
	char url[64];
	pthread_mutex_t lock; /* of the two below */
	int fd;               /* of the open connection, or -1 */
	bool stopped;
};

struct peer {
	SSL *ssl; /* NULL: clear text */
	int fd;
};

void
https_certificate(const char *dir)
{
	char cmd[600];

	snprintf(cmd, sizeof cmd,
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
	    "/CN=test -addext subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1 "
	    "-keyout %s/key.pem -out %s/cert.pem 2>/dev/null",
	    dir, dir);
	if (system(cmd) != 0)
		abort();
}

static ssize_t
peer_read(const struct peer *p, void *to, size_t n)
{
	return p->ssl != NULL ? SSL_read(p->ssl, to, (int)n) : read(p->fd, to, n);
}

static void
peer_write(const struct peer *p, const void *from, size_t n)
{
	const char *at = from;

	while (n > 0) {
		size_t part = n < 16384 ? n : 16384;
		ssize_t done = p->ssl != NULL ? SSL_write(p->ssl, at, (int)part)
					      : send(p->fd, at, part, MSG_NOSIGNAL);

		if (done <= 0)
			return;
		at += done;
		n -= (size_t)done;
	}
}

/* Reads until 'len' bytes are there, or the head ends; false at the end. */
static bool
peer_fill(const struct peer *p, struct sq_buf *in, size_t len)
{
	for (;;) {
		size_t have = sq_buf_len(in);
		ssize_t n;

		if (have > 0 &&
		    (len > 0 ? have >= len : memmem(sq_buf_data(in), have, "\r\n\r\n", 4) != NULL))
			return true;
		assert(have < REQUEST_MAX);
		n = peer_read(p, sq_buf_reserve(in, 16384), 16384);
		if (n <= 0)
			return false;
		sq_buf_commit(in, (size_t)n);
	}
}

static size_t
head_length(const char *head)
{
	const char *at = strcasestr(head, "\r\ncontent-length:");

	return at != NULL ? strtoul(at + 17, NULL, 10) : 0;
}

/* Answers one request; false when the connection is over. */
static bool
https_turn(struct https_server *s, const struct peer *p, struct sq_buf *in)
{
	struct https_request req = {.connection = s->connections};
	struct https_reply reply = {.status = 200};
	struct sq_buf head = {0};
	size_t size, length;
	char *text;

	if (!peer_fill(p, in, 0))
		return false;
	size = (size_t)((unsigned char *)memmem(sq_buf_data(in), sq_buf_len(in), "\r\n\r\n", 4) -
		   sq_buf_data(in)) +
	    4;
	text = sq_xmemdup0(sq_buf_data(in), size);
	length = head_length(text);
	if (length > 0 && !peer_fill(p, in, size + length)) {
		free(text);
		return false;
	}
	if (sscanf(text, "%15s %255s", req.method, req.path) != 2)
		abort();
	req.head = text;
	req.body = (const char *)sq_buf_data(in) + size;
	req.body_len = length;
	s->cfg.handle(s->cfg.owner, &req, &reply);
	sq_buf_drain(in, size + length);
	if (!reply.silent) {
		sq_buf_printf(&head, "HTTP/1.1 %u Some\r\nContent-Length: %zu\r\n%s\r\n",
		    reply.status, sq_buf_len(&reply.body),
		    reply.headers != NULL ? reply.headers : "");
		peer_write(p, sq_buf_data(&head), sq_buf_len(&head));
		if (strcmp(req.method, "HEAD") != 0)
			peer_write(p, sq_buf_data(&reply.body), sq_buf_len(&reply.body));
	}
	sq_buf_fini(&head);
	sq_buf_fini(&reply.body);
	free(text);
	return true;
}

static void
https_connection(struct https_server *s, int fd)
{
	struct peer p = {.fd = fd};
	struct sq_buf in = {0};
	bool open = true;

	s->connections++;
	if (s->tls != NULL) {
		p.ssl = SSL_new(s->tls);
		SSL_set_fd(p.ssl, fd);
		open = SSL_accept(p.ssl) == 1;
	}
	while (open)
		open = https_turn(s, &p, &in);
	sq_buf_fini(&in);
	SSL_free(p.ssl);
}

static bool
https_enter(struct https_server *s, int fd)
{
	bool stopped;

	pthread_mutex_lock(&s->lock);
	stopped = s->stopped;
	s->fd = fd;
	pthread_mutex_unlock(&s->lock);
	return !stopped;
}

static void *
https_run(void *arg)
{
	struct https_server *s = arg;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		if (https_enter(s, fd))
			https_connection(s, fd);
		https_enter(s, -1);
		close(fd);
	}
	return NULL;
}

static void
https_listen(struct https_server *s)
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
	if (bind(s->listener, &a.any, len) != 0 || listen(s->listener, 16) != 0 ||
	    getsockname(s->listener, &a.any, &len) != 0)
		abort();
	s->port = ntohs(v6 ? a.v6.sin6_port : a.v4.sin_port);
	snprintf(s->url, sizeof s->url, "http%s://%s%s%s:%u", s->cfg.clear ? "" : "s",
	    v6 ? "[" : "", host, v6 ? "]" : "", s->port);
}

struct https_server *
https_start(const struct https_cfg *cfg)
{
	struct https_server *s = sq_xcalloc(1, sizeof *s);
	char path[200];

	s->cfg = *cfg;
	s->fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	if (!cfg->clear) {
		s->tls = SSL_CTX_new(TLS_server_method());
		SSL_CTX_set_security_level(s->tls, 0); /* the old versions, too */
		SSL_CTX_set_min_proto_version(s->tls, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(s->tls, cfg->max_version);
		snprintf(path, sizeof path, "%s/cert.pem", cfg->dir);
		if (SSL_CTX_use_certificate_chain_file(s->tls, path) != 1)
			abort();
		if (cfg->asks_client) {
			SSL_CTX_set_verify(
			    s->tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
			if (SSL_CTX_load_verify_locations(s->tls, path, NULL) != 1)
				abort();
		}
		snprintf(path, sizeof path, "%s/key.pem", cfg->dir);
		if (SSL_CTX_use_PrivateKey_file(s->tls, path, SSL_FILETYPE_PEM) != 1)
			abort();
	}
	https_listen(s);
	sq_thread_start(&s->thread, https_run, s);
	return s;
}

const char *
https_url(const struct https_server *s)
{
	return s->url;
}

unsigned
https_port(const struct https_server *s)
{
	return s->port;
}

void
https_stop(struct https_server **sp)
{
	struct https_server *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopped = true;
	shutdown(s->listener, SHUT_RDWR);
	if (s->fd >= 0)
		shutdown(s->fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	close(s->listener);
	SSL_CTX_free(s->tls);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
