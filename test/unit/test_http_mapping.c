/* What the broker answers, as problems of the HTTP API. */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/front/http/mapping.h"
#include "broker/port/verdict.h"
#include "proto/link/refusal.h"
#include "proto/mqtt/reason.h"

static const char *
said(struct sq_http_fault *f)
{
	sq_buf_u8(&f->detail, '\0');
	return (const char *)sq_buf_data(&f->detail);
}

Test(http_mapping, a_verdict_that_may_pass_is_a_problem_that_may)
{
	for (unsigned v = SQ_VERDICT_OK + 1; v < SQ_VERDICT_COUNT; v++) {
		struct sq_call c = {.verdict = (enum sq_verdict)v, .retry_after_s = 7};
		struct sq_http_fault f = {0};
		const struct sq_verdict_row *row = sq_verdict_row(c.verdict);

		sq_http_fault_of_call(&f, &c, NULL);
		if (row->retryable)
			cr_assert_eq(sq_http_fault_retry_s(&f), 7, "%s", row->name);
		if (row->http < 500 && row->http != 409 && row->http != 410)
			cr_assert_eq(
			    sq_http_problem_row(f.problem)->status, row->http, "%s", row->name);
		cr_assert_str_eq(said(&f), row->text);
		sq_http_fault_fini(&f);
	}
}

Test(http_mapping, a_call_says_its_own_detail)
{
	struct sq_call c = {.verdict = SQ_VERDICT_RECOVERING, .detail = "sessions are coming back"};
	struct sq_http_fault f = {0};

	sq_http_fault_of_call(&f, &c, NULL);
	cr_assert_eq(f.problem, SQ_HTTP_RECOVERING);
	cr_assert_str_eq(said(&f), "sessions are coming back");
	sq_http_fault_fini(&f);
	c.verdict = SQ_VERDICT_BUSY;
	sq_http_fault_of_call(&f, &c, NULL);
	cr_assert_eq(f.problem, SQ_HTTP_BUSY);
	sq_http_fault_fini(&f);
}

static void
refused(enum sq_refusal refusal, enum sq_http_problem want)
{
	struct sq_published p = {.how = SQ_PUBLISHED_REFUSED,
	    .code = SQ_MQTT_RC_QUOTA_EXCEEDED,
	    .refusal = (uint8_t)refusal,
	    .note = sq_bytes_of("why"),
	    .queue = "q"};
	struct sq_http_fault f = {0};

	sq_http_fault_of_published(&f, &p);
	cr_assert_eq(f.problem, want, "%s", sq_refusal_name(refusal));
	cr_assert_str_eq(f.queue, "q");
	cr_assert_str_eq(said(&f), "why");
	p.note = (struct sq_bytes){0};
	sq_http_fault_of_published(&f, &p);
	cr_assert_str_eq(said(&f), "Quota exceeded");
	sq_http_fault_fini(&f);
}

Test(http_mapping, each_refusal_is_a_problem)
{
	refused(SQ_REFUSAL_PROPERTY, SQ_HTTP_INVALID_PROPERTY);
	refused(SQ_REFUSAL_TOPIC, SQ_HTTP_INVALID_TOPIC);
	refused(SQ_REFUSAL_DENIED, SQ_HTTP_FORBIDDEN);
	refused(SQ_REFUSAL_QUOTA, SQ_HTTP_QUOTA);
	refused(SQ_REFUSAL_QUEUE_FULL, SQ_HTTP_QUEUE_FULL);
	refused(SQ_REFUSAL_STORE_FULL, SQ_HTTP_STORE_STALLED);
	refused(SQ_REFUSAL_DEAD_LETTERS_FULL, SQ_HTTP_QUEUE_FULL);
	refused(SQ_REFUSAL_UNMATCHED, SQ_HTTP_NO_SUBSCRIBERS);
	refused(SQ_REFUSAL_MEMORY, SQ_HTTP_BUSY);
	refused(SQ_REFUSAL_OTHER, SQ_HTTP_FAILED);
	refused(SQ_REFUSAL_COUNT, SQ_HTTP_FAILED);
}

Test(http_mapping, what_never_fits_is_too_large)
{
	struct sq_published p = {.how = SQ_PUBLISHED_REFUSED,
	    .code = SQ_MQTT_RC_IMPLEMENTATION,
	    .refusal = SQ_REFUSAL_QUOTA};
	struct sq_http_fault f = {0};

	sq_http_fault_of_published(&f, &p);
	cr_assert_eq(f.problem, SQ_HTTP_TOO_LARGE);
	sq_http_fault_fini(&f);
}

Test(http_mapping, a_key_that_is_anothers_says_so_without_it)
{
	struct sq_published p = {.how = SQ_PUBLISHED_KEY_REUSED};
	struct sq_http_fault f = {0};

	sq_http_fault_of_published(&f, &p);
	cr_assert_eq(f.problem, SQ_HTTP_KEY_REUSED);
	cr_assert_not_null(strstr(said(&f), "another topic or another body"));
	sq_http_fault_fini(&f);
}

Test(http_mapping, what_was_taken_has_a_word)
{
	cr_assert_str_eq(sq_http_outcome(SQ_PUBLISHED_STORED)->word, "stored");
	cr_assert_eq(sq_http_outcome(SQ_PUBLISHED_ACCEPTED)->status, 202);
	cr_assert_null(sq_http_outcome(SQ_PUBLISHED_REFUSED));
	cr_assert_null(sq_http_outcome(SQ_PUBLISHED_KEY_REUSED));
}

Test(http_mapping, what_becomes_of_a_call_about_a_queue_is_a_problem)
{
	static const struct {
		enum sq_queue_how how;
		unsigned status;
		const char *slug;
	} rows[] = {
	    {SQ_QUEUE_MISSING, 404, "not-found"},
	    {SQ_QUEUE_DENIED, 403, "forbidden"},
	    {SQ_QUEUE_INVALID, 422, "invalid-property"},
	    {SQ_QUEUE_CONFLICT, 409, "conflict"},
	    {SQ_QUEUE_NOT_EMPTY, 409, "not-empty"},
	    {SQ_QUEUE_IN_FILE, 409, "declared-in-file"},
	    {SQ_QUEUE_CHANGED, 412, "changed"},
	    {SQ_QUEUE_LOST, 409, "lease-lost"},
	    {SQ_QUEUE_KEY_REUSED, 422, "key-reused"},
	    {SQ_QUEUE_TOO_LARGE, 413, "too-large"},
	    {SQ_QUEUE_CROWDED, 429, "too-many-waiting"},
	    {SQ_QUEUE_NO_ROOM, 429, "quota"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct sq_call c = {.verdict = SQ_VERDICT_OK, .out.queue.how = rows[i].how};
		struct sq_http_fault f = {0};

		sq_buf_printf(&c.out.queue.detail, "because");
		sq_http_fault_of_queue(&f, &c, NULL);
		cr_expect_eq(sq_http_problem_row(f.problem)->status, rows[i].status, "%zu", i);
		cr_expect_str_eq(sq_http_problem_row(f.problem)->slug, rows[i].slug);
		cr_expect_not_null(strstr(said(&f), "because"));
		sq_queue_out_fini(&c.out.queue);
		sq_http_fault_fini(&f);
	}
}

Test(http_mapping, a_refused_message_of_a_settle_is_its_own_problem)
{
	const struct sq_published p[] = {{.how = SQ_PUBLISHED_NOT},
	    {.how = SQ_PUBLISHED_REFUSED, .refusal = SQ_REFUSAL_QUEUE_FULL}};
	struct sq_call c = {.verdict = SQ_VERDICT_OK,
	    .out.queue = {.how = SQ_QUEUE_UNPUBLISHED, .culprit = 1, .published = p}};
	struct sq_http_fault f = {0};

	sq_http_fault_of_queue(&f, &c, NULL);
	cr_assert_eq(f.problem, SQ_HTTP_QUEUE_FULL);
	sq_http_fault_fini(&f);
}
