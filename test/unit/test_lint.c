/* "--lint" of a program that lacks a kind of bridges; the rest is in test/e2e/test_bridge_config.py. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "../support/temp_dir.h"
#include "broker/bridge/bridge.h"
#include "broker/bridge/cfg.h"
#include "broker/bridge/kinds/kinds.h"
#include "broker/config/lint.h"

#define AMQP \
	"  jobs: {space: s, kind: amqp, url: \"amqp://r\", credentials: {user-file: u, " \
	"password-file: p}, in: [{queue: q, to: t}]}\n"
#define SQS(name) "  " name ": {space: s, kind: sqs, region: eu-west-1, in: [{queue: q, to: t}]}\n"

/* In place of the program's table: AMQP alone is there. */
const struct sq_bridge_kind *
sq_bridge_kind(unsigned i)
{
	static const struct sq_bridge_kind amqp = {.name = "amqp"};

	return i == SQ_BRIDGE_KIND_AMQP ? &amqp : NULL;
}

/* What is said of a file with that text, without its path. */
static const char *
said_of(const char *dir, const char *text)
{
	static char said[512];
	struct sq_buf out = {0};
	char path[300];
	const char *paths[] = {path};
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/bridges.yaml", dir);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	cr_assert_eq(fclose(f), 0);
	cr_expect_eq(sq_lint_files(paths, 1, &out), SQ_OK);
	cr_assert_gt(sq_buf_len(&out), strlen(path));
	(void)snprintf(said, sizeof said, "%.*s", (int)(sq_buf_len(&out) - strlen(path)),
	    (const char *)sq_buf_data(&out) + strlen(path));
	sq_buf_fini(&out);
	return said;
}

Test(lint, a_kind_that_this_program_lacks_is_said)
{
	char *dir = temp_dir_new();

	cr_expect_str_eq(said_of(dir, "bridges:\n" AMQP), ": good, with 1 bridge\n");
	cr_expect_str_eq(said_of(dir, "bridges:\n" AMQP SQS("a") SQS("b")),
	    ": good, with 3 bridges, but this program is built without sqs\n");
	temp_dir_free(&dir);
}
