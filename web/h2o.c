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

#include "core/mem.h"

_Static_assert(H2O_LIBRARY_VERSION_MAJOR == 0 && H2O_LIBRARY_VERSION_MINOR == 13,
    "look again at what this version of h2o keeps");

enum { H2O_CHUNK_SIZE = 4096 };

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

/* Bytes of a request's fields, which h2o keeps in the request's pool. */
static size_t
h2o_head_held(const h2o_req_t *req)
{
	size_t size = 0;

	for (size_t i = 0; i < req->headers.size; i++)
		size += req->headers.entries[i].name->len + req->headers.entries[i].value.len;
	return size;
}

/* Bytes of a stream with a complete answer: the pool of its request has the answer's body in one piece,
 * until all of it is sent, and small things in chunks of a page. */
static size_t
h2o_answer_held(const h2o_http2_stream_t *stream)
{
	const struct h2o_chunk *chunk = (const void *)stream->req.pool.chunks;
	size_t size = sizeof *stream + stream->req.bytes_sent;

	for (; chunk != NULL; chunk = chunk->next)
		size += H2O_CHUNK_SIZE;
	for (size_t i = 0; i < stream->_data.size; i++)
		size += stream->_data.entries[i].len;
	return size;
}

static void
h2o_stream_held(const h2o_http2_stream_t *stream, struct sq_h2o_held *held)
{
	held->bytes += sizeof *stream + h2o_buffer_held(stream->_req_body) +
	    stream->req.headers.capacity * sizeof(h2o_header_t);
	if (stream->state == H2O_HTTP2_STREAM_STATE_SEND_BODY_IS_FINAL)
		held->answers += h2o_answer_held(stream);
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

size_t
sq_h2o_moving(h2o_socket_t *sock, struct sq_h2o_moving *out, size_t max)
{
	const h2o_http2_conn_t *conn = sock->data;
	size_t n = 0;

	for (khiter_t i = 0; i != kh_end(conn->streams) && n < max; i++) {
		const h2o_http2_stream_t *s;
		bool going;

		if (!kh_exist(conn->streams, i))
			continue;
		s = kh_val(conn->streams, i);
		going = s->state == H2O_HTTP2_STREAM_STATE_SEND_BODY_IS_FINAL;
		if (going || s->state == H2O_HTTP2_STREAM_STATE_RECV_HEADERS ||
		    s->state == H2O_HTTP2_STREAM_STATE_RECV_BODY)
			out[n++] = (struct sq_h2o_moving){s->stream_id, going};
	}
	return n;
}

uint32_t
sq_h2o_stream(const h2o_req_t *req)
{
	return SQ_CONTAINER_OF(req, h2o_http2_stream_t, req)->stream_id;
}

static size_t
h2o_body_size(const h2o_http2_stream_t *stream)
{
	if (stream->_expected_content_length != SIZE_MAX)
		return stream->_expected_content_length;
	return stream->_req_body != NULL ? stream->_req_body->size : 0;
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
	out[at] = (struct sq_h2o_open){stream->stream_id, &stream->req,
	    stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY, h2o_body_size(stream)};
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

bool
sq_h2o_coming(h2o_socket_t *sock, uint32_t after, size_t size, struct sq_h2o_open *out)
{
	const h2o_http2_conn_t *conn = sock->data;
	size_t n = 0;

	if (conn->state >= H2O_HTTP2_CONN_STATE_IS_CLOSING)
		return false;
	for (khiter_t i = 0; i != kh_end(conn->streams); i++) {
		const h2o_http2_stream_t *s;

		if (!kh_exist(conn->streams, i))
			continue;
		s = kh_val(conn->streams, i);
		if (s->stream_id > after && s->state == H2O_HTTP2_STREAM_STATE_RECV_BODY &&
		    h2o_body_size(s) > size)
			n = h2o_open_put(out, n, 1, s);
	}
	return n > 0;
}

/* NULL: there is none. */
static h2o_http2_stream_t *
h2o_stream(const h2o_http2_conn_t *conn, uint32_t id)
{
	for (khiter_t i = 0; i != kh_end(conn->streams); i++)
		if (kh_exist(conn->streams, i) && kh_val(conn->streams, i)->stream_id == id)
			return kh_val(conn->streams, i);
	return NULL;
}

/* As h2o does with a request that has come whole. */
bool
sq_h2o_cut(h2o_socket_t *sock, uint32_t id)
{
	h2o_http2_conn_t *conn = sock->data;
	h2o_http2_stream_t *stream = h2o_stream(conn, id);
	ssize_t size = 0;

	assert(stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY);
	if (stream->_req_body != NULL)
		h2o_buffer_dispose(&stream->_req_body);
	stream->_req_body = NULL;
	stream->req.entity = h2o_iovec_init(NULL, 0);
	if (conn->pull_stream_ids.max_processed < id)
		conn->pull_stream_ids.max_processed = id;
	h2o_http2_stream_set_state(conn, stream, H2O_HTTP2_STREAM_STATE_REQ_PENDING);
	h2o_http2_stream_set_state(conn, stream, H2O_HTTP2_STREAM_STATE_SEND_HEADERS);
	h2o_process_request(&stream->req);
	for (size_t i = 0; i < stream->_data.size; i++)
		size += (ssize_t)stream->_data.entries[i].len;
	return h2o_http2_window_get_window(&conn->_write.window) > size &&
	    h2o_http2_window_get_window(&stream->output_window) > size;
}

bool
sq_h2o_cut_ends(h2o_socket_t *sock, uint32_t id)
{
	h2o_http2_conn_t *conn = sock->data;
	const h2o_http2_stream_t *stream = h2o_stream(conn, id);

	if (conn->state >= H2O_HTTP2_CONN_STATE_IS_CLOSING)
		return true;
	if (stream != NULL && stream->state != H2O_HTTP2_STREAM_STATE_END_STREAM &&
	    (stream->state != H2O_HTTP2_STREAM_STATE_SEND_BODY_IS_FINAL || stream->_data.size > 0 ||
		conn->_write.buf->size > 0))
		return false; /* not all of it is with the socket */
	h2o_http2__encode_rst_stream_frame(&conn->_write.buf, id, 0); /* NO_ERROR */
	h2o_http2_conn_request_write(conn);
	return true;
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
sq_h2o_leave(h2o_socket_t *sock)
{
	h2o_http2_conn_t *conn = sock->data;

	if (conn->state >= H2O_HTTP2_CONN_STATE_HALF_CLOSED)
		return;
	h2o_http2_encode_goaway_frame(&conn->_write.buf, conn->pull_stream_ids.max_open,
	    H2O_HTTP2_ERROR_NONE, (h2o_iovec_t){NULL, 0});
	h2o_http2_conn_request_write(conn);
	conn->state = H2O_HTTP2_CONN_STATE_HALF_CLOSED; /* as h2o's own shutdown does */
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
