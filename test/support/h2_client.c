#include "h2_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mem.h"

#define H2_WINDOW (1 << 20)

struct h2_client {
	int fd;
	SSL *ssl; /* NULL: clear text */
	nghttp2_session *session;
	struct h2_response *responses;
	struct sq_buf out;
	char *token;
	const char *version; /* NULL: not said */
	bool lengths;        /* of bodies are said */
	const char *trailer; /* the name of one; NULL: there is none */
	unsigned closes;
	bool lost, goaway;
};

static int
h2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
	struct h2_response *r = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	const struct {
		const char *name;
		char *to;
		size_t cap;
	} kept[] = {
	    {"sqmqos-conflict", r->conflict, sizeof r->conflict},
	    {"sqmqos-last", r->last, sizeof r->last},
	    {"retry-after", r->retry_after, sizeof r->retry_after},
	    {"sqmqos-reason", r->reason, sizeof r->reason},
	    {"allow", r->allow, sizeof r->allow},
	    {"www-authenticate", r->authenticate, sizeof r->authenticate},
	    {"content-type", r->type, sizeof r->type},
	    {"sqmqos-owner", r->owner, sizeof r->owner},
	    {"sqmqos-standby", r->standby, sizeof r->standby},
	    {"sqmqos-epoch", r->owner_epoch, sizeof r->owner_epoch},
	    {"sqmqos-store", r->store, sizeof r->store},
	    {"location", r->location, sizeof r->location},
	};

	(void)flags;
	(void)user;
	if (name_len == 7 && memcmp(name, ":status", 7) == 0)
		r->status = (unsigned)strtoul((const char *)value, NULL, 10);
	for (size_t i = 0; i < SQ_ARRAY_LEN(kept); i++)
		if (strlen(kept[i].name) == name_len && memcmp(name, kept[i].name, name_len) == 0)
			snprintf(
			    kept[i].to, kept[i].cap, "%.*s", (int)value_len, (const char *)value);
	return 0;
}

static int
h2_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
    void *user)
{
	struct h2_response *r = nghttp2_session_get_stream_user_data(session, id);

	(void)flags;
	(void)user;
	if (r != NULL)
		sq_buf_append(&r->body, data, len);
	return 0;
}

static int
h2_on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
	struct h2_response *r = nghttp2_session_get_stream_user_data(session, id);
	struct h2_client *c = user;

	if (r == NULL)
		return 0;
	r->closed = true;
	r->error = error;
	r->order = ++c->closes;
	return 0;
}

static int
h2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2_client *c = user;

	(void)session;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		c->goaway = true;
	return 0;
}

static nghttp2_nv
h2_nv(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
	    strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static ssize_t
h2_upload(nghttp2_session *session, int32_t id, uint8_t *to, size_t cap, uint32_t *flags,
    nghttp2_data_source *source, void *user)
{
	struct h2_response *r = source->ptr;
	size_t n = r->upload_left < cap ? r->upload_left : cap;

	const struct h2_client *c = user;

	memcpy(to, r->upload, n);
	r->upload = (const char *)r->upload + n;
	r->upload_left -= n;
	if (r->upload_left == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (r->upload_left == 0 && c->trailer != NULL) {
		nghttp2_nv nv = h2_nv(c->trailer, c->token != NULL ? c->token : "");

		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_submit_trailer(session, id, &nv, 1);
	}
	return (ssize_t)n;
}

static nghttp2_session *
h2_session(struct h2_client *c)
{
	nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW};
	nghttp2_session_callbacks *cb;
	nghttp2_session *s;

	nghttp2_session_callbacks_new(&cb);
	nghttp2_session_callbacks_set_on_header_callback(cb, h2_on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, h2_on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, h2_on_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, h2_on_frame);
	nghttp2_session_client_new(&s, cb, c);
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(s, NGHTTP2_FLAG_NONE, &window, 1);
	nghttp2_session_set_local_window_size(s, NGHTTP2_FLAG_NONE, 0, H2_WINDOW);
	return s;
}

struct h2_client *
h2_open(unsigned port, SSL_CTX *tls)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct h2_client *c = sq_xcalloc(1, sizeof *c);
	int one = 1;

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(c->fd, (struct sockaddr *)&sa, sizeof sa) != 0)
		goto fail;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (tls != NULL) {
		c->ssl = SSL_new(tls);
		SSL_set_fd(c->ssl, c->fd);
		SSL_set_mode(
		    c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
		if (SSL_connect(c->ssl) != 1)
			goto fail;
	}
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	c->session = h2_session(c);
	return c;
fail:
	SSL_free(c->ssl);
	close(c->fd);
	free(c);
	return NULL;
}

void
h2_close(struct h2_client **cp)
{
	struct h2_client *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	nghttp2_session_del(c->session);
	SSL_free(c->ssl);
	close(c->fd);
	while (c->responses != NULL) {
		struct h2_response *r = c->responses;

		c->responses = r->next;
		sq_buf_fini(&r->body);
		free(r);
	}
	sq_buf_fini(&c->out);
	free(c->token);
	free(c);
}

void
h2_token(struct h2_client *c, const char *token)
{
	free(c->token);
	c->token = NULL;
	if (token != NULL) {
		c->token = sq_xmalloc(strlen(token) + sizeof "Bearer ");
		sprintf(c->token, "Bearer %s", token);
	}
}

void
h2_version(struct h2_client *c, const char *version)
{
	c->version = version;
}

void
h2_trailer(struct h2_client *c, const char *name)
{
	c->trailer = name;
}

void
h2_lengths(struct h2_client *c)
{
	c->lengths = true;
}

struct h2_response *
h2_start(struct h2_client *c, const char *method, const char *path, const void *body, size_t len)
{
	struct h2_response *r = sq_xcalloc(1, sizeof *r);
	nghttp2_data_provider upload = {.source = {.ptr = r}, .read_callback = h2_upload};
	char length[24];
	nghttp2_nv nv[7] = {h2_nv(":method", method),
	    h2_nv(":scheme", c->ssl != NULL ? "https" : "http"), h2_nv(":authority", "localhost"),
	    h2_nv(":path", path)};
	size_t n = 4;

	if (c->token != NULL)
		nv[n++] = h2_nv("authorization", c->token);
	if (c->version != NULL)
		nv[n++] = h2_nv("sqmqos-link", c->version);
	if (c->lengths && body != NULL) {
		snprintf(length, sizeof length, "%zu", len);
		nv[n++] = h2_nv("content-length", length);
	}
	r->upload = body;
	r->upload_left = len;
	r->stream = nghttp2_submit_request(
	    c->session, NULL, nv, n, body != NULL ? &upload : NULL, r);
	r->next = c->responses;
	c->responses = r;
	h2_write(c);
	return r;
}

void
h2_reset(struct h2_client *c, struct h2_response *r)
{
	nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, r->stream, NGHTTP2_CANCEL);
	h2_write(c);
}

static ssize_t
h2_io(struct h2_client *c, void *in, const void *out, size_t len)
{
	ssize_t n;

	if (c->ssl != NULL) {
		int rc = in != NULL ? SSL_read(c->ssl, in, (int)len)
				    : SSL_write(c->ssl, out, (int)len);
		int why = rc > 0 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, rc);

		if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
			return 0;
		c->lost |= rc <= 0;
		return rc > 0 ? rc : 0;
	}
	n = in != NULL ? recv(c->fd, in, len, 0) : send(c->fd, out, len, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	c->lost |= n < 0 || (n == 0 && in != NULL);
	return n > 0 ? n : 0;
}

void
h2_write(struct h2_client *c)
{
	const uint8_t *p;
	ssize_t n;

	while (!c->lost) {
		while (sq_buf_len(&c->out) < 65536 &&
		    (n = nghttp2_session_mem_send(c->session, &p)) > 0)
			sq_buf_append(&c->out, p, (size_t)n);
		if (sq_buf_len(&c->out) == 0)
			return;
		n = h2_io(c, NULL, sq_buf_data(&c->out), sq_buf_len(&c->out));
		if (n == 0)
			return;
		sq_buf_drain(&c->out, (size_t)n);
	}
}

void
h2_turn(struct h2_client *c, int ms)
{
	unsigned char in[16384];
	ssize_t n;
	struct pollfd p = {c->fd, POLLIN, 0};

	h2_write(c);
	if (sq_buf_len(&c->out) > 0)
		p.events |= POLLOUT;
	if (c->lost || ((c->ssl == NULL || SSL_pending(c->ssl) == 0) && poll(&p, 1, ms) <= 0))
		return;
	while (!c->lost && (n = h2_io(c, in, NULL, sizeof in)) > 0)
		if (nghttp2_session_mem_recv(c->session, in, (size_t)n) < 0)
			c->lost = true;
	h2_write(c);
}

bool
h2_finish(struct h2_client *c, struct h2_response *r)
{
	uint64_t until = sq_clock_ms() + H2_WAIT_MS;

	while (!r->closed && !c->lost && sq_clock_ms() < until)
		h2_turn(c, 50);
	return r->closed;
}

struct h2_response *
h2_ask(struct h2_client *c, const char *method, const char *path, const void *body, size_t len)
{
	struct h2_response *r = h2_start(c, method, path, body, len);

	h2_finish(c, r);
	return r;
}

bool
h2_body(struct h2_client *c, struct h2_response *r, size_t n)
{
	uint64_t until = sq_clock_ms() + H2_WAIT_MS;

	while (sq_buf_len(&r->body) < n && !r->closed && !c->lost && sq_clock_ms() < until)
		h2_turn(c, 50);
	return sq_buf_len(&r->body) >= n;
}

bool
h2_lost(struct h2_client *c)
{
	uint64_t until = sq_clock_ms() + H2_WAIT_MS;

	while (!c->lost && sq_clock_ms() < until)
		h2_turn(c, 50);
	return c->lost;
}

bool
h2_is_lost(const struct h2_client *c)
{
	return c->lost;
}

bool
h2_goaway(const struct h2_client *c)
{
	return c->goaway;
}
