/* The life of a link, its requests and its writes; see net/h2/uplink.h.
 *
 *   sq_uplink_send ─▶ queue ─(flush, at most 60)─▶ live ─▶ answered, or status 0
 *
 * Nothing is written and nobody is called from inside the functions that sessions
 * call; the flush at the end of the turn does the first, the loop the second. */
#include "net/h2/uplink.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "net/h2/uplink_priv.h"

static void
    SQ_PRINTF(3, 0) uplink_set_ended(struct sq_uplink *l, bool well, const char *fmt, va_list ap)
{
	if (l->ended)
		return; /* the first reason is the cause */
	l->ended = true;
	l->ended_well = well;
	(void)vsnprintf(l->why, sizeof l->why, fmt, ap);
	l->hooks->ended(l->owner);
}

void
sq_uplink_lose(struct sq_uplink *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	uplink_set_ended(l, false, fmt, ap);
	va_end(ap);
}

static void SQ_PRINTF(2, 3) uplink_close(struct sq_uplink *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	uplink_set_ended(l, true, fmt, ap);
	va_end(ap);
}

void
sq_uplink_end(struct sq_uplink *l, const char *why)
{
	sq_uplink_lose(l, "%s", why);
}

void
sq_uplink_fail(struct sq_uplink *l, const char *why)
{
	if (l->ended)
		return;
	SQ_WARN(l->name, "the broker broke the protocol: %s", why);
	sq_uplink_lose(l, "protocol error: %s", why);
}

static struct uplink_stream *
uplink_stream_new(struct sq_uplink *l, struct sq_request *req)
{
	struct uplink_stream *s = SQ_LIST_FIRST(&l->spare, struct uplink_stream, node);

	if (s == NULL) {
		s = sq_xcalloc(1, sizeof *s);
		sq_list_init(&s->node);
	}
	sq_list_remove(&s->node);
	sq_list_push_back(&l->live, &s->node);
	l->flying++;
	s->req = req;
	/* nghttp2 never indexes the header, so only what binds an identity has it. */
	s->auth = req->method == SQ_PUT ? sq_token_header(l->env->token) : NULL;
	s->total = s->offered = s->sent = 0;
	for (unsigned i = 0; i < req->n_body; i++)
		s->total += req->body[i].iov_len;
	s->answer = (struct sq_answer){0};
	req->priv = s;
	return s;
}

void
sq_uplink_stream_free(struct sq_uplink *l, struct uplink_stream *s)
{
	assert(s->req == NULL && l->flying > 0);
	sq_list_remove(&s->node);
	sq_list_push_front(&l->spare, &s->node);
	l->flying--;
	sq_token_release(&s->auth);
	sq_buf_drain(&s->body, sq_buf_len(&s->body));
	sq_buf_trim(&s->body, UPLINK_BODY_KEEP);
	l->dirty = true; /* the next of the queue may go */
}

void
sq_uplink_answer(struct sq_uplink *l, struct uplink_stream *s, bool complete)
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
	a.version = l->version;
	req->priv = NULL;
	req->link = NULL;
	req->done(req, &a);
}

void
sq_uplink_send(struct sq_uplink *l, struct sq_request *req)
{
	assert(req->n_body <= SQ_ARRAY_LEN(req->body) && req->path[0] == '/');
	req->link = l;
	req->priv = NULL;
	sq_list_push_back(&l->queue, &req->node);
	l->queued++;
	l->dirty = true;
}

static struct sq_request *
uplink_dequeue(struct sq_uplink *l, struct sq_list *from)
{
	struct sq_request *req = SQ_LIST_FIRST(from, struct sq_request, node);

	if (req == NULL)
		return NULL;
	sq_list_remove(&req->node);
	l->queued--;
	return req;
}

static void
uplink_submit(struct sq_uplink *l)
{
	struct sq_request *req;

	if (l->state != UPLINK_UP)
		return;
	while (!l->closing && l->flying < SQ_LINK_STREAMS_MAX &&
	    (req = uplink_dequeue(l, &l->queue)) != NULL) {
		struct uplink_stream *s = uplink_stream_new(l, req);
		int rc = sq_uplink_h2_submit(l, s);

		sq_net_count(l->env->counts, SQ_NET_REQUESTS, 1);
		if (rc != 0) {
			sq_uplink_lose(l, "%s", nghttp2_strerror(rc));
			return;
		}
		/* 2^30 requests: hours at full speed, then the ids are used up. */
		if (nghttp2_session_get_next_stream_id(l->session) >= (1u << 31) - 16)
			sq_uplink_asked_to_move(l, true);
	}
}

/* Nobody needs a link that drains once its last user and request are gone. */
static bool
uplink_spent(const struct sq_uplink *l)
{
	if (l->flying != 0)
		return false;
	return l->closing || (l->draining && l->use == 0 && sq_list_empty(&l->queue));
}

void
sq_uplink_flush(struct sq_uplink *l)
{
	const uint8_t *p;
	ssize_t n = 0;

	if (!l->dirty || l->ended || l->session == NULL || sq_conn_blocked(l->conn))
		return;
	l->dirty = false;
	uplink_submit(l);
	while (!l->ended && (n = nghttp2_session_mem_send(l->session, &p)) > 0) {
		sq_conn_put(l->conn, p, (size_t)n);
		if (sq_conn_blocked(l->conn)) {
			l->dirty = true;
			break;
		}
	}
	if (sq_conn_flush(l->conn) != 0)
		sq_uplink_lose(l, "%s", sq_conn_error(l->conn));
	else if (n < 0)
		sq_uplink_lose(l, "%s", nghttp2_strerror((int)n));
	else if (!nghttp2_session_want_read(l->session) && !nghttp2_session_want_write(l->session))
		sq_uplink_lose(
		    l, "%s", l->complaint[0] != '\0' ? l->complaint : "HTTP/2 connection ended");
	else if (uplink_spent(l))
		uplink_close(l, "drained");
	SQ_FAULT_WRITTEN(l);
}

void
sq_uplink_asked_to_move(struct sq_uplink *l, bool closing)
{
	l->dirty = true;
	l->closing = l->closing || closing;
	if (l->state != UPLINK_UP)
		sq_uplink_lose(l, "the broker is going away");
	else if (!l->draining && !l->ended)
		l->hooks->draining(l->owner);
}

void
sq_uplink_drain(struct sq_uplink *l)
{
	l->draining = true;
	l->dirty = true;
}

void
sq_uplink_use(struct sq_uplink *l, int delta)
{
	l->use += delta;
	assert(l->use >= 0);
	l->dirty = l->dirty || l->draining;
}

void
sq_uplink_ping(struct sq_uplink *l)
{
	if (l->session == NULL)
		return;
	(void)nghttp2_submit_ping(l->session, NGHTTP2_FLAG_NONE, NULL);
	l->dirty = true;
}

static void
uplink_on_open(void *owner)
{
	struct sq_uplink *l = owner;

	if (l->ended)
		return;
	if (sq_uplink_h2_open(l) != 0)
		sq_uplink_lose(l, "HTTP/2 can't be set up");
	l->dirty = true;
}

static void
uplink_on_data(void *owner, const unsigned char *p, size_t len)
{
	struct sq_uplink *l = owner;
	ssize_t n;

	if (l->ended || l->session == NULL)
		return;
	l->dirty = true; /* SETTINGS, PING and windows have answers of their own */
	n = nghttp2_session_mem_recv(l->session, p, len);
	if (l->heard)
		l->heard_ms = sq_clock_ms();
	l->heard = false;
	if (n < 0)
		sq_uplink_lose(l, "%s", nghttp2_strerror((int)n));
}

static void
uplink_on_drained(void *owner)
{
	struct sq_uplink *l = owner;

	l->dirty = true;
}

static void
uplink_on_closed(void *owner)
{
	struct sq_uplink *l = owner;

	/* What nghttp2 complained about is a better reason than the end it led to. */
	sq_uplink_lose(l, "%s", l->complaint[0] != '\0' ? l->complaint : sq_conn_error(l->conn));
}

static const struct sq_conn_events uplink_conn_events = {
    .open = uplink_on_open,
    .data = uplink_on_data,
    .drained = uplink_on_drained,
    .closed = uplink_on_closed,
};

struct sq_uplink *
sq_uplink_new(const struct sq_uplink_env *env, const struct sq_uplink_to *to,
    const struct sq_uplink_hooks *hooks, void *owner)
{
	struct sq_uplink *l = sq_xcalloc(1, sizeof *l);
	struct sq_conn_cfg cfg = {
	    .loop = env->loop,
	    .addr = (const struct sockaddr *)&to->addr->ss,
	    .addr_len = to->addr->len,
	    .tls = env->trust != NULL ? sq_trust_context(env->trust) : NULL,
	    .pair = env->pair,
	    .server = to->server,
	};

	l->env = env;
	l->hooks = hooks;
	l->owner = owner;
	l->id = sq_random_u64();
	l->authority = to->authority;
	l->deliveries_id = -1;
	l->version = SQ_LINK_VERSION_MIN;
	sq_list_init(&l->queue);
	sq_list_init(&l->live);
	sq_list_init(&l->spare);
	(void)snprintf(l->name, sizeof l->name, "%s", to->name);
	(void)snprintf(l->path, sizeof l->path, "/v1/links/%016" PRIx64 "/deliveries", l->id);
	l->conn = sq_conn_new(&cfg, &uplink_conn_events, l);
	return l;
}

void
sq_uplink_finish(struct sq_uplink *l)
{
	struct sq_list waiting;
	struct uplink_stream *s;
	struct sq_request *req;

	assert(l->ended);
	sq_list_init(&waiting);
	sq_list_splice(&waiting, &l->queue);
	while ((s = SQ_LIST_FIRST(&l->live, struct uplink_stream, node)) != NULL) {
		sq_uplink_answer(l, s, false);
		sq_uplink_stream_free(l, s);
	}
	while ((req = uplink_dequeue(l, &waiting)) != NULL) {
		req->link = NULL;
		req->done(req, &(struct sq_answer){0});
	}
}

void
sq_uplink_free(struct sq_uplink **lp)
{
	struct sq_uplink *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	nghttp2_session_del(l->session);
	sq_conn_free(&l->conn);
	sq_list_splice(&l->spare, &l->live);
	SQ_LIST_FOR_EACH_SAFE(s, &l->spare, struct uplink_stream, node) {
		sq_token_release(&s->auth);
		sq_buf_fini(&s->body);
		free(s);
	}
	sq_token_release(&l->deliveries_auth);
	sq_deliveries_fini(&l->deliveries);
	free(l);
}

uint64_t
sq_uplink_id(const struct sq_uplink *l)
{
	return l->id;
}

const char *
sq_uplink_name(const struct sq_uplink *l)
{
	return l->name;
}

unsigned
sq_uplink_version(const struct sq_uplink *l)
{
	return l->version;
}

bool
sq_uplink_draining(const struct sq_uplink *l)
{
	return l->draining;
}

const char *
sq_uplink_ended(const struct sq_uplink *l)
{
	return l->ended ? l->why : NULL;
}

bool
sq_uplink_ended_well(const struct sq_uplink *l)
{
	return l->ended_well;
}

bool
sq_uplink_usable(const struct sq_uplink *l)
{
	return l->state == UPLINK_UP && !l->draining && !l->ended;
}

unsigned
sq_uplink_load(const struct sq_uplink *l)
{
	return l->queued + l->flying + (unsigned)l->use;
}

uint64_t
sq_uplink_heard_ms(const struct sq_uplink *l)
{
	return l->heard_ms;
}

unsigned
sq_uplink_refused(const struct sq_uplink *l, unsigned *retry_after_ms)
{
	*retry_after_ms = l->opened.retry_after_ms;
	return l->opened.status == 200 ? 0 : l->opened.status;
}
