#include "broker/front/link/answer.h"

#include <stdio.h>

#include "broker/front/link/status.h"
#include "core/mem.h"

static const struct title {
	unsigned status;
	const char *title, *detail;
} titles[] = {
    {400, "Bad Request", "malformed request"},
    {401, "Unauthorized", "a valid bearer token is needed"},
    {403, "Forbidden", "the session or link belongs to another identity"},
    {404, "Not Found", "no such path"},
    {405, "Method Not Allowed", "the path takes another method"},
    {409, "Conflict", "the state at the broker is another"},
    {410, "Gone", "the link is not open on this connection"},
    {413, "Content Too Large", "the body is larger than the limit"},
    {422, "Unprocessable Content", "what is asked for is above a limit"},
    {429, "Too Many Requests", "try again later"},
    {500, "Internal Server Error", "the request failed at the broker"},
    {503, "Service Unavailable", "try again later"},
    {505, "HTTP Version Not Supported", "the link needs HTTP/2"},
};

static const struct title *
answer_title(unsigned status)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(titles); i++)
		if (titles[i].status == status)
			return &titles[i];
	return status < 500 ? &titles[0] : answer_title(500);
}

/* Sends 'len' bytes that live as long as the request, and ends the response. */
static void
answer_send(h2o_req_t *req, const void *body, size_t len)
{
	static h2o_generator_t none = {NULL, NULL};
	h2o_iovec_t v = h2o_iovec_init(body, len);

	h2o_start_response(req, &none);
	h2o_send(req, &v, len > 0 ? 1 : 0, H2O_SEND_STATE_FINAL);
}

void
sq_answer_problem(h2o_req_t *req, unsigned status, const char *detail)
{
	const struct title *t = answer_title(status);
	size_t cap = 512;
	char *body = h2o_mem_alloc_pool(&req->pool, cap);
	int n = snprintf(body, cap,
	    "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":\"%s\"}\n",
	    t->title, status, detail != NULL ? detail : t->detail);

	req->res.status = (int)status;
	req->res.reason = t->title;
	req->res.content_length = (size_t)n < cap ? (size_t)n : cap - 1;
	h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
	    H2O_STRLIT("application/problem+json"));
	answer_send(req, body, req->res.content_length);
}

/* Adds a header with a number as its value. */
static void
answer_number(h2o_req_t *req, const char *name, size_t name_len, uint64_t v)
{
	char *text = h2o_mem_alloc_pool(&req->pool, 24);
	int n = snprintf(text, 24, "%llu", (unsigned long long)v);

	h2o_add_header_by_str(
	    &req->pool, &req->res.headers, name, name_len, 1, NULL, text, (size_t)n);
}

void
sq_answer_denied(h2o_req_t *req, enum sq_denied why, const char *detail)
{
	const char *name = sq_denied_name(why);

	h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("sqmqos-reason"), 0, NULL,
	    name, strlen(name));
	sq_answer_problem(req, 403, detail);
}

/* There is no room for the session, of what it says. */
static void
answer_full(h2o_req_t *req, const char *what)
{
	h2o_headers_t *headers = &req->res.headers;

	h2o_add_header_by_str(
	    &req->pool, headers, H2O_STRLIT("sqmqos-reason"), 0, NULL, H2O_STRLIT("full"));
	h2o_add_header_by_str(
	    &req->pool, headers, H2O_STRLIT("sqmqos-full"), 0, NULL, what, strlen(what));
}

static void
answer_refusal(h2o_req_t *req, const struct sq_call *c)
{
	enum sq_conflict conflict = sq_status_conflict(c->verdict);
	unsigned status = sq_status_of(c);

	if (c->verdict == SQ_VERDICT_DENIED) {
		sq_answer_denied(req, c->denied, c->detail);
		return;
	}
	if (conflict != SQ_CONFLICT_NONE) {
		const char *why = sq_conflict_name(conflict);

		h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("sqmqos-conflict"),
		    0, NULL, why, strlen(why));
	}
	if (c->verdict == SQ_VERDICT_GAP)
		answer_number(req, H2O_STRLIT("sqmqos-last"), c->last);
	if (status == 429 && c->full != SQ_FULL_NOT)
		answer_full(req, sq_full_name(c->full));
	if (status == 429 || status == 503)
		answer_number(
		    req, H2O_STRLIT("retry-after"), c->retry_after_s > 0 ? c->retry_after_s : 1);
	sq_answer_problem(req, status, c->detail);
}

void
sq_answer_call(h2o_req_t *req, const struct sq_call *c)
{
	size_t len = sq_buf_len(&c->out);
	unsigned status = sq_status_of(c);
	void *body = NULL;

	if (c->verdict != SQ_VERDICT_OK) {
		answer_refusal(req, c);
		return;
	}
	req->res.status = (int)status;
	req->res.reason = status == 204 ? "No Content" : "OK";
	if (status != 204) {
		body = h2o_mem_alloc_pool(&req->pool, len + 1);
		if (len > 0)
			memcpy(body, sq_buf_data(&c->out), len);
		req->res.content_length = len;
		h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
		    H2O_STRLIT("application/octet-stream"));
	}
	answer_send(req, body, body != NULL ? len : 0);
}
