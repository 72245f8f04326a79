/* Problems of the HTTP API as JSON. */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/front/http/problem.h"

static void
says(struct sq_http_fault *f, const char *want)
{
	struct sq_buf out = {0};

	sq_http_fault_write(f, "7", NULL, &out);
	sq_buf_u8(&out, '\0');
	cr_assert_str_eq((const char *)sq_buf_data(&out), want);
	sq_buf_fini(&out);
	sq_http_fault_fini(f);
}

Test(http_problem, a_problem_is_one_line_of_json)
{
	struct sq_http_fault f = {0};

	cr_assert_eq(sq_http_fault_say(&f, SQ_HTTP_QUEUE_FULL, "queue \"%s\\\x01\xff", "billing"),
	    SQ_EINVAL);
	f.queue = "bil\"ling";
	f.retry_after_s = 5;
	says(&f,
	    "{\"type\":\"https://sqmqos.io/problems/queue-full\",\"title\":\"A queue is full\","
	    "\"status\":429,\"detail\":\"queue \\\"billing\\\\\\u0001\xef\xbf\xbd\","
	    "\"queue\":\"bil\\\"ling\",\"retry-after\":5,\"request-id\":\"7\"}\n");
}

Test(http_problem, without_a_detail_it_says_its_title)
{
	struct sq_http_fault f = {.problem = SQ_HTTP_FORBIDDEN, .retry_after_s = 5};

	says(&f,
	    "{\"type\":\"https://sqmqos.io/problems/forbidden\",\"title\":\"The caller may not do "
	    "that\",\"status\":403,\"detail\":\"The caller may not do that\","
	    "\"request-id\":\"7\"}\n");
}

Test(http_problem, a_long_detail_is_cut)
{
	struct sq_http_fault f = {0};
	char text[2 * SQ_HTTP_DETAIL_MAX];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	(void)sq_http_fault_say(&f, SQ_HTTP_FAILED, "%s", text);
	cr_assert_eq(sq_buf_len(&f.detail), SQ_HTTP_DETAIL_MAX - 1);
	sq_http_fault_fini(&f);
}

Test(http_problem, the_table_holds_together)
{
	for (unsigned i = 0; i < SQ_HTTP_PROBLEM_COUNT; i++) {
		const struct sq_http_problem_row *row = sq_http_problem_row(i);
		struct sq_http_fault f = {.problem = (enum sq_http_problem)i};
		bool again = row->status == 429 || row->status >= 500;

		cr_assert(row->status >= 400 && row->status < 600);
		cr_assert_eq(row->retryable, again, "%s", row->slug);
		cr_assert_eq(sq_http_fault_retry_s(&f), again ? 1 : 0);
		cr_assert_eq(
		    sq_http_problem_row(sq_http_problem_first(row->status))->status, row->status);
	}
	cr_assert_eq(sq_http_problem_first(507), SQ_HTTP_FAILED);
}
