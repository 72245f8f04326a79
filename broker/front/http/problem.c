/* See broker/front/http/problem.h. */
#include "broker/front/http/problem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "proto/json/write.h"

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

static void
problem_member(struct sq_buf *out, const char *name, struct sq_bytes text)
{
	sq_buf_printf(out, ",\"%s\":", name);
	sq_json_put_string(out, text);
}

static void
problem_rest(const struct sq_http_fault *f, struct sq_buf *out)
{
	const struct sq_http_problem_row *row = &rows[f->problem];
	struct sq_bytes detail = {sq_buf_data(&f->detail), sq_buf_len(&f->detail)};

	sq_buf_printf(out, ",\"status\":%u", row->status);
	problem_member(out, "detail", detail.len > 0 ? detail : sq_bytes_of(row->title));
	if (f->queue != NULL)
		problem_member(out, "queue", sq_bytes_of(f->queue));
	if (f->pointer[0] != '\0')
		problem_member(out, "pointer", sq_bytes_of(f->pointer));
	if (row->retryable)
		sq_buf_printf(out, ",\"retry-after\":%u", sq_http_fault_retry_s(f));
}

void
sq_http_fault_at(struct sq_http_fault *f, const char *list, size_t i)
{
	(void)snprintf(f->pointer, sizeof f->pointer, "%s%s/%zu", list != NULL ? "/" : "",
	    list != NULL ? list : "", i);
}

void
sq_http_fault_write_short(const struct sq_http_fault *f, struct sq_buf *out)
{
	sq_buf_printf(out, "\"type\":\"%s\"", rows[f->problem].slug);
	problem_rest(f, out);
}

void
sq_http_fault_write(const struct sq_http_fault *f, const char *request_id,
    const struct sq_buf *more, struct sq_buf *out)
{
	const struct sq_http_problem_row *row = &rows[f->problem];

	sq_buf_printf(out, "{\"type\":\"" SQ_HTTP_PROBLEM_BASE "%s\"", row->slug);
	problem_member(out, "title", sq_bytes_of(row->title));
	problem_rest(f, out);
	problem_member(out, "request-id", sq_bytes_of(request_id));
	if (more != NULL)
		sq_buf_append(out, sq_buf_data(more), sq_buf_len(more));
	sq_buf_printf(out, "}\n");
}

void
sq_http_fault_fini(struct sq_http_fault *f)
{
	sq_buf_fini(&f->detail);
}
