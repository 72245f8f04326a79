/* See broker/front/http/answer.h.
 *
 * Each answer has a length, also 0: without one, h2o ends a connection of HTTP/1.1. */
#include "broker/front/http/answer.h"

#include <string.h>

#include "broker/auth/identity/identity.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/log.h"
#include "web/reply.h"

/* What a page's script may read of an answer. */
#define EXPOSED \
	"etag, idempotency-key, idempotency-replayed, retry-after, sqmqos-attempt, " \
	"sqmqos-correlation, sqmqos-enqueued, sqmqos-expires, sqmqos-id, sqmqos-lease, " \
	"sqmqos-order-key, sqmqos-owner, sqmqos-property, sqmqos-qos, sqmqos-receipt, " \
	"sqmqos-request-id, " \
	"sqmqos-response-topic, sqmqos-retain, sqmqos-tag, sqmqos-topic"
#define PREFLIGHT_AGE_S "600"

enum { ASKED_HEADERS_MAX = 1024 }; /* bytes that are repeated to a preflight */

static h2o_iovec_t
answer_find(const h2o_req_t *req, const char *name, size_t len)
{
	ssize_t i = h2o_find_header_by_str(&req->headers, name, len, -1);

	return i >= 0 ? req->headers.entries[i].value : h2o_iovec_init(NULL, 0);
}

/* 'name' and 'value' are static, or in the request's pool. */
static void
answer_header(h2o_req_t *req, const char *name, const char *value, size_t len)
{
	h2o_add_header_by_str(
	    &req->pool, &req->res.headers, name, strlen(name), 1, NULL, value, len);
}

static void
answer_static(h2o_req_t *req, const char *name, const char *value)
{
	answer_header(req, name, value, strlen(value));
}

static bool
answer_origin_allowed(const struct sq_http_front_cfg *cfg, struct sq_bytes origin)
{
	for (size_t i = 0; i < cfg->n_origins; i++)
		if (strcmp(cfg->origins[i], "*") == 0 || sq_bytes_are(origin, cfg->origins[i]))
			return true;
	return false;
}

/* CORS, where it is configured. */
static void
answer_cors(h2o_req_t *req, const struct sq_http_front_cfg *cfg, bool preflight)
{
	h2o_iovec_t origin = answer_find(req, H2O_STRLIT("origin")), asked;

	if (cfg->n_origins == 0)
		return;
	answer_static(req, "vary", "origin");
	if (origin.base == NULL ||
	    !answer_origin_allowed(
		cfg, (struct sq_bytes){(const unsigned char *)origin.base, origin.len}))
		return;
	answer_header(req, "access-control-allow-origin", origin.base, origin.len);
	answer_static(req, "access-control-expose-headers", EXPOSED);
	if (!preflight ||
	    answer_find(req, H2O_STRLIT("access-control-request-method")).base == NULL)
		return;
	asked = answer_find(req, H2O_STRLIT("access-control-request-headers"));
	answer_static(
	    req, "access-control-allow-methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
	if (asked.base != NULL && asked.len <= ASKED_HEADERS_MAX)
		answer_header(req, "access-control-allow-headers", asked.base, asked.len);
	answer_static(req, "access-control-max-age", PREFLIGHT_AGE_S);
}

/* The headers of every answer, and its count. */
static void
answer_begin(h2o_req_t *req, const struct sq_http_request *r, unsigned status, bool preflight)
{
	h2o_iovec_t id = h2o_strdup(&req->pool, r->id, SIZE_MAX);

	sq_http_counts_add(&r->front->counts, r->resource, status);
	sq_metric_observe(r->front->cfg.metrics, SQ_H_HTTP, sq_clock_us() - r->since_us);
	answer_header(req, "sqmqos-request-id", id.base, id.len);
	answer_static(req, "cache-control", "no-store");
	answer_cors(req, &r->front->cfg, preflight);
}

void
sq_http_answer(
    h2o_req_t *req, const struct sq_http_request *r, unsigned status, const void *body, size_t len)
{
	answer_begin(req, r, status, false);
	sq_reply_send(req, status, "application/json", body, len);
}

void
sq_http_answer_as(h2o_req_t *req, const struct sq_http_request *r, unsigned status,
    const char *type, const void *body, size_t len)
{
	answer_begin(req, r, status, false);
	sq_reply_send(req, status, type, body, len);
}

void
sq_http_answer_empty(h2o_req_t *req, const struct sq_http_request *r, unsigned status)
{
	answer_begin(req, r, status, false);
	req->res.content_length = 0;
	sq_reply_empty(req, status);
}

void
sq_http_answer_header(h2o_req_t *req, const char *name, struct sq_bytes value)
{
	h2o_iovec_t text = h2o_strdup(&req->pool, (const char *)value.p, value.len);

	h2o_add_header_by_str(
	    &req->pool, &req->res.headers, name, strlen(name), 1, NULL, text.base, text.len);
}

void
sq_http_answer_static(
    h2o_req_t *req, const struct sq_http_request *r, unsigned status, const void *body, size_t len)
{
	answer_begin(req, r, status, false);
	sq_reply_send_static(req, status, "application/json", body, len);
}

static void
answer_allow(h2o_req_t *req, enum sq_http_resource resource)
{
	struct sq_buf allow = {0};
	h2o_iovec_t text;

	if (resource == SQ_HTTP_RESOURCE_COUNT)
		return;
	sq_http_route_allow(resource, &allow);
	text = h2o_strdup(&req->pool, (const char *)sq_buf_data(&allow), sq_buf_len(&allow));
	answer_header(req, "allow", text.base, text.len);
	sq_buf_fini(&allow);
}

void
sq_http_answer_methods(h2o_req_t *req, const struct sq_http_request *r)
{
	answer_begin(req, r, 200, true);
	answer_allow(req, r->resource);
	req->res.content_length = 0;
	sq_reply_empty(req, 200);
}

/* The log has what the answer says, and who got it. */
static void
answer_log(
    const struct sq_http_request *r, const struct sq_identity *who, const struct sq_http_fault *f)
{
	const struct sq_http_problem_row *row = sq_http_problem_row(f->problem);
	const char *name = who != NULL && who->name[0] != '\0' ? who->name : "somebody";
	int len = (int)sq_buf_len(&f->detail);
	const char *detail = len > 0 ? (const char *)sq_buf_data(&f->detail) : row->title;

	if (len == 0)
		len = (int)strlen(detail);
	/* One is a responder's, one is what a broker that stands by is for. */
	if (row->status >= 500 && f->problem != SQ_HTTP_NO_REPLY && f->problem != SQ_HTTP_ELSEWHERE)
		SQ_WARN("http", "request %s of %s: %u %s: %.*s", r->id, name, row->status,
		    row->slug, len, detail);
	else
		SQ_DEBUG("http", "request %s of %s: %u %s: %.*s", r->id, name, row->status,
		    row->slug, len, detail);
}

void
sq_http_answer_fault(h2o_req_t *req, const struct sq_http_request *r, const struct sq_identity *who,
    const struct sq_http_fault *f)
{
	sq_http_answer_fault_more(req, r, who, f, NULL);
}

void
sq_http_answer_fault_more(h2o_req_t *req, const struct sq_http_request *r,
    const struct sq_identity *who, const struct sq_http_fault *f, const struct sq_buf *more)
{
	const struct sq_http_problem_row *row = sq_http_problem_row(f->problem);
	unsigned retry_s = sq_http_fault_retry_s(f);
	struct sq_buf body = {0};
	char *text;

	answer_begin(req, r, row->status, false);
	answer_log(r, who, f);
	if (f->problem == SQ_HTTP_METHOD)
		answer_allow(req, r->resource);
	if (retry_s > 0 && h2o_find_header(&req->res.headers, H2O_TOKEN_RETRY_AFTER, -1) < 0) {
		text = h2o_mem_alloc_pool(&req->pool, 16);
		answer_header(req, "retry-after", text, (size_t)snprintf(text, 16, "%u", retry_s));
	}
	sq_http_fault_write(f, r->id, more, &body);
	sq_reply_send(
	    req, row->status, "application/problem+json", sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
}
