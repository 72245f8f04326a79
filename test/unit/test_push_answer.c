/* broker/push/answer.h: what answers mean, as tables. */
#include "broker/push/answer.h"

#include <criterion/criterion.h>
#include <string.h>

#define TEXT(s) ((struct sq_bytes){(const unsigned char *)(s), sizeof(s) - 1})

enum { NOW_S = 784111767 }; /* ten seconds before the date in RFC 9110's example */

struct answer {
	enum sq_out_end end;
	unsigned status;
	const char *after; /* NULL: no retry-after */
	const char *body;
};

static struct sq_push_judged
judged(const struct sq_declared_push *push, const struct answer *a)
{
	struct sq_out_request r = {.url = "https://x.example/", .end = a->end, .status = a->status};
	struct sq_push_judged j;

	if (a->after != NULL) {
		sq_buf_append(&r.answer_headers, "date\0x\0retry-after", 19);
		sq_buf_append(&r.answer_headers, a->after, strlen(a->after) + 1);
	}
	if (a->body != NULL)
		sq_buf_append(&r.answer, a->body, strlen(a->body));
	j = sq_push_judge(push, &r, NOW_S);
	sq_out_request_fini(&r);
	return j;
}

Test(push_answer, statuses)
{
	static const struct {
		unsigned status;
		enum sq_push_verdict verdict;
		bool healthy;
		enum sq_taker_never why; /* NEVER */
		const char *detail;
	} rows[] = {
	    {200, SQ_PUSH_OK, true, SQ_NEVER_REFUSED, "status 200"},
	    {202, SQ_PUSH_OK, true, SQ_NEVER_REFUSED, "status 202"},
	    {204, SQ_PUSH_OK, true, SQ_NEVER_REFUSED, "status 204"},
	    {299, SQ_PUSH_OK, true, SQ_NEVER_REFUSED, "status 299"},
	    {301, SQ_PUSH_FAILED, true, SQ_NEVER_REFUSED, "status 301, which is not followed"},
	    {307, SQ_PUSH_FAILED, true, SQ_NEVER_REFUSED, "status 307, which is not followed"},
	    {400, SQ_PUSH_NEVER, true, SQ_NEVER_REFUSED, "status 400"},
	    {401, SQ_PUSH_NEVER, true, SQ_NEVER_REFUSED, "status 401"},
	    {404, SQ_PUSH_NEVER, true, SQ_NEVER_REFUSED, "status 404"},
	    {406, SQ_PUSH_NEVER, true, SQ_NEVER_REFUSED, "status 406"},
	    {408, SQ_PUSH_FAILED, true, SQ_NEVER_REFUSED, "status 408"},
	    {409, SQ_PUSH_FAILED, true, SQ_NEVER_REFUSED, "status 409"},
	    {410, SQ_PUSH_PAUSE, true, SQ_NEVER_REFUSED, "status 410"},
	    {413, SQ_PUSH_NEVER, true, SQ_NEVER_TOO_LARGE, "status 413"},
	    {415, SQ_PUSH_NEVER, true, SQ_NEVER_REFUSED, "status 415"},
	    {422, SQ_PUSH_NEVER, true, SQ_NEVER_REFUSED, "status 422"},
	    {425, SQ_PUSH_FAILED, true, SQ_NEVER_REFUSED, "status 425"},
	    {429, SQ_PUSH_LATER, true, SQ_NEVER_REFUSED, "status 429"},
	    {499, SQ_PUSH_NEVER, true, SQ_NEVER_REFUSED, "status 499"},
	    {500, SQ_PUSH_FAILED, false, SQ_NEVER_REFUSED, "status 500"},
	    {501, SQ_PUSH_FAILED, false, SQ_NEVER_REFUSED, "status 501"},
	    {502, SQ_PUSH_FAILED, false, SQ_NEVER_REFUSED, "status 502"},
	    {503, SQ_PUSH_LATER, false, SQ_NEVER_REFUSED, "status 503"},
	    {504, SQ_PUSH_FAILED, false, SQ_NEVER_REFUSED, "status 504"},
	    {599, SQ_PUSH_FAILED, false, SQ_NEVER_REFUSED, "status 599"},
	    {999, SQ_PUSH_FAILED, false, SQ_NEVER_REFUSED, "status 999"},
	    {101, SQ_PUSH_FAILED, false, SQ_NEVER_REFUSED, "status 101"},
	};
	const struct sq_declared_push push = {.batch.max = 1};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct sq_push_judged j = judged(
		    &push, &(struct answer){SQ_OUT_ANSWERED, rows[i].status, NULL, NULL});

		cr_expect_eq(j.verdict, rows[i].verdict, "%u: %d", rows[i].status, j.verdict);
		cr_expect_eq(j.healthy, rows[i].healthy, "%u", rows[i].status);
		cr_expect_str_eq(j.detail, rows[i].detail);
		cr_expect_eq(j.after_ms, 0);
		if (j.verdict == SQ_PUSH_NEVER)
			cr_expect_eq(j.why, rows[i].why, "%u", rows[i].status);
	}
}

Test(push_answer, what_is_declared_counts_more)
{
	struct sq_push_status dead[] = {{400, true}, {501, false}, {300, true}};
	struct sq_push_status retry[] = {{404, false}, {409, false}, {422, false}, {500, true}};
	struct sq_push_status pause[] = {{410, false}, {401, false}, {402, false}};
	const struct sq_declared_push push = {.batch.max = 1,
	    .on = {.dead_letter = {dead, 3}, .retry = {retry, 4}, .pause = {pause, 3}}};
	static const struct {
		unsigned status;
		enum sq_push_verdict verdict;
	} rows[] = {
	    {404, SQ_PUSH_FAILED},
	    {409, SQ_PUSH_FAILED},
	    {422, SQ_PUSH_FAILED},
	    {410, SQ_PUSH_PAUSE},
	    {401, SQ_PUSH_PAUSE},
	    {400, SQ_PUSH_NEVER},
	    {408, SQ_PUSH_NEVER},
	    {425, SQ_PUSH_NEVER},
	    {302, SQ_PUSH_NEVER},
	    {413, SQ_PUSH_NEVER},
	    {501, SQ_PUSH_NEVER},
	    {500, SQ_PUSH_FAILED},
	    /* Busy is no word about a message: its hundred does not mean it. */
	    {429, SQ_PUSH_LATER},
	    {503, SQ_PUSH_LATER},
	    {200, SQ_PUSH_OK},
	};
	struct sq_declared_push more = push;
	struct sq_push_judged j;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		j = judged(&push, &(struct answer){SQ_OUT_ANSWERED, rows[i].status, NULL, NULL});
		cr_expect_eq(j.verdict, rows[i].verdict, "%u: %d", rows[i].status, j.verdict);
	}
	j = judged(&push, &(struct answer){SQ_OUT_ANSWERED, 413, NULL, NULL});
	cr_expect_eq(j.why, SQ_NEVER_TOO_LARGE);
	more.on.pause.v[2] = (struct sq_push_status){503, false};
	more.on.dead_letter.v[2] = (struct sq_push_status){429, false};
	j = judged(&more, &(struct answer){SQ_OUT_ANSWERED, 503, NULL, NULL});
	cr_expect_eq(j.verdict, SQ_PUSH_PAUSE);
	j = judged(&more, &(struct answer){SQ_OUT_ANSWERED, 429, NULL, NULL});
	cr_expect_eq(j.verdict, SQ_PUSH_NEVER);
	cr_expect_eq(j.why, SQ_NEVER_REFUSED);
}

Test(push_answer, ends_without_an_answer)
{
	static const struct {
		enum sq_out_end end;
		enum sq_push_verdict verdict;
		bool unseen;
		const char *detail;
	} rows[] = {
	    {SQ_OUT_FORBIDDEN, SQ_PUSH_FAILED, true, "address not allowed by push.allow"},
	    {SQ_OUT_UNREACHABLE, SQ_PUSH_FAILED, false, "unreachable: no name"},
	    {SQ_OUT_TIMEOUT, SQ_PUSH_FAILED, false, "timeout: no name"},
	    {SQ_OUT_CUT, SQ_PUSH_FAILED, false, "cut: no name"},
	    {SQ_OUT_CROWDED, SQ_PUSH_LATER, true, "crowded: no name"},
	    {SQ_OUT_TOO_LARGE, SQ_PUSH_FAILED, false, "too-large: no name"},
	    {SQ_OUT_INVALID, SQ_PUSH_FAILED, true, "invalid: no name"},
	    {SQ_OUT_CANCELLED, SQ_PUSH_LATER, true, "cancelled: no name"},
	};
	const struct sq_declared_push push = {.batch.max = 1};
	struct sq_push_judged j;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct sq_out_request r = {
		    .url = "https://x.example/", .end = rows[i].end, .why = "no name"};

		j = sq_push_judge(&push, &r, NOW_S);
		cr_expect_eq(j.verdict, rows[i].verdict, "%zu", i);
		cr_expect_eq(j.unseen, rows[i].unseen, "%zu", i);
		cr_expect_not(j.healthy);
		cr_expect_str_eq(j.detail, rows[i].detail);
	}
	j = sq_push_judge(&push,
	    &(struct sq_out_request){.url = "https://x.example/\n", .end = SQ_OUT_INVALID}, NOW_S);
	cr_expect_eq(j.verdict, SQ_PUSH_NEVER);
	cr_expect_eq(j.why, SQ_NEVER_UNMAPPABLE);
}

Test(push_answer, bodies_of_what_was_taken)
{
	static const struct {
		uint32_t max;
		bool reply;
		enum sq_out_end end;
		const char *body;
		enum sq_push_verdict verdict;
	} rows[] = {
	    {1, false, SQ_OUT_ANSWERED, "{\"batchItemFailures\":[]}", SQ_PUSH_OK},
	    {1, false, SQ_OUT_TOO_LARGE, "", SQ_PUSH_OK},
	    {1, true, SQ_OUT_ANSWERED, "hi", SQ_PUSH_OK},
	    {1, true, SQ_OUT_TOO_LARGE, "", SQ_PUSH_OK},
	    {100, false, SQ_OUT_ANSWERED, " \r\n{\"x\":1}", SQ_PUSH_PARTLY},
	    {100, false, SQ_OUT_ANSWERED, "<html>", SQ_PUSH_OK},
	    {100, false, SQ_OUT_ANSWERED, "", SQ_PUSH_OK},
	    {100, false, SQ_OUT_ANSWERED, "  ", SQ_PUSH_OK},
	    {100, false, SQ_OUT_TOO_LARGE, "", SQ_PUSH_FAILED},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct sq_declared_push push = {
		    .batch.max = rows[i].max, .reply.from_request = rows[i].reply};
		struct sq_push_judged j = judged(
		    &push, &(struct answer){rows[i].end, 200, NULL, rows[i].body});

		cr_expect_eq(j.verdict, rows[i].verdict, "%zu: %d", i, j.verdict);
		cr_expect(j.healthy);
	}
}

Test(push_answer, a_batch_too_large_is_no_word_about_a_message)
{
	const struct sq_declared_push push = {.batch.max = 2};
	struct sq_push_judged j = judged(&push, &(struct answer){SQ_OUT_ANSWERED, 413, NULL, NULL});

	cr_expect_eq(j.verdict, SQ_PUSH_FAILED);
}

Test(push_answer, retry_after_in_seconds_and_as_a_date)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: none */
	} rows[] = {
	    {"0", 0},
	    {"120", 120000},
	    {"3601", 3601000},
	    {"0000010", 10000},
	    {"999999999999999999", (int64_t)UINT32_MAX * 1000},
	    {"9999999999999999999", -1},
	    {"Sun, 06 Nov 1994 08:49:37 GMT", 10000},
	    {"Sunday, 06-Nov-94 08:49:37 GMT", 10000},
	    {"Sun Nov  6 08:49:37 1994", 10000},
	    {"Sun, 06 Nov 1994 08:49:27 GMT", 0},
	    {"Sat, 05 Nov 1994 08:49:37 GMT", 0},
	    {"Mon, 06 Nov 9994 08:49:37 GMT", (int64_t)UINT32_MAX * 1000},
	    {"", -1},
	    {"-1", -1},
	    {"1.5", -1},
	    {"soon", -1},
	    {"10s", -1},
	    {"Sun, 06 Nov 1994 08:49:37 GMT+1", -1},
	    {"Sun, 06 Nov 1994 08:49:37", -1},
	    {"Sun, 06 Foo 1994 08:49:37 GMT", -1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t ms = 77;
		int rc = sq_push_retry_after(sq_bytes_of(rows[i].text), NOW_S, &ms);

		cr_expect_eq(rc, rows[i].ms >= 0 ? SQ_OK : SQ_EINVAL, "%s", rows[i].text);
		if (rows[i].ms >= 0)
			cr_expect_eq(ms, (uint64_t)rows[i].ms, "%s: %llu", rows[i].text,
			    (unsigned long long)ms);
	}
}

Test(push_answer, retry_after_counts_for_busy_targets_alone)
{
	static const struct {
		unsigned status;
		const char *after;
		uint64_t ms;
	} rows[] = {{429, "2", 2000}, {503, "Sun, 06 Nov 1994 08:49:37 GMT", 10000},
	    {503, "soon", 0}, {500, "2", 0}, {200, "2", 0}, {404, "2", 0}};
	const struct sq_declared_push push = {.batch.max = 1};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct sq_push_judged j = judged(
		    &push, &(struct answer){SQ_OUT_ANSWERED, rows[i].status, rows[i].after, NULL});

		cr_expect_eq(j.after_ms, rows[i].ms, "%u", rows[i].status);
	}
}

static void
failed(void *arg, size_t i)
{
	char *marks = arg;

	cr_assert(i < 3);
	marks[i] = 'x';
}

Test(push_answer, failures_of_a_batch)
{
#define ITEM(id) "{\"itemIdentifier\":" id "}"
#define LIST(items) "{\"batchItemFailures\":[" items "]}"
	static const struct {
		const char *body;
		int rc;
		const char *marks; /* of a, b\n, a */
	} rows[] = {
	    {"", SQ_ENOTFOUND, "..."},
	    {"ok", SQ_ENOTFOUND, "..."},
	    {"{}", SQ_ENOTFOUND, "..."},
	    {"[]", SQ_ENOTFOUND, "..."},
	    {"null", SQ_ENOTFOUND, "..."},
	    {"{\"x\":{\"batchItemFailures\":[]}}", SQ_ENOTFOUND, "..."},
	    {"{\"batchItemFailures\":null}", SQ_ENOTFOUND, "..."},
	    {LIST(""), SQ_OK, "..."},
	    {" " LIST(ITEM("\"b\\n\"")) " ", SQ_OK, ".x."},
	    {LIST(ITEM("\"\\u0061\"")), SQ_OK, "x.x"},
	    {LIST(ITEM("\"a\"") "," ITEM("\"b\\n\"")), SQ_OK, "xxx"},
	    {LIST("{\"x\":[1],\"itemIdentifier\":\"a\",\"y\":{},\"z\":null}"), SQ_OK, "x.x"},
	    {"{\"b\\u0061tchItemFailures\":[" ITEM("\"a\"") "],\"x\":[[[1]]]}", SQ_OK, "x.x"},
	    {LIST(ITEM("\"c\"")), SQ_EINVAL, NULL},
	    {LIST(ITEM("\"\"")), SQ_EINVAL, NULL},
	    {LIST(ITEM("null")), SQ_EINVAL, NULL},
	    {LIST(ITEM("1")), SQ_EINVAL, NULL},
	    {LIST("{}"), SQ_EINVAL, NULL},
	    {LIST("\"a\""), SQ_EINVAL, NULL},
	    {LIST("{\"itemIdentifier\":\"a\",\"itemIdentifier\":\"a\"}"), SQ_EINVAL, NULL},
	    {LIST(ITEM("\"a\"") "," ITEM("\"a\"") "," ITEM("\"a\"") "," ITEM("\"a\"")), SQ_EINVAL,
		NULL},
	    {"{\"batchItemFailures\":{}}", SQ_EINVAL, NULL},
	    {"{\"batchItemFailures\":\"a\"}", SQ_EINVAL, NULL},
	    {"{\"batchItemFailures\":[],\"batchItemFailures\":[]}", SQ_EINVAL, NULL},
	    {"{\"batchItemFailures\":[" ITEM("\"a\""), SQ_EINVAL, NULL},
	    {"{\"batchItemFai", SQ_ENOTFOUND, "..."},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char marks[] = "...";
		int rc = sq_push_failures(
		    sq_bytes_of(rows[i].body), TEXT("a\0b\n\0a\0"), 3, failed, marks);

		cr_expect_eq(rc, rows[i].rc, "%s: %d", rows[i].body, rc);
		if (rows[i].marks != NULL)
			cr_expect_str_eq(marks, rows[i].marks, "%s", rows[i].body);
	}
}
