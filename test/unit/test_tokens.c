/* broker/auth/tokens: tokens from a file, and what a header must look like. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/auth/tokens.h"

static char path[] = "/tmp/sq_test_tokens_XXXXXX";
static struct sq_tokens *tokens;
static struct sq_buf err;

static void
write_tokens(const char *text)
{
	char fresh[sizeof path + 4];
	FILE *f;

	snprintf(fresh, sizeof fresh, "%s.new", path);
	f = fopen(fresh, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
	cr_assert_eq(rename(fresh, path), 0); /* as a mounted Secret changes */
}

static void
setup(void)
{
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
}

static void
tidy(void)
{
	sq_tokens_free(&tokens);
	sq_buf_fini(&err);
	unlink(path);
}

TestSuite(tokens, .init = setup, .fini = tidy);

static int
check(const char *header)
{
	struct sq_identity who;

	return sq_tokens_check(
	    tokens, (struct sq_bytes){(const unsigned char *)header, strlen(header)}, &who);
}

Test(tokens, without_a_file_everybody_passes_as_nobody)
{
	struct sq_identity who = {.id = 9};

	tokens = sq_tokens_new("", &err);
	cr_assert_eq(sq_tokens_check(tokens, (struct sq_bytes){NULL, 0}, &who), SQ_OK);
	cr_assert_eq(who.id, 0);
}

Test(tokens, only_the_tokens_of_the_file_pass)
{
	struct sq_identity who = {.id = 0};

	write_tokens("  first-token \r\n\nsecond\n");
	tokens = sq_tokens_new(path, &err);
	cr_assert_not_null(tokens);
	cr_assert_eq(check("Bearer first-token"), SQ_OK);
	cr_assert_eq(check("bearer second"), SQ_OK);
	cr_assert_eq(check("Bearer first-token "), SQ_EDENIED);
	cr_assert_eq(check("Bearer first-toke"), SQ_EDENIED);
	cr_assert_eq(check("Bearer first-tokeN"), SQ_EDENIED);
	cr_assert_eq(check("Bearer "), SQ_EDENIED);
	cr_assert_eq(check("Bearer"), SQ_EDENIED);
	cr_assert_eq(check("Basic second"), SQ_EDENIED);
	cr_assert_eq(check("second"), SQ_EDENIED);
	cr_assert_eq(sq_tokens_check(tokens, (struct sq_bytes){NULL, 0}, &who), SQ_EDENIED);
}

Test(tokens, a_changed_file_is_read_again_and_a_bad_one_is_not_believed)
{
	write_tokens("old\n");
	tokens = sq_tokens_new(path, &err);
	write_tokens("old\nnew\n");
	cr_assert_eq(check("Bearer new"), SQ_EDENIED);
	sq_tokens_refresh(tokens);
	cr_assert_eq(check("Bearer new"), SQ_OK);
	cr_assert_eq(check("Bearer old"), SQ_OK);
	write_tokens("new\n");
	sq_tokens_refresh(tokens);
	cr_assert_eq(check("Bearer old"), SQ_EDENIED);
	write_tokens("\n");
	sq_tokens_refresh(tokens);
	cr_assert_eq(check("Bearer new"), SQ_OK);
	unlink(path);
	sq_tokens_refresh(tokens);
	cr_assert_eq(check("Bearer new"), SQ_OK);
}

Test(tokens, says_which_file_is_missing_or_empty)
{
	tokens = sq_tokens_new("/nonexistent/token", &err);
	cr_assert_null(tokens);
	sq_buf_u8(&err, 0);
	cr_assert_str_eq((char *)sq_buf_data(&err),
	    "auth.token-file: /nonexistent/token: No such file or directory");
	sq_buf_fini(&err);
	tokens = sq_tokens_new(path, &err);
	cr_assert_null(tokens);
	sq_buf_u8(&err, 0);
	cr_assert_not_null(strstr((char *)sq_buf_data(&err), "no token in it"));
}
