/* Percent-encoding, there and back. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/percent.h"

static void
put(const char *text, const char *want)
{
	struct sq_buf out = {0};
	char *back;

	sq_percent_put(&out, text);
	cr_assert_eq(sq_buf_len(&out), strlen(want), "%s", text);
	cr_assert_arr_eq(sq_buf_data(&out), want, strlen(want));
	back = sq_percent_decode(want, strlen(want));
	cr_assert_str_eq(back, text);
	free(back);
	sq_buf_fini(&out);
}

Test(percent, there_and_back)
{
	put("aZ09-._~", "aZ09-._~");
	put("a b&c=d", "a%20b%26c%3Dd");
	put("100%", "100%25");
	put("\xc3\xa4/#", "%C3%A4%2F%23");
}

static void
refuse(const char *text, size_t len)
{
	char *got = sq_percent_decode(text, len);

	cr_assert_null(got, "%s", text);
}

Test(percent, what_is_no_text_is_refused)
{
	refuse("%", 1);
	refuse("a%2", 3);
	refuse("%zz", 3);
	refuse("%2x", 3);
	refuse("%00", 3);
	refuse("%ff", 3);
	refuse("%C3", 3);
	refuse("a\0b", 3);
}

Test(percent, either_case_is_read)
{
	char *got = sq_percent_decode("%c3%A4", 6);

	cr_assert_str_eq(got, "\xc3\xa4");
	free(got);
}
