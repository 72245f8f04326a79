#include <criterion/criterion.h>

#include "core/http_token.h"

Test(http_token, has_letters_digits_and_some_marks)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (int c = 0; c < 256; c++) {
		char one = (char)c;
		bool word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z');
		bool mark = false;

		for (size_t i = 0; i + 1 < sizeof marks; i++)
			mark = mark || marks[i] == one;
		cr_expect_eq(sq_http_token_good(&one, 1), word || mark, "%d", c);
	}
}

Test(http_token, is_not_empty_and_good_as_a_whole)
{
	cr_expect_not(sq_http_token_good("", 0));
	cr_expect_not(sq_http_token_good(NULL, 0));
	cr_expect(sq_http_token_good("x-tenant", 8));
	cr_expect_not(sq_http_token_good("x tenant", 8));
	cr_expect_not(sq_http_token_good("x-\0", 3));
}
