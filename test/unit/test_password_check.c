/* sidecar/mqtt/password_check: the thread that checks, and what the loop hears of it. */
#include <criterion/criterion.h>

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "sidecar/mqtt/password_check.h"

#define SHA256 "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA"
/* As fast as there is one, and as slow. */
#define FAST "abNANd1rDfiNc"
#define SLOW \
	"$6$rounds=200000$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQ" \
	"SpT0Y77vwPZN.Pq.H91p5hVO1"

static char path[] = "/tmp/sq_test_passwords_XXXXXX";
static struct ev_loop *loop;
static struct sq_password_check *check;

struct asker {
	struct sq_password_ask *ask;
	int answers; /* how often it was told, of all */
	bool good;
};
static int told, wanted;

static void
put(const char *text)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	cr_assert_geq(fputs(text, f), 0);
	fclose(f);
}

static void
start(const char *text)
{
	struct sq_buf err = {0};
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
	put(text);
	loop = ev_loop_new(EVFLAG_AUTO);
	check = sq_password_check_new(loop, path, &err);
	cr_assert_not_null(check);
}

static void
finish(void)
{
	sq_password_check_free(&check);
	ev_loop_destroy(loop);
	unlink(path);
}

static void
on_done(void *owner, bool good)
{
	struct asker *a = owner;

	a->ask = NULL;
	a->answers++;
	a->good = good;
	if (++told == wanted)
		ev_break(loop, EVBREAK_ALL);
}

static struct sq_bytes
bytes(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static void
ask(struct asker *a, const char *user, const char *password)
{
	a->ask = sq_password_ask(check, bytes(user), bytes(password), on_done, a);
	cr_assert_not_null(a->ask);
}

static void
await_answers(int n)
{
	told = 0;
	wanted = n;
	ev_run(loop, 0);
	cr_assert_eq(told, n);
}

Test(password_check, answers_come_from_the_loop)
{
	struct asker good = {0}, bad = {0}, nobody = {0};

	start("a:" SHA256 "\n");
	ask(&good, "a", "secret");
	ask(&bad, "a", "wrong");
	ask(&nobody, "b", "secret");
	await_answers(3);
	cr_assert(good.good && good.answers == 1);
	cr_assert(!bad.good && !nobody.good);
	finish();
}

Test(password_check, the_file_is_read_again)
{
	struct asker a = {0};

	start("a:" SHA256 "\n");
	put("b:" FAST "\n");
	ask(&a, "b", "secret");
	await_answers(1);
	cr_assert(a.good);
	finish();
}

/* Who waits is bounded; who leaves makes room, and is not told. */
Test(password_check, waiting_is_bounded_and_forgotten)
{
	static struct asker askers[SQ_PASSWORD_WAITING_MAX + 8];
	int taken = 0, left = 0, answered = 0;
	struct sq_password_ask *more;

	start("a:" FAST "\nslow:" SLOW "\n");
	ask(&askers[taken++], "slow", "x");
	while ((askers[taken].ask = sq_password_ask(
		    check, bytes("a"), bytes("secret"), on_done, &askers[taken])) != NULL) {
		taken++;
		cr_assert_leq(taken, SQ_PASSWORD_WAITING_MAX + 7);
	}
	cr_assert_geq(taken, SQ_PASSWORD_WAITING_MAX);
	for (int i = 1; i < taken; i += 2) {
		sq_password_forget(&askers[i].ask);
		cr_assert_null(askers[i].ask);
		left++;
	}
	sq_password_forget(&askers[0].ask); /* perhaps just under check */
	more = sq_password_ask(check, bytes("a"), bytes("wrong"), on_done, &askers[taken]);
	cr_assert_not_null(more, "there is room again");
	await_answers(taken - left);
	for (int i = 0; i <= taken; i++)
		answered += askers[i].answers;
	cr_assert_eq(answered, taken - left);
	cr_assert_eq(askers[0].answers + askers[1].answers, 0);
	cr_assert(askers[2].good && !askers[taken].good);
	finish();
}

Test(password_check, an_end_waits_for_what_is_under_way_and_tells_nobody)
{
	static struct asker askers[8];

	start("a:" SHA256 "\n");
	for (size_t i = 0; i < SQ_ARRAY_LEN(askers); i++)
		ask(&askers[i], "a", "secret");
	finish();
	for (size_t i = 0; i < SQ_ARRAY_LEN(askers); i++)
		cr_assert_eq(askers[i].answers, 0);
}

Test(password_check, a_bad_file_is_none)
{
	struct sq_buf err = {0};

	loop = ev_loop_new(EVFLAG_AUTO);
	cr_assert_null(sq_password_check_new(loop, "/no/such/file", &err));
	cr_assert_gt(sq_buf_len(&err), 0);
	sq_buf_fini(&err);
	ev_loop_destroy(loop);
}
