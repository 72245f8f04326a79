/* broker/auth: tokens from a file, and what a header must look like. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/auth.h"

static char path[] = "/tmp/sq_test_auth_XXXXXX";
static struct sq_auth *auth;
static struct sq_buf err;

static void
tokens(const char *text)
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
	sq_auth_free(&auth);
	sq_buf_fini(&err);
	unlink(path);
}

TestSuite(auth, .init = setup, .fini = tidy);

static int
check(const char *header)
{
	struct sq_identity who;

	return sq_auth_check(
	    auth, (struct sq_bytes){(const unsigned char *)header, strlen(header)}, &who);
}

Test(auth, without_a_file_everybody_passes_as_nobody)
{
	struct sq_identity who = {9};

	auth = sq_auth_new("", &err);
	cr_assert_eq(sq_auth_check(auth, (struct sq_bytes){NULL, 0}, &who), SQ_OK);
	cr_assert_eq(who.id, 0);
}

Test(auth, only_the_tokens_of_the_file_pass)
{
	struct sq_identity who = {0};

	tokens("  first-token \r\n\nsecond\n");
	auth = sq_auth_new(path, &err);
	cr_assert_not_null(auth);
	cr_assert_eq(check("Bearer first-token"), SQ_OK);
	cr_assert_eq(check("bearer second"), SQ_OK);
	cr_assert_eq(check("Bearer first-token "), SQ_EDENIED);
	cr_assert_eq(check("Bearer first-toke"), SQ_EDENIED);
	cr_assert_eq(check("Bearer first-tokeN"), SQ_EDENIED);
	cr_assert_eq(check("Bearer "), SQ_EDENIED);
	cr_assert_eq(check("Bearer"), SQ_EDENIED);
	cr_assert_eq(check("Basic second"), SQ_EDENIED);
	cr_assert_eq(check("second"), SQ_EDENIED);
	cr_assert_eq(sq_auth_check(auth, (struct sq_bytes){NULL, 0}, &who), SQ_EDENIED);
}

Test(auth, a_changed_file_is_read_again_and_a_bad_one_is_not_believed)
{
	tokens("old\n");
	auth = sq_auth_new(path, &err);
	tokens("old\nnew\n");
	cr_assert_eq(check("Bearer new"), SQ_EDENIED);
	sq_auth_refresh(auth);
	cr_assert_eq(check("Bearer new"), SQ_OK);
	cr_assert_eq(check("Bearer old"), SQ_OK);
	tokens("new\n");
	sq_auth_refresh(auth);
	cr_assert_eq(check("Bearer old"), SQ_EDENIED);
	tokens("\n");
	sq_auth_refresh(auth);
	cr_assert_eq(check("Bearer new"), SQ_OK);
	unlink(path);
	sq_auth_refresh(auth);
	cr_assert_eq(check("Bearer new"), SQ_OK);
}

Test(auth, says_which_file_is_missing_or_empty)
{
	auth = sq_auth_new("/nonexistent/token", &err);
	cr_assert_null(auth);
	sq_buf_u8(&err, 0);
	cr_assert_str_eq((char *)sq_buf_data(&err),
	    "auth.token-file: /nonexistent/token: No such file or directory");
	sq_buf_fini(&err);
	auth = sq_auth_new(path, &err);
	cr_assert_null(auth);
	sq_buf_u8(&err, 0);
	cr_assert_not_null(strstr((char *)sq_buf_data(&err), "no token in it"));
}
