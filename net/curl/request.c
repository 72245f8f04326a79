/* What of sq_out is but a request's: its headers, its answer, words. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/http_token.h"
#include "net/curl/out.h"

static const char *const end_names[] = {
    [SQ_OUT_ANSWERED] = "answered",
    [SQ_OUT_FORBIDDEN] = "forbidden",
    [SQ_OUT_UNREACHABLE] = "unreachable",
    [SQ_OUT_TIMEOUT] = "timeout",
    [SQ_OUT_CROWDED] = "crowded",
    [SQ_OUT_CUT] = "cut",
    [SQ_OUT_TOO_LARGE] = "too-large",
    [SQ_OUT_INVALID] = "invalid",
    [SQ_OUT_CANCELLED] = "cancelled",
};

const char *
sq_out_end_name(enum sq_out_end end)
{
	return end_names[end];
}

/* How a request is framed, and to whom it goes, is not the user's (RFC 9110 §7.6.1). */
static const char *const header_ours[] = {"connection", "content-length", "expect", "host",
    "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"};

/* Whether it is a token (RFC 9110 §5.6.2) that is not ours. */
static bool
header_is_name(const char *name)
{
	for (size_t i = 0; i < sizeof header_ours / sizeof *header_ours; i++)
		if (strcasecmp(name, header_ours[i]) == 0)
			return false;
	return sq_http_token_good(name, strlen(name));
}

/* Makes room, without a copy of secrets in memory that is given back. */
static void
header_room(struct sq_buf *b, size_t n)
{
	struct sq_buf more = {0};

	if (b->cap - b->end >= n)
		return;
	(void)sq_buf_reserve(&more, 2 * sq_buf_len(b) + n);
	if (sq_buf_len(b) > 0)
		sq_buf_append(&more, sq_buf_data(b), sq_buf_len(b));
	sq_buf_wipe(b);
	*b = more;
}

int
sq_out_header(struct sq_out_request *req, const char *name, struct sq_bytes value)
{
	size_t len = strlen(name);

	while (value.len > 0 && (value.p[0] == ' ' || value.p[0] == '\t'))
		value.p++, value.len--;
	while (value.len > 0 && (value.p[value.len - 1] == ' ' || value.p[value.len - 1] == '\t'))
		value.len--;
	for (size_t i = 0; i < value.len; i++)
		if ((value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
			return SQ_EINVAL;
	if (!header_is_name(name))
		return SQ_EINVAL;
	header_room(&req->headers, len + value.len + 3);
	sq_buf_append(&req->headers, name, len);
	if (value.len > 0) {
		sq_buf_append(&req->headers, ": ", 2);
		sq_buf_append(&req->headers, value.p, value.len);
	} else {
		sq_buf_u8(&req->headers, ';'); /* libcurl's way to have none */
	}
	sq_buf_u8(&req->headers, 0);
	return SQ_OK;
}

struct sq_bytes
sq_out_answer_header(const struct sq_out_request *req, const char *name)
{
	const char *at = (const char *)sq_buf_data(&req->answer_headers);
	size_t len = sq_buf_len(&req->answer_headers);
	const char *end = len > 0 ? at + len : at;

	while (at < end) {
		const char *value = at + strlen(at) + 1;

		if (strcmp(at, name) == 0)
			return sq_bytes_of(value);
		at = value + strlen(value) + 1;
	}
	return (struct sq_bytes){0};
}

void
sq_out_request_fini(struct sq_out_request *req)
{
	sq_buf_wipe(&req->headers);
	sq_buf_wipe(&req->sign);
	sq_buf_wipe(&req->answer_headers);
	sq_buf_wipe(&req->answer);
}
