/* broker/auth/tokens: tokens by a file of their hashes, and what a header must look like. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../support/temp_file.h"
#include "../support/token_line.h"
#include "broker/auth/auth.h"
#include "broker/auth/tokens/token_new.h"
#include "broker/auth/tokens/tokens_file.h"
#include "core/clock.h"
#include "core/mem.h"

static char path[] = "/tmp/sq_test_tokens_XXXXXX";
static struct sq_auth *auth;
static struct sq_buf err, text;
static struct sq_auth_request asked;

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
	sq_buf_fini(&text);
	unlink(path);
}

TestSuite(tokens, .init = setup, .fini = tidy, .timeout = 60);

/* What 'text' has becomes the file's: as another file, or in its place. */
static void
put(bool in_place)
{
	FILE *f;

	if (in_place) {
		f = fopen(path, "w");
		cr_assert_eq(
		    fwrite(sq_buf_data(&text), 1, sq_buf_len(&text), f), sq_buf_len(&text));
		fclose(f);
	} else {
		temp_file_put(path, sq_buf_data(&text), sq_buf_len(&text));
	}
	sq_buf_fini(&text);
}

static struct sq_auth *
open_auth(const char *file)
{
	return sq_auth_new(&(struct sq_auth_cfg){.tokens_file = file}, &err);
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

static const char *
said(void)
{
	sq_buf_u8(&err, 0);
	return (const char *)sq_buf_data(&err);
}

/* Looks at the file until it was taken, or was not. */
static void
await_change(void)
{
	const struct timespec pause = {0, 20 * 1000000L};
	uint64_t epoch = sq_auth_epoch(auth);
	size_t bad = sq_auth_counts(auth).bad_files;

	while (sq_auth_epoch(auth) == epoch && sq_auth_counts(auth).bad_files == bad) {
		sq_auth_refresh(auth);
		nanosleep(&pause, NULL);
	}
}

Test(tokens, without_a_file_everybody_passes_as_nobody)
{
	auth = open_auth("");
	cr_assert_not(sq_auth_asks(auth));
	cr_assert_eq(check(""), SQ_AUTH_NONE);
	cr_assert_eq(asked.identity->id, SQ_IDENTITY_NOBODY);
	cr_assert(sq_auth_holds(auth, asked.basis));
}

Test(tokens, only_tokens_whose_hash_is_there_pass)
{
	token_line(&text, "web", "shop", "first-token");
	token_line(&text, "till", "shop,bank", "second");
	put(false);
	auth = open_auth(path);
	cr_assert_not_null(auth);
	cr_assert_eq(check("Bearer first-token"), SQ_AUTH_NONE);
	cr_assert_str_eq(asked.identity->name, "token:web");
	cr_assert_eq(asked.identity->id, sq_identity_id("token", "", "", "web"));
	cr_assert_eq(asked.identity->n_spaces, 1);
	cr_assert(sq_identity_has_space(asked.identity, "shop"));
	cr_assert_not(sq_identity_has_space(asked.identity, "bank"));
	cr_assert_str_eq(asked.identity->pod, "");
	cr_assert_eq(check("bearer second"), SQ_AUTH_NONE);
	cr_assert_eq(asked.identity->n_spaces, 2);
	cr_assert(sq_identity_has_space(asked.identity, "bank"));
	cr_assert_eq(check("Bearer first-token "), SQ_AUTH_STATIC_UNKNOWN);
	cr_assert_null(asked.identity);
	cr_assert_eq(check("Bearer first-toke"), SQ_AUTH_STATIC_UNKNOWN);
	cr_assert_eq(check("Bearer first-tokeN"), SQ_AUTH_STATIC_UNKNOWN);
	cr_assert_eq(check("Bearer "), SQ_AUTH_MISSING);
	cr_assert_eq(check("Bearer"), SQ_AUTH_MISSING);
	cr_assert_eq(check("Basic second"), SQ_AUTH_MISSING);
	cr_assert_eq(check("second"), SQ_AUTH_MISSING);
	cr_assert_eq(check(""), SQ_AUTH_MISSING);
	cr_assert_eq(sq_auth_counts(auth).tokens, 2);
}

Test(tokens, a_name_has_one_token_more_while_it_changes_them)
{
	struct sq_basis old;
	uint64_t id;

	token_line(&text, "web", "bank,shop", "old");
	put(false);
	auth = open_auth(path);
	cr_assert_eq(check("Bearer old"), SQ_AUTH_NONE);
	old = asked.basis;
	id = asked.identity->id;
	token_line(&text, "web", "bank,shop", "old");
	token_line(&text, "web", "shop,bank", "new");
	put(true);
	await_change();
	cr_assert_eq(check("Bearer new"), SQ_AUTH_NONE);
	cr_assert_neq(asked.basis.what, old.what);
	cr_assert_eq(asked.identity->id, id);
	cr_assert(sq_auth_holds(auth, old));
	token_line(&text, "web", "bank,shop", "new");
	put(true);
	await_change();
	cr_assert_not(sq_auth_holds(auth, old));
	cr_assert_eq(check("Bearer old"), SQ_AUTH_STATIC_UNKNOWN);
	cr_assert_eq(check("Bearer new"), SQ_AUTH_NONE);
	old = asked.basis;
	token_line(&text, "web", "shop", "new");
	put(false);
	await_change();
	cr_assert_not(sq_auth_holds(auth, old), "it has other spaces now");
}

Test(tokens, what_can_not_be_taken_leaves_the_last_good_file)
{
	struct sq_basis basis;

	token_line(&text, "web", "shop", "good");
	put(false);
	auth = open_auth(path);
	cr_assert_eq(check("Bearer good"), SQ_AUTH_NONE);
	basis = asked.basis;
	sq_buf_printf(&text, "good\n");
	put(true);
	await_change();
	cr_assert_eq(sq_auth_counts(auth).bad_files, 1);
	cr_assert(sq_auth_holds(auth, basis));
	token_line(&text, "web", "shop", "good");
	put(true);
	await_change();
	cr_assert_eq(sq_auth_counts(auth).bad_files, 0);
	unlink(path);
	await_change();
	cr_assert_eq(sq_auth_counts(auth).bad_files, 1);
	cr_assert_eq(mkfifo(path, 0600), 0);
	for (int i = 0; i < 100; i++)
		sq_auth_refresh(auth); /* a pipe that nobody writes to holds nobody up */
	cr_assert_eq(check("Bearer good"), SQ_AUTH_NONE);
	sq_buf_printf(&text, "# nobody any more\n");
	unlink(path);
	put(false);
	await_change();
	cr_assert_eq(sq_auth_counts(auth).bad_files, 0);
	cr_assert_not(sq_auth_holds(auth, basis));
}

enum {
	MANY = 10000,
	PART = 1500,
	REST_MS = 400, /* for which a file that is written may rest */
};

static void
token_of(int i, char out[40])
{
	snprintf(out, 40, "Bearer token-%d", i);
}

static void
write_many(int from)
{
	char name[40], token[40];

	sq_buf_printf(&text, "# %d lines\n", MANY);
	for (int i = from; i < from + MANY; i++) {
		snprintf(name, sizeof name, "n%d", i / 2);
		token_of(i, token);
		token_line(&text, name, i / 2 % 2 == 0 ? "shop" : "shop,bank", token + 7);
	}
}

static void
expect_many(int from, int to)
{
	char token[40];

	for (int i = from; i < to; i++) {
		token_of(i, token);
		cr_assert_eq(check(token), SQ_AUTH_NONE, "%s", token);
	}
}

/* Writes the line to its end, and rests there a while, as a writer may. */
static void
rest_of_line(FILE *f, size_t *at, size_t n)
{
	const unsigned char *p = sq_buf_data(&text), *nl = memchr(p + n, '\n', PART);
	size_t more = (size_t)(nl + 1 - (p + n));
	uint64_t epoch = sq_auth_epoch(auth), begin = sq_clock_ms(), now = begin;

	cr_assert_eq(fwrite(p + n, 1, more, f), more);
	fflush(f);
	*at += more;
	while (now - begin < REST_MS / 2) {
		sq_auth_refresh(auth);
		now = sq_clock_ms();
		cr_assert(sq_auth_epoch(auth) == epoch || now - begin >= REST_MS,
		    "whole lines are no whole file");
	}
}

/* A file is written in place, in parts that end anywhere, also where a line does: all that
 * is in both the old and the new one stays in. */
Test(tokens, ten_thousand_lines_are_written_in_place)
{
	const struct timespec pause = {0, 2 * 1000000L};
	char token[40];
	uint64_t epoch;
	FILE *f;

	write_many(0);
	put(false);
	auth = open_auth(path);
	cr_assert_not_null(auth);
	cr_assert_eq(sq_auth_counts(auth).tokens, MANY);
	expect_many(0, MANY);
	write_many(100);
	epoch = sq_auth_epoch(auth);
	f = fopen(path, "w");
	for (size_t at = 0; at < sq_buf_len(&text); at += PART) {
		size_t n = sq_buf_len(&text) - at < PART ? sq_buf_len(&text) - at : PART;

		cr_assert_eq(fwrite(sq_buf_data(&text) + at, 1, n, f), n);
		fflush(f);
		sq_auth_refresh(auth);
		nanosleep(&pause, NULL);
		cr_assert_eq(sq_auth_epoch(auth), epoch, "no part of it is believed");
		if (at == 0)
			rest_of_line(f, &at, n);
	}
	fclose(f);
	await_change();
	cr_assert_eq(sq_auth_counts(auth).tokens, MANY);
	expect_many(100, MANY + 100);
	token_of(99, token);
	cr_assert_eq(check(token), SQ_AUTH_STATIC_UNKNOWN);
}

/* At a start: what, and in which line, without what the line has. */

#define HASH "SHA256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "SHA256:ff112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff"

static const struct {
	const char *text, *why;
} bad[] = {
    {"", "nothing in it"},
    {" \n\t\r\n", "nothing in it"},
    {"# c\nsecret-token\n", "line 2: one field: a token itself does not belong here"},
    {"web shop\n", "line 1: not NAME SPACE[,SPACE...] SHA256:HEX"},
    {"web shop secret-token", "line 1: the third field is not SHA256:"},
    {"web shop SHA256:secret-token", "line 1: the third field is not SHA256:"},
    {"web shop " HASH "0\n", "line 1: the third field is not SHA256:"},
    {"\n\nweb shop sha1:00\n", "line 3: the third field is not SHA256:"},
    {"web shop " HASH " secret-token\n", "line 1: not NAME"},
    {"we/b shop " HASH "\n", "line 1: a name is of"},
    {"web shop,,bank " HASH "\n", "line 1: the second field is not SPACE"},
    {"web *\t" HASH "\n", "line 1: the second field is not SPACE"},
    {"web shop, " HASH "\n", "line 1: the second field is not SPACE"},
    {"web shop " HASH "\nx bank " HASH "\n", "line 2: the hash is that of line 1"},
    {"web shop " HASH "\nweb shop,bank " OTHER "\n", "line 2: the name has other spaces in line 1"},
};

Test(tokens, says_what_is_wrong_in_which_line)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++) {
		sq_buf_printf(&text, "%s", bad[i].text);
		put(false);
		cr_assert_null(open_auth(path), "%s", bad[i].text);
		cr_assert_not_null(strstr(said(), bad[i].why), "%s: %s", bad[i].text, said());
		cr_assert_null(strstr(said(), "secret-token"));
		cr_assert_eq(strncmp(said(), "auth.tokens-file: ", 18), 0);
		sq_buf_fini(&err);
	}
}

Test(tokens, what_is_no_file_is_refused_at_once)
{
	cr_assert_null(open_auth("/nonexistent/tokens"));
	cr_assert_str_eq(
	    said(), "auth.tokens-file: /nonexistent/tokens: No such file or directory");
	sq_buf_fini(&err);
	unlink(path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_null(open_auth(path));
	cr_assert_not_null(strstr(said(), "not a regular file"));
	sq_buf_fini(&err);
	cr_assert_null(open_auth("/dev/zero"));
	cr_assert_not_null(strstr(said(), "not a regular file"));
}

Test(tokens, lines_may_have_comments_and_blanks)
{
	sq_buf_printf(&text, "# head\r\n\n  web\t shop " HASH "  # a comment\r\nx a,b,a " OTHER);
	put(false);
	auth = open_auth(path);
	cr_assert_not_null(auth, "%s", said());
	cr_assert_eq(sq_auth_counts(auth).tokens, 2);
}

/* A line that was made lets its token in. */
Test(tokens, a_new_token)
{
	struct sq_buf out = {0}, header = {0};
	char *spaces[] = {"shop", "bank"}, *nl;

	cr_assert_eq(sq_token_new("web", spaces, 2, &out, &err), SQ_OK);
	sq_buf_u8(&out, 0);
	nl = strchr((char *)sq_buf_data(&out), '\n');
	*nl = '\0';
	sq_buf_printf(&header, "Bearer %s%c", (char *)sq_buf_data(&out), 0);
	sq_buf_printf(&text, "%s", nl + 1);
	put(false);
	auth = open_auth(path);
	cr_assert_eq(check((char *)sq_buf_data(&header)), SQ_AUTH_NONE);
	cr_assert_str_eq(asked.identity->name, "token:web");
	cr_assert_eq(asked.identity->n_spaces, 2);
	sq_buf_fini(&out);
	sq_buf_fini(&header);
	spaces[1] = "a,b";
	cr_assert_eq(sq_token_new("web", spaces, 2, &out, &err), SQ_EINVAL);
	cr_assert_str_eq(said(), "\"a,b\" is not the name of a space");
	sq_buf_fini(&err);
	spaces[1] = "--config"; /* a flag behind the spaces */
	cr_assert_eq(sq_token_new("web", spaces, 2, &out, &err), SQ_EINVAL);
	cr_assert_str_eq(said(), "\"--config\" is not the name of a space");
	sq_buf_fini(&err);
	cr_assert_eq(sq_token_new("we b", spaces, 1, &out, &err), SQ_EINVAL);
	cr_assert_eq(sq_buf_len(&out), 0);
}
