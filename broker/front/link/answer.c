#include "broker/front/link/answer.h"

#include <assert.h>
#include <stdio.h>

#include "broker/front/link/body.h"
#include "broker/front/link/status.h"
#include "core/mem.h"
#include "web/reply.h"

/* Details of problems without a text of their own. */
static const struct detail {
	unsigned status;
	const char *text;
} details[] = {
    {400, "malformed request"},
    {401, "a valid bearer token is needed"},
    {403, "the session or link belongs to another identity"},
    {404, "no such path"},
    {405, "the path takes another method"},
    {409, "the state at the broker is another"},
    {410, "the link is not open on this connection"},
    {413, "the body is larger than the limit"},
    {421, "another broker owns the state"},
    {422, "what is asked for is above a limit"},
    {429, "try again later"},
    {431, "the headers are too large, or too many"},
    {500, "the request failed at the broker"},
    {503, "try again later"},
    {505, "the link needs HTTP/2"},
};

static const char *
answer_detail(unsigned status)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(details); i++)
		if (details[i].status == status)
			return details[i].text;
	return answer_detail(status < 500 ? 400 : 500);
}

void
sq_answer_problem(h2o_req_t *req, unsigned status, const char *detail)
{
	if (detail == NULL)
		detail = answer_detail(status);
	sq_reply_problem(req, status, detail, strlen(detail));
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

/* Answers that the session has no room, with the kind of room. */
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
answer_refusal(h2o_req_t *req, const struct sq_call *c, unsigned version)
{
	enum sq_conflict conflict = sq_status_conflict(c->verdict);
	unsigned status = sq_status_of(c, version);

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
sq_answer_call(h2o_req_t *req, const struct sq_call *c, unsigned version, struct sq_buf *room)
{
	unsigned status = sq_status_of(c, version);

	assert(sq_buf_len(room) == 0);
	if (c->verdict != SQ_VERDICT_OK) {
		answer_refusal(req, c, version);
	} else if (!sq_body_answers(c)) {
		sq_reply_empty(req, status);
	} else {
		sq_body_encode(room, c, version);
		sq_reply_send(
		    req, status, "application/octet-stream", sq_buf_data(room), sq_buf_len(room));
		sq_buf_drain(room, sq_buf_len(room));
	}
}
