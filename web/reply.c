/* See web/reply.h. */
#include "web/reply.h"

#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "core/utf8.h"

static const struct reason {
	unsigned status;
	const char *text;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {207, "Multi-Status"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {409, "Conflict"},
    {410, "Gone"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

const char *
sq_reply_reason(unsigned status)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return status % 100 != 0 ? sq_reply_reason(status - status % 100) : "";
}

void
sq_reply_header(h2o_req_t *req, const h2o_token_t *name, const char *value)
{
	h2o_add_header(&req->pool, &req->res.headers, name, NULL, value, strlen(value));
}

/* Begins the response, and ends it with 'body' if that is not empty. */
static void
reply_whole(h2o_req_t *req, unsigned status, h2o_iovec_t body)
{
	static h2o_generator_t none = {NULL, NULL};

	req->res.status = (int)status;
	req->res.reason = sq_reply_reason(status);
	h2o_start_response(req, &none);
	h2o_send(req, &body, body.len > 0, H2O_SEND_STATE_FINAL);
}

void
sq_reply_empty(h2o_req_t *req, unsigned status)
{
	reply_whole(req, status, h2o_iovec_init(NULL, 0));
}

void
sq_reply_send_static(
    h2o_req_t *req, unsigned status, const char *type, const void *body, size_t len)
{
	bool head = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));

	req->res.content_length = len;
	sq_reply_header(req, H2O_TOKEN_CONTENT_TYPE, type);
	reply_whole(req, status, h2o_iovec_init(body, head ? 0 : len));
}

void
sq_reply_send(h2o_req_t *req, unsigned status, const char *type, const void *body, size_t len)
{
	h2o_iovec_t copy = {0};

	if (!h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD")))
		copy = h2o_strdup(&req->pool, body, len);
	sq_reply_send_static(req, status, type, copy.base, len);
}

/* Appends text within a JSON string. */
static void
reply_quote(struct sq_buf *out, const char *text, size_t len)
{
	struct sq_buf mended = {0};

	sq_utf8_mend(&mended, text, len);
	for (size_t i = 0; i < sq_buf_len(&mended); i++) {
		unsigned char c = sq_buf_data(&mended)[i];

		if (c == '"' || c == '\\')
			sq_buf_u8(out, '\\');
		sq_buf_u8(out, c < 0x20 ? ' ' : c);
	}
	sq_buf_fini(&mended);
}

void
sq_reply_problem(h2o_req_t *req, unsigned status, const char *detail, size_t len)
{
	struct sq_buf body = {0};

	sq_buf_printf(&body,
	    "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":\"",
	    sq_reply_reason(status), status);
	reply_quote(&body, detail, len);
	sq_buf_printf(&body, "\"}\n");
	sq_reply_send(
	    req, status, "application/problem+json", sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
}
