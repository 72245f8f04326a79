/* Requests of the webhook's server: what is asked and in which form, before a body
 * goes to the user, and the answers; see k8s/injector/server.h. */
#include "core/mem.h"
#include "k8s/injector/server_priv.h"
#include "proto/media/media.h"
#include "web/reply.h"

static const char *const paths[SQ_PATHS] = {
    [SQ_PATH_MUTATE] = "/mutate",
    [SQ_PATH_VALIDATE] = "/validate",
    [SQ_PATH_VALIDATE_ASKED] = "/validate/asked",
    [SQ_PATH_VALIDATE_UNASKED] = "/validate/unasked",
};

/* What is wrong, where the user does not say so. */
static const struct detail {
	unsigned status;
	const char *text;
} details[] = {
    {404, "there are /mutate and /validate"},
    {405, "use POST"},
    {413, "the body is larger than the limit"},
    {415, "the body must be application/json"},
    {500, "the request failed"},
    {503, "not ready yet"},
};

static const char *
http_detail(unsigned status)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(details); i++)
		if (details[i].status == status)
			return details[i].text;
	return "malformed request";
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
	ssize_t i = h2o_find_header(&req->headers, H2O_TOKEN_CONTENT_TYPE, -1);
	h2o_iovec_t v = i >= 0 ? req->headers.entries[i].value : (h2o_iovec_t){0};

	return sq_media_is((struct sq_bytes){(unsigned char *)v.base, v.len}, "application/json");
}

/* 0, or the status of a request that nobody needs to see. */
static unsigned
http_check(const struct sq_server *s, h2o_req_t *req)
{
	if (http_path(req) == SQ_PATHS)
		return 404;
	if (!h2o_memis(req->method.base, req->method.len, H2O_STRLIT("POST"))) {
		sq_reply_header(req, H2O_TOKEN_ALLOW, "POST");
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
	c->since_ms = c->idle_ms = sq_server_now_ms(c->server);
}

int
sq_server_on_req(h2o_handler_t *self, h2o_req_t *req)
{
	struct sq_server *s = ((struct sq_server_handler *)(void *)self)->server;
	struct sq_server_conn *c = sq_server_conn_of(req);
	struct sq_buf out = {0};
	unsigned status = http_check(s, req);

	c->answering = true;
	c->since_ms = sq_server_now_ms(s);
	*(struct sq_server_conn **)h2o_mem_alloc_shared(&req->pool, sizeof c, http_done) = c;
	if (status != 0)
		sq_server_count(s, SQ_IM_BAD_REQUESTS);
	else
		status = s->cfg.answer(
		    s->cfg.owner, http_path(req), req->entity.base, req->entity.len, &out);
	if (atomic_load_explicit(&s->parting, memory_order_relaxed))
		req->http1_is_persistent = 0;
	if (status != 200 && sq_buf_len(&out) == 0)
		sq_buf_printf(&out, "%s", http_detail(status));
	if (status == 200)
		sq_reply_send(req, 200, "application/json", sq_buf_data(&out), sq_buf_len(&out));
	else
		sq_reply_problem(req, status, (const char *)sq_buf_data(&out), sq_buf_len(&out));
	sq_buf_fini(&out);
	return 0;
}
