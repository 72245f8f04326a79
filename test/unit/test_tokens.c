/* broker/auth/tokens: tokens from a file, and what a header must look like. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/temp_file.h"
#include "broker/auth/auth.h"

static char path[] = "/tmp/sq_test_tokens_XXXXXX";
static struct sq_auth *auth;
static struct sq_buf err;
static struct sq_auth_request asked;

static void
write_tokens(const char *text)
{
	temp_file_put(path, text, strlen(text));
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
	sq_auth_request_fini(&asked);
	sq_auth_free(&auth);
	sq_buf_fini(&err);
	unlink(path);
}

TestSuite(tokens, .init = setup, .fini = tidy);

static struct sq_auth *
open_auth(const char *file)
{
	return sq_auth_new(&(struct sq_auth_cfg){.token_file = file}, &err);
}

static enum sq_auth_reason
check(const char *header)
{
	sq_auth_request_fini(&asked);
	asked = (struct sq_auth_request){
	    .credential = {(const unsigned char *)header, strlen(header)}};
	cr_assert(sq_auth_ask(auth, &asked));
	return asked.reason;
}

Test(tokens, without_a_file_everybody_passes_as_nobody)
{
	auth = open_auth("");
	cr_assert_not(sq_auth_asks(auth));
	cr_assert_eq(check(""), SQ_AUTH_NONE);
	cr_assert_eq(asked.identity->id, SQ_IDENTITY_NOBODY);
	cr_assert(sq_auth_holds(auth, asked.basis));
}

Test(tokens, only_the_tokens_of_the_file_pass)
{
	write_tokens("  first-token \r\n\nsecond\n");
	auth = open_auth(path);
	cr_assert_not_null(auth);
	cr_assert_eq(check("Bearer first-token"), SQ_AUTH_NONE);
	cr_assert_eq(asked.identity->id, SQ_IDENTITY_OLD_TOKEN);
	cr_assert_eq(check("bearer second"), SQ_AUTH_NONE);
	cr_assert_eq(check("Bearer first-token "), SQ_AUTH_STATIC_UNKNOWN);
	cr_assert_null(asked.identity);
	cr_assert_eq(check("Bearer first-toke"), SQ_AUTH_STATIC_UNKNOWN);
	cr_assert_eq(check("Bearer first-tokeN"), SQ_AUTH_STATIC_UNKNOWN);
	cr_assert_eq(check("Bearer "), SQ_AUTH_MISSING);
	cr_assert_eq(check("Bearer"), SQ_AUTH_MISSING);
	cr_assert_eq(check("Basic second"), SQ_AUTH_MISSING);
	cr_assert_eq(check("second"), SQ_AUTH_MISSING);
	cr_assert_eq(check(""), SQ_AUTH_MISSING);
}

Test(tokens, a_changed_file_is_read_again_and_a_bad_one_is_not_believed)
{
	uint64_t basis;

	write_tokens("old\n");
	auth = open_auth(path);
	cr_assert_eq(check("Bearer old"), SQ_AUTH_NONE);
	basis = asked.basis;
	write_tokens("old\nnew\n");
	cr_assert_eq(check("Bearer new"), SQ_AUTH_STATIC_UNKNOWN);
	sq_auth_refresh(auth);
	cr_assert_eq(check("Bearer new"), SQ_AUTH_NONE);
	cr_assert_neq(asked.basis, basis);
	cr_assert_eq(check("Bearer old"), SQ_AUTH_NONE);
	cr_assert(sq_auth_holds(auth, basis));
	write_tokens("new\n");
	sq_auth_refresh(auth);
	cr_assert_eq(check("Bearer old"), SQ_AUTH_STATIC_UNKNOWN);
	cr_assert_not(sq_auth_holds(auth, basis));
	write_tokens("\n");
	sq_auth_refresh(auth);
	cr_assert_eq(check("Bearer new"), SQ_AUTH_NONE);
	unlink(path);
	sq_auth_refresh(auth);
	cr_assert_eq(check("Bearer new"), SQ_AUTH_NONE);
}

Test(tokens, says_which_file_is_missing_or_empty)
{
	auth = open_auth("/nonexistent/token");
	cr_assert_null(auth);
	sq_buf_u8(&err, 0);
	cr_assert_str_eq((char *)sq_buf_data(&err),
	    "auth.token-file: /nonexistent/token: No such file or directory");
	sq_buf_fini(&err);
	auth = open_auth(path);
	cr_assert_null(auth);
	sq_buf_u8(&err, 0);
	cr_assert_not_null(strstr((char *)sq_buf_data(&err), "no token in it"));
}
