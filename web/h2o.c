/* The end of an h2o thread, and the insides of a connection; see web/h2o.h.
 *
 * h2o 2.2.5 recycles three kinds of memory in thread-local lists that nobody
 * can reach once the thread has ended: chunks of pools, socket buffers and the
 * write buffers of HTTP/2 (80 KiB each).  Only the second list is public.  The
 * first is emptied by taking from it, through a pool; the third hangs on every
 * HTTP/2 connection, so one is made for the purpose.  All this holds for one
 * version of the library, which is asserted. */
#include "web/h2o.h"

#include <assert.h>
#include <h2o/http2.h>
#include <h2o/http2_internal.h>
#include <h2o/version.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(H2O_LIBRARY_VERSION_MAJOR == 0 && H2O_LIBRARY_VERSION_MINOR == 13,
    "look again at what this version of h2o keeps");

/* h2o's chunk of a pool begins with the pointer to the next. */
struct h2o_chunk {
	struct h2o_chunk *next;
};

static void
h2o_drain_list(h2o_mem_recycle_t *list)
{
	while (list->cnt != 0)
		free(h2o_mem_alloc_recycle(list, 0)); /* the size counts only for new ones */
}

static void
h2o_drain_pool_chunks(void)
{
	enum { KEPT = 16, PER_CHUNK = 4, PIECE = 1000 }; /* of chunks of 4,080 bytes */
	struct h2o_chunk *chunk, *next;
	h2o_mem_pool_t pool;

	h2o_mem_init_pool(&pool);
	for (int i = 0; i < KEPT * PER_CHUNK; i++)
		(void)h2o_mem_alloc_pool(&pool, PIECE);
	for (chunk = (void *)pool.chunks; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
}

/* The prototype that a buffer came from; an empty one is the prototype's own. */
static h2o_buffer_prototype_t *
h2o_prototype_of(h2o_buffer_t *buf)
{
	return buf->bytes != NULL
	    ? buf->_prototype
	    : H2O_STRUCT_FROM_MEMBER(h2o_buffer_prototype_t, _initial_buf, buf);
}

static void
h2o_drain_http2_buffers(h2o_context_t *ctx)
{
	h2o_accept_ctx_t accept_ctx = {.ctx = ctx, .hosts = ctx->globalconf->hosts};
	h2o_buffer_prototype_t *prototype;
	h2o_http2_conn_t *conn;
	struct timeval now = {0};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	h2o_http2_accept(&accept_ctx,
	    h2o_evloop_socket_create(ctx->loop, pair[0], H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION),
	    now);
	conn = H2O_STRUCT_FROM_MEMBER(h2o_http2_conn_t, _conns, ctx->http2._conns.next);
	prototype = h2o_prototype_of(conn->_write.buf);
	close(pair[1]);
	while (!h2o_linklist_is_empty(&ctx->http2._conns))
		h2o_evloop_run(ctx->loop, 1000);
	h2o_drain_list(&prototype->allocator);
}

void
sq_h2o_queue_free(h2o_multithread_queue_t **qp)
{
	h2o_multithread_destroy_queue(*qp);
	free(*qp);
	*qp = NULL;
}

void
sq_h2o_context_fini(h2o_context_t *ctx)
{
	h2o_multithread_queue_t *queue = ctx->queue;

	assert(h2o_linklist_is_empty(&ctx->http2._conns));
	h2o_timeout_unlink(&ctx->http2._graceful_shutdown_timeout);
	h2o_context_dispose(ctx); /* destroys the queue and leaves its memory */
	free(queue);
}

void
sq_h2o_thread_fini(h2o_loop_t *loop)
{
	h2o_globalconf_t conf;
	h2o_context_t ctx;

	h2o_config_init(&conf);
	(void)h2o_config_register_host(&conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	h2o_context_init(&ctx, loop, &conf);
	h2o_drain_http2_buffers(&ctx);
	sq_h2o_context_fini(&ctx);
	h2o_config_dispose(&conf);
	h2o_drain_list(&h2o_socket_buffer_prototype.allocator);
	h2o_drain_pool_chunks();
}

/* How h2o's state of TLS begins. */
struct h2o_ssl {
	SSL_CTX *ctx;
	SSL *ssl;
};

bool
sq_h2o_closing(const h2o_socket_t *sock)
{
	const struct h2o_ssl *tls = (const void *)sock->ssl;

	return tls != NULL && tls->ssl != NULL &&
	    (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN) != 0;
}

static size_t
h2o_buffer_held(const h2o_buffer_t *b)
{
	return b != NULL && b->bytes != NULL ? b->capacity : 0;
}

/* Makes '*first' that stream, if it is the first one. */
static void
h2o_first(uint32_t *first, const h2o_http2_stream_t *stream)
{
	if (*first == 0 || stream->stream_id < *first)
		*first = stream->stream_id;
}

/* Bytes of a request's fields, which h2o keeps in the request's pool. */
static size_t
h2o_head_held(const h2o_req_t *req)
{
	size_t size = 0;

	for (size_t i = 0; i < req->headers.size; i++)
		size += req->headers.entries[i].name->len + req->headers.entries[i].value.len;
	return size;
}

static void
h2o_stream_held(const h2o_http2_stream_t *stream, struct sq_h2o_held *held)
{
	held->bytes += sizeof *stream + h2o_buffer_held(stream->_req_body) +
	    stream->req.headers.capacity * sizeof(h2o_header_t);
	if (stream->state == H2O_HTTP2_STREAM_STATE_SEND_BODY_IS_FINAL)
		h2o_first(&held->going, stream);
	if (stream->state == H2O_HTTP2_STREAM_STATE_RECV_HEADERS ||
	    stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY)
		h2o_first(&held->coming, stream);
	if (stream->state > H2O_HTTP2_STREAM_STATE_SEND_HEADERS)
		return;
	held->open += stream->state != H2O_HTTP2_STREAM_STATE_IDLE; /* a PRIORITY may make one */
	held->body += stream->_req_body != NULL ? stream->_req_body->size : 0;
	held->heads += h2o_head_held(&stream->req);
}

struct sq_h2o_held
sq_h2o_held(h2o_socket_t *sock)
{
	const h2o_http2_conn_t *conn = sock->data;
	struct sq_h2o_held held = {0};

	held.bytes = h2o_buffer_held(sock->input) + h2o_buffer_held(conn->_headers_unparsed) +
	    conn->_write.buf->size;
	for (khiter_t i = 0; i != kh_end(conn->streams); i++)
		if (kh_exist(conn->streams, i))
			h2o_stream_held(kh_val(conn->streams, i), &held);
	return held;
}

/* Puts it among the 'n' that there are, the first ones first. */
static size_t
h2o_open_put(struct sq_h2o_open *out, size_t n, size_t max, const h2o_http2_stream_t *stream)
{
	size_t at = n;

	while (at > 0 && out[at - 1].stream > stream->stream_id)
		at--;
	if (at == max)
		return n;
	n = n < max ? n + 1 : max;
	memmove(out + at + 1, out + at, (n - at - 1) * sizeof *out);
	out[at] = (struct sq_h2o_open){
	    stream->stream_id, &stream->req, stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY};
	return n;
}

size_t
sq_h2o_open(h2o_socket_t *sock, uint32_t after, struct sq_h2o_open *out, size_t max)
{
	const h2o_http2_conn_t *conn = sock->data;
	size_t n = 0;

	for (khiter_t i = 0; i != kh_end(conn->streams); i++) {
		const h2o_http2_stream_t *s;

		if (!kh_exist(conn->streams, i))
			continue;
		s = kh_val(conn->streams, i);
		if (s->stream_id > after && s->state >= H2O_HTTP2_STREAM_STATE_RECV_BODY &&
		    s->state <= H2O_HTTP2_STREAM_STATE_SEND_HEADERS)
			n = h2o_open_put(out, n, max, s);
	}
	return n;
}

uint64_t
sq_h2o_stream_errors(const h2o_context_t *ctx)
{
	uint64_t n = 0;

	for (size_t i = 0; i < H2O_HTTP2_ERROR_MAX; i++)
		n += ctx->http2.events.protocol_level_errors[i];
	return n;
}

void
sq_h2o_calm(h2o_socket_t *sock, const char *text)
{
	h2o_http2_conn_t *conn = sock->data;

	h2o_buffer_consume(&sock->input, sock->input->size);
	if (conn->state >= H2O_HTTP2_CONN_STATE_IS_CLOSING)
		return;
	h2o_http2_encode_goaway_frame(&conn->_write.buf, conn->pull_stream_ids.max_open,
	    H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM, h2o_iovec_init(text, strlen(text)));
	h2o_http2_conn_request_write(conn);
	conn->state = H2O_HTTP2_CONN_STATE_IS_CLOSING; /* as h2o's own errors do */
}

bool
sq_h2o_pending(const h2o_loop_t *loop)
{
	return loop->_pending_as_client != NULL || loop->_pending_as_server != NULL;
}

/* Over HTTP/1 the head of the request stands at the begin of the socket's input until its answer is
 * written, a body behind it; over HTTP/2 h2o takes :authority, once, and no Host. */
bool
sq_h2o_one_host(const h2o_req_t *req)
{
	static const char name[] = "\nhost:";
	const size_t name_len = sizeof name - 1;
	const h2o_buffer_t *in = req->conn->callbacks->get_socket(req->conn)->input;
	unsigned n = 0;

	if (req->version >= 0x200)
		return true;
	for (size_t i = 0; i + name_len <= in->size; i++) {
		if (in->bytes[i] != '\n')
			continue;
		if (in->bytes[i + 1] == '\n' || memcmp(in->bytes + i + 1, "\r\n", 2) == 0)
			break;
		n += strncasecmp(in->bytes + i, name, name_len) == 0;
	}
	return n == 1 || (n == 0 && req->version < 0x101);
}
