/* What nghttp2 calls for a link: headers, bodies, frames; see uplink_priv.h.
 *
 * A request's body never enters nghttp2: it asks for lengths, and when a DATA
 * frame leaves, the pieces go from the caller's memory to the connection. */
#include "net/h2/uplink_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

/* A header whose parts outlive the frame, so that nghttp2 need not copy them.  A
 * bearer token is the exception by nghttp2's choice: it is never indexed. */
#define UPLINK_NV(n, v, len) \
	((nghttp2_nv){(uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), sizeof(n) - 1, len, \
	    NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE})

/* Decimal; saturates at 'max', 0 for anything that is no number. */
static uint64_t
h2_number(const uint8_t *p, size_t len, uint64_t max)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
		if (v > (max - (p[i] - '0')) / 10)
			return max;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

static bool
h2_is(const uint8_t *p, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(p, text, len) == 0;
}

static void
h2_reason(struct sq_answer *a, const uint8_t *p, size_t len)
{
	enum sq_denied denied = sq_denied_find(p, len);

	if (a->full == SQ_FULL_NOT && h2_is(p, len, "full"))
		a->full = SQ_FULL_UNSAID;
	if (denied != SQ_DENIED_NONE)
		a->denied = denied;
}

static void
h2_full(struct sq_answer *a, const uint8_t *p, size_t len)
{
	enum sq_full full = sq_full_find(p, len);

	if (full != SQ_FULL_NOT)
		a->full = full;
}

/* The answer that a frame of 'id' belongs to; NULL when nobody waits for it. */
static struct sq_answer *
h2_answer(struct sq_uplink *l, int32_t id)
{
	struct uplink_stream *s;

	if (id == l->deliveries_id)
		return &l->opened;
	s = nghttp2_session_get_stream_user_data(l->session, id);
	return s != NULL ? &s->answer : NULL;
}

static int
h2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
	struct sq_uplink *l = arg;
	struct sq_answer *a = h2_answer(l, frame->hd.stream_id);

	(void)session, (void)flags;
	if (a == NULL)
		return 0;
	if (a == &l->opened && h2_is(name, name_len, "sqmqos-link"))
		l->version = (unsigned)h2_number(value, len, UINT32_MAX);
	if (h2_is(name, name_len, ":status"))
		a->status = (unsigned)h2_number(value, len, 999);
	else if (h2_is(name, name_len, "sqmqos-conflict"))
		a->conflict = sq_conflict_find(value, len);
	else if (h2_is(name, name_len, "sqmqos-last"))
		a->last = h2_number(value, len, UINT64_MAX);
	else if (h2_is(name, name_len, "sqmqos-reason"))
		h2_reason(a, value, len);
	else if (h2_is(name, name_len, "sqmqos-full"))
		h2_full(a, value, len);
	else if (h2_is(name, name_len, "retry-after"))
		a->retry_after_ms = 1000u * (unsigned)h2_number(value, len, 3600);
	return 0;
}

static int
h2_frame(void *arg, const struct sq_frame *f, struct sq_block *block)
{
	struct sq_uplink *l = arg;
	const struct sq_pool_events *ev = l->env->events;

	switch (f->type) {
	case SQ_FRAME_DELIVER:
		ev->deliver(l->env->owner, l, &f->deliver, block);
		break;
	case SQ_FRAME_DETACHED:
		ev->detached(l->env->owner, l, f->epoch, f->reason, f->text);
		break;
	case SQ_FRAME_SUBSCRIBED:
		ev->subscribed(l->env->owner, l, f);
		break;
	case SQ_FRAME_KEPT:
		ev->kept(l->env->owner, l, f);
		break;
	case SQ_FRAME_DRAINING:
		sq_uplink_asked_to_move(l, false);
		break;
	case SQ_FRAME_TRUST:
		if (l->env->trust != NULL)
			sq_trust_told(l->env->trust, l, f->digest);
		break;
	case SQ_FRAME_HEARTBEAT:
		break;
	default: /* of a newer version; what it says can be done without */
		sq_net_count(l->env->counts, SQ_NET_FRAMES_SKIPPED, 1);
		break;
	}
	return l->ended ? SQ_ECLOSED : 0;
}

static int
h2_on_deliveries(struct sq_uplink *l, const uint8_t *p, size_t len)
{
	int rc;

	if (l->opened.status != 200)
		return 0; /* a problem text; the headers have said it */
	l->heard = true;
	rc = sq_deliveries_feed(&l->deliveries, p, len, l->env->max_frame, h2_frame, l);
	if (rc == SQ_EINVAL)
		sq_uplink_fail(l, "malformed frame");
	else if (rc == SQ_ETOOBIG)
		sq_uplink_fail(l, "a frame above the limit");
	return rc == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int
h2_on_data(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t len, void *arg)
{
	struct sq_uplink *l = arg;
	struct uplink_stream *s;

	(void)flags;
	if (l->ended)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (id == l->deliveries_id)
		return h2_on_deliveries(l, p, len);
	s = nghttp2_session_get_stream_user_data(session, id);
	if (s == NULL || s->req == NULL)
		return 0;
	if (sq_buf_len(&s->body) + len > UPLINK_ANSWER_MAX) {
		sq_uplink_fail(l, "an answer above the limit");
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	sq_buf_append(&s->body, p, len);
	return 0;
}

/* The deliveries response is not 200. */
static void
h2_on_refused(struct sq_uplink *l, unsigned status)
{
	static const char *const credentials[] = {
	    [SQ_CREDENTIAL_NONE] = ", it asks for a token or a certificate, and there is none",
	    [SQ_CREDENTIAL_TOKEN] = ", the token is not good",
	    [SQ_CREDENTIAL_CERTIFICATE] = ", the certificate is not good",
	};
	bool unknown = status == 401 || status == 403;

	sq_net_count(l->env->counts,
	    unknown             ? SQ_NET_REFUSED_CREDENTIAL
		: status == 503 ? SQ_NET_REFUSED_BUSY
				: SQ_NET_REFUSED_OTHER,
	    1);
	sq_uplink_lose(l, "the broker refuses the link: HTTP %u%s", status,
	    unknown                               ? credentials[l->env->credential]
		: l->opened.full == SQ_FULL_SPACE ? ", the space has its share of connections"
						  : "");
}

/* The head of the deliveries response: the link is up, or refused. */
static void
h2_on_opened(struct sq_uplink *l)
{
	unsigned status = l->opened.status;

	if (l->state != UPLINK_OPENING || status < 200)
		return;
	sq_token_release(&l->deliveries_auth);
	if (status != 200) {
		h2_on_refused(l, status);
		return;
	}
	if (l->version < SQ_LINK_VERSION_MIN || l->version > SQ_LINK_VERSION) {
		sq_uplink_fail(l, "it answered with a version of the link that was not asked for");
		return;
	}
	l->state = UPLINK_UP;
	l->heard = true;
	l->hooks->up(l->owner);
}

/* The whole answer is there.  If the broker gave it before it had the whole body
 * the caller gets its memory back now, and the rest is not sent. */
static void
h2_on_end(struct sq_uplink *l, int32_t id)
{
	struct uplink_stream *s = nghttp2_session_get_stream_user_data(l->session, id);

	if (s == NULL)
		return;
	if (s->sent < s->total)
		(void)nghttp2_submit_rst_stream(l->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
	sq_uplink_answer(l, s, true);
}

static int
h2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct sq_uplink *l = arg;
	int rc = 0;

	(void)session;
	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		if (l->deliveries_id < 0 && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
			rc = sq_uplink_h2_deliveries(l);
		break;
	case NGHTTP2_GOAWAY:
		if (frame->goaway.error_code != NGHTTP2_NO_ERROR && l->complaint[0] == '\0')
			(void)snprintf(l->complaint, sizeof l->complaint,
			    "the broker closed HTTP/2: %s",
			    nghttp2_http2_strerror(frame->goaway.error_code));
		sq_uplink_asked_to_move(l, true);
		break;
	case NGHTTP2_HEADERS:
		if (frame->hd.stream_id == l->deliveries_id)
			h2_on_opened(l);
		/* fall through */
	case NGHTTP2_DATA:
		if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
		    frame->hd.stream_id != l->deliveries_id)
			h2_on_end(l, frame->hd.stream_id);
		break;
	default:
		break;
	}
	return rc != 0 || l->ended ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int
h2_on_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct sq_uplink *l = arg;
	struct uplink_stream *s;

	if (id == l->deliveries_id) {
		sq_uplink_lose(l, "the deliveries ended%s%s%s",
		    sq_deliveries_partial(&l->deliveries) ? " inside a frame" : "",
		    code != NGHTTP2_NO_ERROR ? ": " : "",
		    code != NGHTTP2_NO_ERROR ? nghttp2_http2_strerror(code) : "");
		return 0;
	}
	s = nghttp2_session_get_stream_user_data(session, id);
	if (s == NULL)
		return 0;
	if (s->req != NULL)
		SQ_DEBUG(l->name, "stream %d reset: %s", id, nghttp2_http2_strerror(code));
	sq_uplink_answer(l, s, false);
	sq_uplink_stream_free(l, s);
	return 0;
}

/* nghttp2's own words on what is wrong with the peer; kept for the reason. */
static int
h2_on_error(nghttp2_session *session, int code, const char *msg, size_t len, void *arg)
{
	struct sq_uplink *l = arg;

	(void)session, (void)code;
	if (!l->ended && l->complaint[0] == '\0')
		(void)snprintf(l->complaint, sizeof l->complaint, "HTTP/2: %.*s", (int)len, msg);
	return 0;
}

/* How much of the body the next DATA frame has; the bytes follow in h2_send_data. */
static ssize_t
h2_read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t len, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
	struct uplink_stream *s = source->ptr;
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
	struct sq_uplink *l = arg;
	struct uplink_stream *s = source->ptr;
	size_t skip = s->sent;

	(void)session;
	assert(frame->data.padlen == 0 && s->req != NULL);
	sq_conn_put(l->conn, head, 9);
	s->sent += len;
	for (unsigned i = 0; i < s->req->n_body && len > 0; i++) {
		const struct iovec *v = &s->req->body[i];
		size_t from = skip < v->iov_len ? skip : v->iov_len;
		size_t n = v->iov_len - from < len ? v->iov_len - from : len;

		sq_conn_put_ref(l->conn, (unsigned char *)v->iov_base + from, n);
		skip -= from;
		len -= n;
	}
	return 0;
}

static size_t
h2_headers(const struct sq_uplink *l, nghttp2_nv *nv, const struct sq_block *auth)
{
	size_t n = 0;

	if (l->env->trust != NULL)
		nv[n++] = UPLINK_NV(":scheme", "https", 5);
	else
		nv[n++] = UPLINK_NV(":scheme", "http", 4);
	nv[n++] = UPLINK_NV(":authority", l->authority, strlen(l->authority));
	if (auth != NULL)
		nv[n++] = UPLINK_NV("authorization", auth->bytes, auth->size);
	return n;
}

int
sq_uplink_h2_submit(struct sq_uplink *l, struct uplink_stream *s)
{
	nghttp2_data_provider body = {.source.ptr = s, .read_callback = h2_read_body};
	nghttp2_nv nv[5];
	size_t n = 2;

	switch (s->req->method) {
	case SQ_PUT:
		nv[0] = UPLINK_NV(":method", "PUT", 3);
		break;
	case SQ_GET:
		nv[0] = UPLINK_NV(":method", "GET", 3);
		break;
	case SQ_POST:
		nv[0] = UPLINK_NV(":method", "POST", 4);
		break;
	}
	nv[1] = UPLINK_NV(":path", s->req->path, strlen(s->req->path));
	n += h2_headers(l, nv + n, s->auth);
	s->id = nghttp2_submit_request(l->session, NULL, nv, n, s->total > 0 ? &body : NULL, s);
	return s->id < 0 ? s->id : 0;
}

int
sq_uplink_h2_deliveries(struct sq_uplink *l)
{
	nghttp2_nv nv[6] = {
	    UPLINK_NV(":method", "GET", 3),
	    UPLINK_NV(":path", l->path, strlen(l->path)),
	};
	size_t n = 2;

	static_assert(SQ_LINK_VERSION == 2, "the header below says the version");
	l->deliveries_auth = sq_token_header(l->env->token);
	n += h2_headers(l, nv + n, l->deliveries_auth);
	nv[n++] = UPLINK_NV("sqmqos-link", "2", 1);
	l->deliveries_id = nghttp2_submit_request(l->session, NULL, nv, n, NULL, NULL);
	l->state = UPLINK_OPENING;
	return l->deliveries_id < 0 ? l->deliveries_id : 0;
}

int
sq_uplink_h2_open(struct sq_uplink *l)
{
	static const nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	    {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
	    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, UPLINK_STREAM_WINDOW},
	};
	int rc = nghttp2_session_client_new2(&l->session, l->env->callbacks, l, l->env->option);

	if (rc == 0)
		rc = nghttp2_submit_settings(
		    l->session, NGHTTP2_FLAG_NONE, settings, SQ_ARRAY_LEN(settings));
	if (rc == 0)
		rc = nghttp2_session_set_local_window_size(
		    l->session, NGHTTP2_FLAG_NONE, 0, UPLINK_CONN_WINDOW);
	return rc;
}

void
sq_uplink_env_init(struct sq_uplink_env *env)
{
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
}

void
sq_uplink_env_fini(struct sq_uplink_env *env)
{
	nghttp2_session_callbacks_del(env->callbacks);
	nghttp2_option_del(env->option);
	env->callbacks = NULL;
	env->option = NULL;
}
