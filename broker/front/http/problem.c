/* See broker/front/http/problem.h. */
#include "broker/front/http/problem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "core/utf8.h"

enum { NAME_SHOWN_MAX = 64 };

#define PROBLEM_ROW(symbol, slug, status, retryable, title) \
	[SQ_HTTP_##symbol] = {slug, title, status, retryable},

static const struct sq_http_problem_row rows[] = {SQ_HTTP_PROBLEMS(PROBLEM_ROW)};

const struct sq_http_problem_row *
sq_http_problem_row(enum sq_http_problem problem)
{
	assert(problem < SQ_HTTP_PROBLEM_COUNT);
	return &rows[problem];
}

enum sq_http_problem
sq_http_problem_first(unsigned status)
{
	for (unsigned i = 0; i < SQ_HTTP_PROBLEM_COUNT; i++)
		if (rows[i].status == status)
			return (enum sq_http_problem)i;
	return SQ_HTTP_FAILED;
}

int
sq_http_fault_say(struct sq_http_fault *f, enum sq_http_problem problem, const char *fmt, ...)
{
	va_list ap;
	int n;

	f->problem = problem;
	sq_buf_drain(&f->detail, sq_buf_len(&f->detail));
	va_start(ap, fmt);
	n = vsnprintf(
	    (char *)sq_buf_reserve(&f->detail, SQ_HTTP_DETAIL_MAX), SQ_HTTP_DETAIL_MAX, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	sq_buf_commit(&f->detail, n < SQ_HTTP_DETAIL_MAX ? (size_t)n : SQ_HTTP_DETAIL_MAX - 1);
	return SQ_EINVAL;
}

void
sq_http_fault_name(struct sq_http_fault *f, struct sq_bytes name)
{
	sq_buf_u8(&f->detail, '"');
	for (size_t i = 0; i < name.len && i < NAME_SHOWN_MAX; i++) {
		bool plain = name.p[i] >= 0x20 && name.p[i] < 0x7f && name.p[i] != '"';

		sq_buf_u8(&f->detail, plain ? name.p[i] : '?');
	}
	sq_buf_append(&f->detail, "...\"", name.len > NAME_SHOWN_MAX ? 4 : 0);
	if (name.len <= NAME_SHOWN_MAX)
		sq_buf_u8(&f->detail, '"');
}

unsigned
sq_http_fault_retry_s(const struct sq_http_fault *f)
{
	if (!rows[f->problem].retryable)
		return 0;
	return f->retry_after_s > 0 ? f->retry_after_s : 1;
}

/* Appends text within a JSON string. */
static void
problem_text(struct sq_buf *out, const void *text, size_t len)
{
	struct sq_buf mended = {0};

	sq_utf8_mend(&mended, text, len);
	for (size_t i = 0; i < sq_buf_len(&mended); i++) {
		unsigned char c = sq_buf_data(&mended)[i];

		if (c == '"' || c == '\\')
			sq_buf_u8(out, '\\');
		sq_buf_u8(out, c < 0x20 || c == 0x7f ? ' ' : c);
	}
	sq_buf_fini(&mended);
}

void
sq_http_fault_write(const struct sq_http_fault *f, const char *request_id, struct sq_buf *out)
{
	const struct sq_http_problem_row *row = &rows[f->problem];

	sq_buf_printf(out,
	    "{\"type\":\"" SQ_HTTP_PROBLEM_BASE "%s\",\"title\":\"%s\",\"status\":%u,\"detail\":\"",
	    row->slug, row->title, row->status);
	if (sq_buf_len(&f->detail) > 0)
		problem_text(out, sq_buf_data(&f->detail), sq_buf_len(&f->detail));
	else
		problem_text(out, row->title, strlen(row->title));
	if (f->queue != NULL) {
		sq_buf_printf(out, "\",\"queue\":\"");
		problem_text(out, f->queue, strlen(f->queue));
	}
	sq_buf_u8(out, '"');
	if (row->retryable)
		sq_buf_printf(out, ",\"retry-after\":%u", sq_http_fault_retry_s(f));
	sq_buf_printf(out, ",\"request-id\":\"%s\"}\n", request_id);
}

void
sq_http_fault_fini(struct sq_http_fault *f)
{
	sq_buf_fini(&f->detail);
}
