/* Buckets of publishes, and counts of answers. */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/front/http/counts.h"
#include "broker/front/http/rate.h"

Test(http_rate, a_bucket_holds_those_of_a_second)
{
	struct sq_http_rate *r = sq_http_rate_new(10);

	for (int i = 0; i < 10; i++)
		cr_assert(sq_http_rate_take(r, 1, 1, 5000));
	cr_assert_not(sq_http_rate_take(r, 1, 1, 5000));
	cr_assert(sq_http_rate_take(r, 2, 10, 5000), "another identity has its own");
	cr_assert_not(sq_http_rate_take(r, 1, 1, 5099));
	cr_assert(sq_http_rate_take(r, 1, 1, 5100));
	cr_assert_not(sq_http_rate_take(r, 1, 1, 5100));
	cr_assert_not(sq_http_rate_take(r, 1, 1, 4000), "a clock that goes back gives nothing");
	cr_assert(sq_http_rate_take(r, 1, 10, 100000));
	cr_assert_not(sq_http_rate_take(r, 1, 11, 200000), "more than it can hold");
	sq_http_rate_free(&r);
	cr_assert_null(r);
}

Test(http_rate, a_sweep_drops_full_ones_alone)
{
	struct sq_http_rate *r = sq_http_rate_new(1);

	cr_assert(sq_http_rate_take(r, 1, 1, 0));
	sq_http_rate_sweep(r, 500);
	cr_assert_not(sq_http_rate_take(r, 1, 1, 500));
	sq_http_rate_sweep(r, 1000);
	cr_assert(sq_http_rate_take(r, 1, 1, 1000));
	sq_http_rate_free(&r);
}

Test(http_rate, those_above_the_table_share_one)
{
	struct sq_http_rate *r = sq_http_rate_new(2);

	for (uint64_t i = 0; i < SQ_HTTP_RATE_IDENTITIES; i++)
		cr_assert(sq_http_rate_take(r, i, 1, 1));
	cr_assert(sq_http_rate_take(r, UINT64_MAX, 1, 1));
	cr_assert(sq_http_rate_take(r, UINT64_MAX - 1, 1, 1));
	cr_assert_not(sq_http_rate_take(r, UINT64_MAX - 2, 1, 1));
	cr_assert(sq_http_rate_take(r, 0, 1, 1));
	sq_http_rate_free(&r);
}

Test(http_rate, answers_are_counted_by_resource_and_status)
{
	static struct sq_http_counts c;
	struct sq_buf out = {0};
	const char *text;

	sq_http_counts_add(&c, SQ_HTTP_RESOURCE_PUBLISH, 200);
	sq_http_counts_add(&c, SQ_HTTP_RESOURCE_PUBLISH, 422);
	sq_http_counts_add(&c, SQ_HTTP_RESOURCE_PUBLISH, 422);
	sq_http_counts_add(&c, SQ_HTTP_RESOURCE_COUNT, 404);
	sq_http_counts_write(&c, &out);
	sq_buf_u8(&out, '\0');
	text = (const char *)sq_buf_data(&out);
	cr_assert_not_null(strstr(text, "{resource=\"publish\",status=\"200\"} 1\n"), "%s", text);
	cr_assert_not_null(strstr(text, "{resource=\"publish\",status=\"422\"} 2\n"), "%s", text);
	cr_assert_not_null(strstr(text, "{resource=\"none\",status=\"404\"} 1\n"), "%s", text);
	sq_buf_fini(&out);
}
