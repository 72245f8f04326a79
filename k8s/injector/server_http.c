/* Requests of the webhook's server: what is asked and in which form, before a body
 * goes to the user, and the answers; see k8s/injector/server.h. */
#include <stdio.h>

#include "core/log.h"
#include "core/mem.h"
#include "k8s/injector/server_priv.h"

static const char *const paths[SQ_PATHS] = {
    [SQ_PATH_MUTATE] = "/mutate",
    [SQ_PATH_VALIDATE] = "/validate",
    [SQ_PATH_VALIDATE_ASKED] = "/validate/asked",
    [SQ_PATH_VALIDATE_UNASKED] = "/validate/unasked",
};

static const struct title {
	unsigned status;
	const char *title, *detail;
} titles[] = {
    {400, "Bad Request", "malformed request"},
    {404, "Not Found", "there are /mutate and /validate"},
    {405, "Method Not Allowed", "use POST"},
    {413, "Content Too Large", "the body is larger than the limit"},
    {415, "Unsupported Media Type", "the body must be application/json"},
    {500, "Internal Server Error", "the request failed"},
    {503, "Service Unavailable", "not ready yet"},
};

static const struct title *
http_title(unsigned status)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(titles); i++)
		if (titles[i].status == status)
			return &titles[i];
	return &titles[0];
}

static void
http_header(h2o_req_t *req, const h2o_token_t *token, const char *value)
{
	h2o_add_header(&req->pool, &req->res.headers, token, NULL, value, strlen(value));
}

/* Sends a body, which is copied. */
static void
http_send(struct sq_server *s, h2o_req_t *req, unsigned status, const char *reason,
    const char *type, const struct sq_buf *body)
{
	req->res.status = (int)status;
	req->res.reason = reason;
	req->res.content_length = sq_buf_len(body);
	http_header(req, H2O_TOKEN_CONTENT_TYPE, type);
	if (atomic_load_explicit(&s->parting, memory_order_relaxed))
		req->http1_is_persistent = 0;
	h2o_send_inline(req, (const char *)sq_buf_data(body), sq_buf_len(body));
}

/* Appends text within a JSON string. */
static void
http_quote(struct sq_buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			sq_buf_u8(out, '\\');
		sq_buf_u8(out, c < 0x20 ? ' ' : c);
	}
}

static void
http_problem(struct sq_server *s, h2o_req_t *req, unsigned status, const struct sq_buf *detail)
{
	const struct title *t = http_title(status);
	struct sq_buf body = {0};

	sq_buf_printf(&body,
	    "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":\"", t->title,
	    status);
	if (detail != NULL && sq_buf_len(detail) > 0)
		http_quote(&body, (const char *)sq_buf_data(detail), sq_buf_len(detail));
	else
		sq_buf_printf(&body, "%s", t->detail);
	sq_buf_printf(&body, "\"}\n");
	http_send(s, req, status, t->title, "application/problem+json", &body);
	sq_buf_fini(&body);
}

/* The path without its query; SQ_PATHS: none of ours. */
static enum sq_server_path
http_path(const h2o_req_t *req)
{
	size_t i = 0;

	while (i < SQ_PATHS &&
	    !h2o_memis(
		req->path_normalized.base, req->path_normalized.len, paths[i], strlen(paths[i])))
		i++;
	return (enum sq_server_path)i;
}

/* application/json, with or without parameters (RFC 9110 §8.3). */
static bool
http_is_json(const h2o_req_t *req)
{
	static const char json[] = "application/json";
	ssize_t i = h2o_find_header(&req->headers, H2O_TOKEN_CONTENT_TYPE, -1);
	const size_t n = sizeof json - 1;
	h2o_iovec_t v;

	if (i < 0)
		return false;
	v = req->headers.entries[i].value;
	return v.len >= n && h2o_lcstris(v.base, n, json, n) &&
	    (v.len == n || v.base[n] == ';' || v.base[n] == ' ' || v.base[n] == '\t');
}

/* 0, or the status of a request that nobody needs to see. */
static unsigned
http_check(const struct sq_server *s, h2o_req_t *req)
{
	if (http_path(req) == SQ_PATHS)
		return 404;
	if (!h2o_memis(req->method.base, req->method.len, H2O_STRLIT("POST"))) {
		http_header(req, H2O_TOKEN_ALLOW, "POST");
		return 405;
	}
	if (!http_is_json(req))
		return 415;
	return req->entity.len > s->cfg.max_body ? 413 : 0;
}

/* h2o is done with a request: its answer is sent, or its connection is gone. */
static void
http_done(void *p)
{
	struct sq_server_conn *c = *(struct sq_server_conn **)p;

	c->answering = false;
	c->answered = true;
	c->since_ms = c->idle_ms = c->server->now_ms;
}

int
sq_server_on_req(h2o_handler_t *self, h2o_req_t *req)
{
	struct sq_server *s = ((struct sq_server_handler *)(void *)self)->server;
	struct sq_server_conn *c = sq_server_conn_of(req);
	struct sq_buf out = {0};
	unsigned status = http_check(s, req);

	c->answering = true;
	c->since_ms = s->now_ms;
	*(struct sq_server_conn **)h2o_mem_alloc_shared(&req->pool, sizeof c, http_done) = c;
	if (status != 0)
		sq_server_count(s, SQ_IM_BAD_REQUESTS);
	else
		status = s->cfg.answer(
		    s->cfg.owner, http_path(req), req->entity.base, req->entity.len, &out);
	if (status == 200)
		http_send(s, req, 200, "OK", "application/json", &out);
	else
		http_problem(s, req, status, &out);
	sq_buf_fini(&out);
	return 0;
}
