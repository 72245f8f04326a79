/* The calls of nghttp2, and those to it; see net/h2/h2.h. */
#include "net/h2/h2.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/link/frame.h"

enum {
	H2_ANSWER_MAX = 4 * 1024 * 1024, /* bytes of an answer: an Attached with 65535 ids */
	H2_STREAM_WINDOW = 4 * 1024 * 1024,
	H2_CONN_WINDOW = 16 * 1024 * 1024,
	H2_FRAME_MAX = 256 * 1024, /* they are taken piece by piece */
	H2_MISDIRECTED = 421,      /* docs/link.md, "Several brokers" */
	H2_BODY_KEEP = 256,        /* bytes of answer buffer that an unused stream keeps */
};

/* A header whose parts outlive the frame, so that nghttp2 need not copy them.  A
 * bearer token is the exception by nghttp2's choice: it is never indexed. */
#define H2_NV(n, v, len) \
	((nghttp2_nv){(uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), sizeof(n) - 1, len, \
	    NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE})

struct sq_h2_env {
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
};

/* A request in flight; req is NULL once it is answered. */
struct h2_stream {
	struct sq_list node; /* of 'live' or 'spare' */
	int32_t id;
	struct sq_request *req;
	struct sq_block *auth;       /* the headers point to it */
	size_t total, offered, sent; /* bytes of the body */
	struct sq_answer answer;
	struct sq_buf body;
};

struct sq_h2 {
	struct sq_h2_cfg cfg;
	const struct sq_h2_events *events;
	void *owner;
	nghttp2_session *session;
	struct sq_list live, spare; /* struct h2_stream */
	unsigned flying;            /* those of 'live' */
	bool stopped;
	int32_t deliveries_id; /* -1: not asked for yet */
	struct sq_block *deliveries_auth;
	struct sq_answer opened; /* of the deliveries */
	struct sq_where place;   /* of its header */
	bool told;               /* the owner, of 'opened' */
	char complaint[160];
};

/* --- streams --- */

static struct h2_stream *
h2_stream_new(struct sq_h2 *h, struct sq_request *req)
{
	struct h2_stream *s = SQ_LIST_FIRST(&h->spare, struct h2_stream, node);

	if (s == NULL) {
		s = sq_xcalloc(1, sizeof *s);
		sq_list_init(&s->node);
	}
	sq_list_remove(&s->node);
	sq_list_push_back(&h->live, &s->node);
	h->flying++;
	s->req = req;
	/* nghttp2 never indexes the header, so only a request that binds an identity has it. */
	s->auth = req->method == SQ_PUT ? sq_bearer_header(h->cfg.token) : NULL;
	s->total = s->offered = s->sent = 0;
	for (unsigned i = 0; i < req->n_body; i++)
		s->total += req->body[i].iov_len;
	s->answer = (struct sq_answer){0};
	return s;
}

static void
h2_stream_free(struct sq_h2 *h, struct h2_stream *s)
{
	assert(s->req == NULL && h->flying > 0);
	sq_list_remove(&s->node);
	sq_list_push_front(&h->spare, &s->node);
	h->flying--;
	sq_bearer_release(&s->auth);
	sq_buf_drain(&s->body, sq_buf_len(&s->body));
	sq_buf_trim(&s->body, H2_BODY_KEEP);
	h->events->room(h->owner);
}

/* Answers the request of a stream, with status 0 unless 'complete'. */
static void
h2_stream_answer(struct sq_h2 *h, struct h2_stream *s, bool complete)
{
	struct sq_request *req = s->req;
	struct sq_answer a = {0};

	if (req == NULL)
		return;
	s->req = NULL;
	if (complete) {
		a = s->answer;
		a.body = sq_buf_data(&s->body);
		a.len = sq_buf_len(&s->body);
	}
	a.version = h->opened.version;
	req->done(req, &a);
}

/* --- requests --- */

/* How much of the body the next DATA frame has; the bytes follow in h2_send_data. */
static ssize_t
h2_read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t len, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
	struct h2_stream *s = source->ptr;
	size_t left = s->total - s->offered;

	(void)session, (void)id, (void)to, (void)arg;
	if (s->req == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* answered early, being reset */
	if (left <= len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	else
		left = len;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	s->offered += left;
	return (ssize_t)left;
}

static int
h2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
    nghttp2_data_source *source, void *arg)
{
	struct sq_h2 *h = arg;
	struct h2_stream *s = source->ptr;
	size_t skip = s->sent;

	(void)session;
	assert(frame->data.padlen == 0 && s->req != NULL);
	sq_wire_put(h->cfg.wire, head, 9);
	s->sent += len;
	for (unsigned i = 0; i < s->req->n_body && len > 0; i++) {
		const struct iovec *v = &s->req->body[i];
		size_t from = skip < v->iov_len ? skip : v->iov_len;
		size_t n = v->iov_len - from < len ? v->iov_len - from : len;

		sq_wire_put_ref(h->cfg.wire, (unsigned char *)v->iov_base + from, n);
		skip -= from;
		len -= n;
	}
	return 0;
}

static size_t
h2_headers(const struct sq_h2 *h, nghttp2_nv *nv, const struct sq_block *auth)
{
	size_t n = 0;

	if (h->cfg.secure)
		nv[n++] = H2_NV(":scheme", "https", 5);
	else
		nv[n++] = H2_NV(":scheme", "http", 4);
	nv[n++] = H2_NV(":authority", h->cfg.authority, strlen(h->cfg.authority));
	if (auth != NULL)
		nv[n++] = H2_NV("authorization", auth->bytes, auth->size);
	return n;
}

static int
h2_submit(struct sq_h2 *h, struct h2_stream *s)
{
	nghttp2_data_provider body = {.source.ptr = s, .read_callback = h2_read_body};
	nghttp2_nv nv[5];
	size_t n = 2;

	switch (s->req->method) {
	case SQ_PUT:
		nv[0] = H2_NV(":method", "PUT", 3);
		break;
	case SQ_GET:
		nv[0] = H2_NV(":method", "GET", 3);
		break;
	case SQ_POST:
		nv[0] = H2_NV(":method", "POST", 4);
		break;
	}
	nv[1] = H2_NV(":path", s->req->path, strlen(s->req->path));
	n += h2_headers(h, nv + n, s->auth);
	s->id = nghttp2_submit_request(h->session, NULL, nv, n, s->total > 0 ? &body : NULL, s);
	return s->id < 0 ? s->id : 0;
}

static int
h2_ask_deliveries(struct sq_h2 *h)
{
	nghttp2_nv nv[6] = {
	    H2_NV(":method", "GET", 3),
	    H2_NV(":path", h->cfg.deliveries, strlen(h->cfg.deliveries)),
	};
	size_t n = 2;

	static_assert(SQ_LINK_VERSION == 3, "the header below says the version");
	h->deliveries_auth = sq_bearer_header(h->cfg.token);
	n += h2_headers(h, nv + n, h->deliveries_auth);
	nv[n++] = H2_NV("sqmqos-link", "3", 1);
	h->deliveries_id = nghttp2_submit_request(h->session, NULL, nv, n, NULL, NULL);
	return h->deliveries_id < 0 ? h->deliveries_id : 0;
}

/* --- called by nghttp2 --- */

/* The answer that a frame of 'id' belongs to; NULL: none is awaited. */
static struct sq_answer *
h2_answer(struct sq_h2 *h, int32_t id)
{
	struct h2_stream *s;

	if (id == h->deliveries_id)
		return &h->opened;
	s = nghttp2_session_get_stream_user_data(h->session, id);
	return s != NULL ? &s->answer : NULL;
}

static int
h2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
	struct sq_answer *a = h2_answer(arg, frame->hd.stream_id);

	(void)session, (void)flags;
	if (a != NULL)
		sq_answer_header(a, name, name_len, value, len);
	return 0;
}

static int
h2_on_data(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t len, void *arg)
{
	struct sq_h2 *h = arg;
	struct h2_stream *s;

	(void)flags;
	if (h->stopped)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (id == h->deliveries_id) {
		if (h->opened.status == 200) /* else a problem text: the header has said it */
			h->events->deliveries(h->owner, p, len);
		return h->stopped ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
	}
	s = nghttp2_session_get_stream_user_data(session, id);
	if (s == NULL || s->req == NULL)
		return 0;
	if (sq_buf_len(&s->body) + len > H2_ANSWER_MAX) {
		h->events->broken(h->owner, "an answer above the limit");
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	sq_buf_append(&s->body, p, len);
	return 0;
}

/* The head of the deliveries response. */
static void
h2_on_opened(struct sq_h2 *h)
{
	if (h->stopped || h->told || h->opened.status < 200)
		return;
	h->told = true;
	sq_bearer_release(&h->deliveries_auth);
	h->events->opened(h->owner, &h->opened);
}

/* The whole answer is there.  If the broker gave it before it had the whole body
 * the caller gets its memory back now, and the rest is not sent. */
static void
h2_on_end(struct sq_h2 *h, int32_t id)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(h->session, id);

	if (s == NULL)
		return;
	if (s->answer.status == H2_MISDIRECTED) { /* answered with 0, as the link is lost */
		h->events->lost(h->owner, "the broker owns the state no more");
		return;
	}
	if (s->sent < s->total)
		(void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
	h2_stream_answer(h, s, true);
}

static int
h2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct sq_h2 *h = arg;
	int rc = 0;

	(void)session;
	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		if (h->deliveries_id < 0 && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
			rc = h2_ask_deliveries(h);
		break;
	case NGHTTP2_GOAWAY:
		if (frame->goaway.error_code != NGHTTP2_NO_ERROR && h->complaint[0] == '\0')
			(void)snprintf(h->complaint, sizeof h->complaint,
			    "the broker closed HTTP/2: %s",
			    nghttp2_http2_strerror(frame->goaway.error_code));
		h->events->goaway(h->owner);
		break;
	case NGHTTP2_HEADERS:
		if (frame->hd.stream_id == h->deliveries_id)
			h2_on_opened(h);
		/* fall through */
	case NGHTTP2_DATA:
		if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
		    frame->hd.stream_id != h->deliveries_id)
			h2_on_end(h, frame->hd.stream_id);
		break;
	default:
		break;
	}
	return rc != 0 || h->stopped ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int
h2_on_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct sq_h2 *h = arg;
	struct h2_stream *s;

	if (id == h->deliveries_id) {
		h->events->closed(
		    h->owner, code != NGHTTP2_NO_ERROR ? nghttp2_http2_strerror(code) : NULL);
		return 0;
	}
	s = nghttp2_session_get_stream_user_data(session, id);
	if (s == NULL)
		return 0;
	if (s->req != NULL)
		SQ_DEBUG(h->cfg.name, "stream %d reset: %s", id, nghttp2_http2_strerror(code));
	h2_stream_answer(h, s, false);
	h2_stream_free(h, s);
	return 0;
}

/* nghttp2's own words on the peer's mistake. */
static int
h2_on_error(nghttp2_session *session, int code, const char *msg, size_t len, void *arg)
{
	struct sq_h2 *h = arg;

	(void)session, (void)code;
	if (!h->stopped && h->complaint[0] == '\0')
		(void)snprintf(h->complaint, sizeof h->complaint, "HTTP/2: %.*s", (int)len, msg);
	return 0;
}

/* --- life --- */

static int
h2_settings(struct sq_h2 *h)
{
	static const nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	    {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
	    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW},
	    {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, H2_FRAME_MAX},
	};
	int rc = nghttp2_session_client_new2(
	    &h->session, h->cfg.env->callbacks, h, h->cfg.env->option);

	if (rc == 0)
		rc = nghttp2_submit_settings(
		    h->session, NGHTTP2_FLAG_NONE, settings, SQ_ARRAY_LEN(settings));
	if (rc == 0)
		rc = nghttp2_session_set_local_window_size(
		    h->session, NGHTTP2_FLAG_NONE, 0, H2_CONN_WINDOW);
	return rc;
}

struct sq_h2 *
sq_h2_new(const struct sq_h2_cfg *cfg, const struct sq_h2_events *events, void *owner)
{
	struct sq_h2 *h = sq_xcalloc(1, sizeof *h);

	h->cfg = *cfg;
	h->events = events;
	h->owner = owner;
	h->deliveries_id = -1;
	h->opened = (struct sq_answer){.version = SQ_LINK_VERSION_MIN, .told = &h->place};
	sq_list_init(&h->live);
	sq_list_init(&h->spare);
	if (h2_settings(h) != 0)
		sq_h2_free(&h);
	return h;
}

void
sq_h2_free(struct sq_h2 **hp)
{
	struct sq_h2 *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	nghttp2_session_del(h->session);
	sq_list_splice(&h->spare, &h->live);
	SQ_LIST_FOR_EACH_SAFE(s, &h->spare, struct h2_stream, node) {
		sq_bearer_release(&s->auth);
		sq_buf_fini(&s->body);
		free(s);
	}
	sq_bearer_release(&h->deliveries_auth);
	free(h);
}

void
sq_h2_ask(struct sq_h2 *h)
{
	assert(h->told && h->opened.status != 200);
	if (h->stopped)
		return;
	h->told = false;
	h->place = (struct sq_where){0};
	h->opened = (struct sq_answer){.version = SQ_LINK_VERSION_MIN, .told = &h->place};
	if (h2_ask_deliveries(h) != 0)
		h->events->lost(h->owner, "no further request can be sent");
}

void
sq_h2_stop(struct sq_h2 *h)
{
	h->stopped = true;
}

void
sq_h2_finish(struct sq_h2 *h)
{
	struct h2_stream *s;

	assert(h->stopped);
	while ((s = SQ_LIST_FIRST(&h->live, struct h2_stream, node)) != NULL) {
		h2_stream_answer(h, s, false);
		h2_stream_free(h, s);
	}
}

/* A negative code of nghttp2: a bug or memory. */
static void
h2_lost(struct sq_h2 *h, ssize_t rc)
{
	h->events->lost(h->owner, nghttp2_strerror((int)rc));
}

void
sq_h2_feed(struct sq_h2 *h, const unsigned char *p, size_t len)
{
	ssize_t n = nghttp2_session_mem_recv(h->session, p, len);

	if (n < 0)
		h2_lost(h, n);
}

void
sq_h2_write(struct sq_h2 *h)
{
	const uint8_t *p;
	ssize_t n = 0;

	while (!h->stopped && !sq_wire_blocked(h->cfg.wire) &&
	    (n = nghttp2_session_mem_send(h->session, &p)) > 0)
		sq_wire_put(h->cfg.wire, p, (size_t)n);
	if (n < 0)
		h2_lost(h, n);
}

int
sq_h2_submit(struct sq_h2 *h, struct sq_request *req)
{
	int rc = h2_submit(h, h2_stream_new(h, req));

	if (rc == 0)
		return 0;
	h2_lost(h, rc);
	return SQ_EIO;
}

void
sq_h2_ping(struct sq_h2 *h)
{
	(void)nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
}

unsigned
sq_h2_flying(const struct sq_h2 *h)
{
	return h->flying;
}

bool
sq_h2_over(const struct sq_h2 *h)
{
	return !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
}

bool
sq_h2_used_up(const struct sq_h2 *h)
{
	return nghttp2_session_get_next_stream_id(h->session) >= (1u << 31) - 16;
}

const char *
sq_h2_complaint(const struct sq_h2 *h)
{
	return h->complaint[0] != '\0' ? h->complaint : NULL;
}

struct sq_h2_env *
sq_h2_env_new(void)
{
	struct sq_h2_env *env = sq_xcalloc(1, sizeof *env);
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&env->callbacks) != 0 ||
	    nghttp2_option_new(&env->option) != 0)
		abort(); /* out of memory; see core/mem.h */
	cb = env->callbacks;
	nghttp2_session_callbacks_set_on_header_callback(cb, h2_on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, h2_on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, h2_on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, h2_on_close);
	nghttp2_session_callbacks_set_error_callback2(cb, h2_on_error);
	nghttp2_session_callbacks_set_send_data_callback(cb, h2_send_data);
	nghttp2_option_set_no_closed_streams(env->option, 1);
	return env;
}

void
sq_h2_env_free(struct sq_h2_env **ep)
{
	struct sq_h2_env *env = *ep;

	*ep = NULL;
	if (env == NULL)
		return;
	nghttp2_session_callbacks_del(env->callbacks);
	nghttp2_option_del(env->option);
	free(env);
}
