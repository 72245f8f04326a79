/* The test broker; see support/h2_server.h.  One thread, poll(2), one lock around
 * everything but the poll itself. */
#include "h2_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/tls.h"

enum { SERVER_CONNS_MAX = 64, SERVER_TICK_MS = 1000 };

struct h2_stream {
	struct sq_list node; /* of its connection */
	int32_t id;
	char method[8], path[128], token[1024];
	struct sq_buf in, out;
	uint32_t sum, len; /* of the body */
	size_t piece;
	bool deliveries, held, answered, more; /* 'more': the answer has no end yet */
};

struct h2_conn {
	struct sq_list node;
	struct h2_server *server;
	int fd;
	SSL *ssl;
	nghttp2_session *session;
	struct sq_list streams;
	struct sq_buf out;
	bool dead, want_write;
};

struct h2_server {
	struct h2_server_cfg cfg;
	SSL_CTX *tls;
	nghttp2_session_callbacks *callbacks;
	pthread_t thread;
	pthread_mutex_t lock;
	int listener, wake;
	uint16_t port;
	char address[32];
	char token[1024], query[900]; /* of answers to deliveries requests */
	struct sq_list conns;
	struct h2_server_stats stats;
	uint64_t heartbeat_ms; /* when the next one is due */
	bool stop;
};

static void
server_update_stats(struct h2_server *s)
{
	s->stats.open = s->stats.links = s->stats.held = 0;
	SQ_LIST_FOR_EACH(c, &s->conns, struct h2_conn, node) {
		s->stats.open++;
		SQ_LIST_FOR_EACH(st, &c->streams, struct h2_stream, node) {
			s->stats.links += st->deliveries && st->more;
			s->stats.held += st->held;
		}
	}
	if (s->stats.held > s->stats.held_peak)
		s->stats.held_peak = s->stats.held;
}

/* Answers. */

static ssize_t
server_read_answer(nghttp2_session *session, int32_t id, uint8_t *to, size_t len, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
	struct h2_stream *st = source->ptr;
	size_t n = sq_buf_len(&st->out);

	(void)session, (void)id, (void)arg;
	if (n == 0 && st->more)
		return NGHTTP2_ERR_DEFERRED;
	if (n > len)
		n = len;
	if (st->piece != 0 && n > st->piece)
		n = st->piece;
	if (n > 0)
		memcpy(to, sq_buf_data(&st->out), n);
	sq_buf_drain(&st->out, n);
	if (sq_buf_len(&st->out) == 0 && !st->more)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static nghttp2_nv
server_nv(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
	    strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* Responds with 'status', the header lines of 'query' ("k=v&k=v" or NULL), and
 * what is in st->out. */
static void
server_answer(struct h2_conn *c, struct h2_stream *st, const char *status, const char *query)
{
	nghttp2_data_provider body = {.source.ptr = st, .read_callback = server_read_answer};
	bool none = sq_buf_len(&st->out) == 0 && !st->more;
	nghttp2_nv nv[8] = {server_nv(":status", status)};
	size_t n = 1;
	char copy[900] = "", *save = NULL;

	if (query != NULL)
		(void)snprintf(copy, sizeof copy, "%s", query);
	for (char *kv = strtok_r(copy, "&", &save); kv != NULL && n < 8;
	     kv = strtok_r(NULL, "&", &save)) {
		char *eq = strchr(kv, '=');

		assert(eq != NULL);
		*eq = '\0';
		nv[n++] = server_nv(kv, eq + 1);
	}
	st->answered = true;
	(void)nghttp2_submit_response(c->session, st->id, nv, n, none ? NULL : &body);
}

static void
server_deliveries(struct h2_conn *c, struct h2_stream *st)
{
	const struct h2_server_cfg *cfg = &c->server->cfg;
	char status[16];

	c->server->stats.dials++;
	(void)snprintf(status, sizeof status, "%u",
	    cfg->deliveries_status != 0 ? cfg->deliveries_status : 200);
	(void)snprintf(
	    c->server->stats.last_link, sizeof c->server->stats.last_link, "%s", st->path);
	st->deliveries = st->more = strcmp(status, "200") == 0;
	server_answer(c, st, status, c->server->query);
}

/* The request is complete. */
static void
server_request(struct h2_conn *c, struct h2_stream *st)
{
	struct h2_server *s = c->server;
	char *query = strchr(st->path, '?');

	if (s->token[0] != '\0' && strcmp(st->token, s->token) != 0) {
		s->stats.refused++;
		server_answer(c, st, "401", NULL);
		return;
	}
	if (strcmp(st->method, "GET") == 0) {
		server_deliveries(c, st);
		return;
	}
	s->stats.requests++;
	(void)snprintf(
	    s->stats.last_path, sizeof s->stats.last_path, "%s %s", st->method, st->path);
	if (strcmp(st->path, "/sum") == 0) {
		sq_buf_u32(&st->out, st->len);
		sq_buf_u32(&st->out, st->sum);
		server_answer(c, st, "200", NULL);
	} else if (strcmp(st->path, "/hold") == 0) {
		st->held = true;
	} else if (strcmp(st->path, "/reset") == 0) {
		(void)nghttp2_submit_rst_stream(c->session, 0, st->id, NGHTTP2_INTERNAL_ERROR);
	} else if (strncmp(st->path, "/status/", 8) == 0) {
		if (query != NULL)
			*query++ = '\0';
		server_answer(c, st, st->path + 8, query);
	} else {
		sq_buf_append(&st->out, sq_buf_data(&st->in), sq_buf_len(&st->in));
		server_answer(c, st, "200", NULL);
	}
}

/* What nghttp2 calls. */

static int
server_on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_conn *c = arg;
	struct h2_stream *st = sq_xcalloc(1, sizeof *st);

	st->id = frame->hd.stream_id;
	sq_list_push_back(&c->streams, &st->node);
	return nghttp2_session_set_stream_user_data(session, st->id, st);
}

static int
server_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
	struct h2_stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	const char *v = (const char *)value;

	(void)flags, (void)arg;
	if (name_len == 7 && memcmp(name, ":method", 7) == 0)
		(void)snprintf(st->method, sizeof st->method, "%.*s", (int)len, v);
	else if (name_len == 5 && memcmp(name, ":path", 5) == 0)
		(void)snprintf(st->path, sizeof st->path, "%.*s", (int)len, v);
	else if (name_len == 13 && memcmp(name, "authorization", 13) == 0 && len > 7)
		(void)snprintf(st->token, sizeof st->token, "%.*s", (int)len - 7, v + 7);
	return 0;
}

static int
server_on_data(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t len, void *arg)
{
	struct h2_stream *st = nghttp2_session_get_stream_user_data(session, id);

	(void)flags, (void)arg;
	for (size_t i = 0; i < len; i++)
		st->sum = st->sum * 31 + p[i];
	st->len += (uint32_t)len;
	if (strcmp(st->path, "/sum") != 0)
		sq_buf_append(&st->in, p, len);
	return 0;
}

static int
server_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_conn *c = arg;
	struct h2_stream *st;

	if (frame->hd.type == NGHTTP2_PING)
		c->server->stats.pings++;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (st == NULL || st->answered)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && strcmp(st->path, "/early") == 0)
		server_answer(c, st, "413", NULL);
	else if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		server_request(c, st);
	return 0;
}

static int
server_on_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct h2_stream *st = nghttp2_session_get_stream_user_data(session, id);

	(void)code, (void)arg;
	if (st == NULL)
		return 0;
	sq_list_remove(&st->node);
	sq_buf_fini(&st->in);
	sq_buf_fini(&st->out);
	free(st);
	return 0;
}

/* Connections. */

static void
server_conn_free(struct h2_conn *c)
{
	sq_list_remove(&c->node);
	SQ_LIST_FOR_EACH_SAFE(st, &c->streams, struct h2_stream, node) {
		sq_buf_fini(&st->in);
		sq_buf_fini(&st->out);
		free(st);
	}
	nghttp2_session_del(c->session);
	SSL_free(c->ssl);
	sq_buf_fini(&c->out);
	close(c->fd);
	free(c);
}

static void
server_accept(struct h2_server *s)
{
	nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
		s->cfg.max_streams != 0 ? s->cfg.max_streams : 100},
	    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, s->cfg.window != 0 ? s->cfg.window : 65535},
	};
	int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
	struct h2_conn *c;

	if (fd < 0)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	s->stats.connections++;
	c = sq_xcalloc(1, sizeof *c);
	c->server = s;
	c->fd = fd;
	sq_list_init(&c->streams);
	sq_list_push_back(&s->conns, &c->node);
	if (s->tls != NULL) {
		c->ssl = SSL_new(s->tls);
		SSL_set_fd(c->ssl, fd);
		SSL_set_accept_state(c->ssl);
	}
	(void)nghttp2_session_server_new(&c->session, s->callbacks, c);
	if (s->cfg.garbage != NULL)
		sq_buf_append(&c->out, s->cfg.garbage, strlen(s->cfg.garbage));
	else if (!s->cfg.mute)
		(void)nghttp2_submit_settings(c->session, 0, settings, 2);
}

static void
server_conn_read(struct h2_conn *c)
{
	unsigned char in[65536];
	ssize_t n;

	for (;;) {
		n = c->ssl != NULL ? SSL_read(c->ssl, in, sizeof in) : read(c->fd, in, sizeof in);
		if (n <= 0) {
			bool again = c->ssl != NULL
			    ? SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ
			    : n < 0 && errno == EAGAIN;

			c->dead = c->dead || !again;
			return;
		}
		c->server->stats.reads++;
		if (c->server->cfg.mute || c->server->cfg.garbage != NULL)
			continue;
		if (nghttp2_session_mem_recv(c->session, in, (size_t)n) < 0) {
			c->dead = true;
			return;
		}
	}
}

static void
server_conn_write(struct h2_conn *c)
{
	const uint8_t *p;
	ssize_t n;

	while (!c->server->cfg.mute && c->server->cfg.garbage == NULL &&
	    sq_buf_len(&c->out) < 65536 && (n = nghttp2_session_mem_send(c->session, &p)) > 0)
		sq_buf_append(&c->out, p, (size_t)n);
	c->want_write = false;
	while (sq_buf_len(&c->out) > 0) {
		n = c->ssl != NULL
		    ? SSL_write(c->ssl, sq_buf_data(&c->out), (int)sq_buf_len(&c->out))
		    : send(c->fd, sq_buf_data(&c->out), sq_buf_len(&c->out), MSG_NOSIGNAL);
		if (n <= 0) {
			int why = c->ssl != NULL ? SSL_get_error(c->ssl, (int)n) : 0;

			c->want_write = c->ssl != NULL ? why == SSL_ERROR_WANT_WRITE
						       : errno == EAGAIN;
			c->dead = c->dead || (!c->want_write && why != SSL_ERROR_WANT_READ);
			return;
		}
		sq_buf_drain(&c->out, (size_t)n);
	}
	if (c->server->cfg.garbage == NULL && !nghttp2_session_want_read(c->session) &&
	    !nghttp2_session_want_write(c->session))
		c->dead = true;
	c->want_write = c->want_write || nghttp2_session_want_write(c->session);
}

static void
server_deliver(struct h2_server *s, const void *p, size_t len, size_t piece)
{
	SQ_LIST_FOR_EACH(c, &s->conns, struct h2_conn, node)
		SQ_LIST_FOR_EACH(st, &c->streams, struct h2_stream, node)
			if (st->deliveries && st->more) {
				st->piece = piece;
				sq_buf_append(&st->out, p, len);
				(void)nghttp2_session_resume_data(c->session, st->id);
			}
}

static int
server_timeout(struct h2_server *s)
{
	static const unsigned char heartbeat[] = {0, 0, 0, 1, 1};
	uint64_t now = sq_clock_ms();

	if (s->cfg.heartbeat_ms == 0)
		return SERVER_TICK_MS;
	if (now >= s->heartbeat_ms) {
		server_deliver(s, heartbeat, sizeof heartbeat, 0);
		s->heartbeat_ms = now + s->cfg.heartbeat_ms;
	}
	return (int)(s->heartbeat_ms - now);
}

static void *
server_run(void *arg)
{
	struct h2_server *s = arg;
	struct pollfd fds[SERVER_CONNS_MAX + 2];
	struct h2_conn *at[SERVER_CONNS_MAX];

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		nfds_t n = 2;
		int timeout = server_timeout(s);
		uint64_t wakes;

		SQ_LIST_FOR_EACH_SAFE(c, &s->conns, struct h2_conn, node) {
			server_conn_write(c);
			if (c->dead) {
				server_conn_free(c);
				continue;
			}
			assert(n < SERVER_CONNS_MAX);
			at[n - 2] = c;
			fds[n++] = (struct pollfd){
			    c->fd, (short)(POLLIN | (c->want_write ? POLLOUT : 0)), 0};
		}
		server_update_stats(s);
		fds[0] = (struct pollfd){s->listener, POLLIN, 0};
		fds[1] = (struct pollfd){s->wake, POLLIN, 0};
		pthread_mutex_unlock(&s->lock);
		(void)poll(fds, n, timeout);
		pthread_mutex_lock(&s->lock);
		if (fds[1].revents != 0)
			(void)!read(s->wake, &wakes, sizeof wakes);
		for (nfds_t i = 2; i < n; i++)
			if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
				server_conn_read(at[i - 2]);
		if (fds[0].revents != 0)
			server_accept(s);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

struct h2_server *
h2_server_start(const struct h2_server_cfg *cfg)
{
	struct h2_server *s = sq_xcalloc(1, sizeof *s);
	struct sockaddr_in a = {
	    .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons(cfg->port),
	};
	socklen_t len = sizeof a;
	int one = 1;
	struct sq_buf err = {0};
	nghttp2_session_callbacks *cb;

	(void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets that are closed */
	s->cfg = *cfg;
	sq_list_init(&s->conns);
	if (cfg->retry_after != NULL)
		(void)snprintf(s->query, sizeof s->query, "retry-after=%s", cfg->retry_after);
	if (cfg->token != NULL)
		(void)snprintf(s->token, sizeof s->token, "%s", cfg->token);
	if (cfg->cert != NULL) {
		s->tls = sq_tls_server(cfg->cert, cfg->key, &err);
		assert(s->tls != NULL);
	}
	(void)nghttp2_session_callbacks_new(&cb);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, server_on_begin);
	nghttp2_session_callbacks_set_on_header_callback(cb, server_on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, server_on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, server_on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, server_on_close);
	s->callbacks = cb;
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(s->listener, (struct sockaddr *)&a, sizeof a) != 0 ||
	    listen(s->listener, 64) != 0 ||
	    getsockname(s->listener, (struct sockaddr *)&a, &len) != 0)
		abort();
	s->port = ntohs(a.sin_port);
	(void)snprintf(s->address, sizeof s->address, "127.0.0.1:%u", s->port);
	pthread_mutex_init(&s->lock, NULL);
	if (pthread_create(&s->thread, NULL, server_run, s) != 0)
		abort();
	return s;
}

static void
server_lock(struct h2_server *s)
{
	pthread_mutex_lock(&s->lock);
}

static void
server_unlock(struct h2_server *s)
{
	uint64_t one = 1;

	(void)!write(s->wake, &one, sizeof one);
	pthread_mutex_unlock(&s->lock);
}

void
h2_server_stop(struct h2_server **sp)
{
	struct h2_server *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	server_lock(s);
	s->stop = true;
	server_unlock(s);
	pthread_join(s->thread, NULL);
	SQ_LIST_FOR_EACH_SAFE(c, &s->conns, struct h2_conn, node)
		server_conn_free(c);
	nghttp2_session_callbacks_del(s->callbacks);
	SSL_CTX_free(s->tls);
	close(s->listener);
	close(s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

uint16_t
h2_server_port(const struct h2_server *s)
{
	return s->port;
}

const char *
h2_server_address(const struct h2_server *s)
{
	return s->address;
}

struct h2_server_stats
h2_server_stats(struct h2_server *s)
{
	struct h2_server_stats stats;

	pthread_mutex_lock(&s->lock);
	stats = s->stats;
	pthread_mutex_unlock(&s->lock);
	return stats;
}

void
h2_server_deliver(struct h2_server *s, const void *p, size_t len, size_t piece)
{
	server_lock(s);
	server_deliver(s, p, len, piece);
	server_unlock(s);
}

void
h2_server_end_deliveries(struct h2_server *s, bool reset)
{
	server_lock(s);
	SQ_LIST_FOR_EACH(c, &s->conns, struct h2_conn, node)
		SQ_LIST_FOR_EACH(st, &c->streams, struct h2_stream, node) {
			if (!st->deliveries || !st->more)
				continue;
			st->more = false;
			if (reset)
				(void)nghttp2_submit_rst_stream(
				    c->session, 0, st->id, NGHTTP2_INTERNAL_ERROR);
			else
				(void)nghttp2_session_resume_data(c->session, st->id);
		}
	server_unlock(s);
}

void
h2_server_release(struct h2_server *s)
{
	server_lock(s);
	SQ_LIST_FOR_EACH(c, &s->conns, struct h2_conn, node)
		SQ_LIST_FOR_EACH(st, &c->streams, struct h2_stream, node)
			if (st->held) {
				st->held = false;
				server_answer(c, st, "200", NULL);
			}
	server_unlock(s);
}

void
h2_server_goaway(struct h2_server *s)
{
	server_lock(s);
	SQ_LIST_FOR_EACH(c, &s->conns, struct h2_conn, node)
		(void)nghttp2_submit_goaway(c->session, 0,
		    nghttp2_session_get_last_proc_stream_id(c->session), NGHTTP2_NO_ERROR, NULL, 0);
	server_unlock(s);
}

void
h2_server_cut(struct h2_server *s)
{
	server_lock(s);
	SQ_LIST_FOR_EACH(c, &s->conns, struct h2_conn, node)
		c->dead = true;
	server_unlock(s);
}

void
h2_server_silence(struct h2_server *s)
{
	server_lock(s);
	s->cfg.heartbeat_ms = 0;
	server_unlock(s);
}

void
h2_server_answers(struct h2_server *s, unsigned status, const char *query)
{
	server_lock(s);
	s->cfg.deliveries_status = status;
	(void)snprintf(s->query, sizeof s->query, "%s", query != NULL ? query : "");
	server_unlock(s);
}

void
h2_server_expect_token(struct h2_server *s, const char *token)
{
	server_lock(s);
	(void)snprintf(s->token, sizeof s->token, "%s", token);
	server_unlock(s);
}
