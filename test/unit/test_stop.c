/* Signals that end a program: in a child each, by its exit code. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/stop.h"

enum { LONG_MS = 600000, SHORT_MS = 50, ORDERLY = 7 };

struct child {
	pid_t pid;
	int out; /* a byte for each signal that the program is told of */
};

static int told_fd;
static atomic_int ended;

static void
told(void *owner, int sig)
{
	char c = sig == SIGUSR1 ? 'u' : sig == SIGHUP ? 'h' : 'e';

	(void)owner;
	if (sig == SIGTERM || sig == SIGINT)
		atomic_store(&ended, 1);
	(void)!write(told_fd, &c, 1);
}

/* A program that ends in order when it is told to, or, 'stuck', never. */
static _Noreturn void
program(uint64_t within_ms, bool stuck)
{
	struct sq_stop *s = sq_stop_start(&(struct sq_stop_cfg){
	    .scope = "test", .within_ms = within_ms, .also = {SIGUSR1, SIGHUP}, .told = told});

	(void)!write(told_fd, "s", 1);
	while (stuck || !atomic_load(&ended))
		usleep(1000);
	sq_stop_done(&s);
	_exit(s == NULL ? ORDERLY : 1);
}

static char
next(const struct child *c)
{
	char byte = '\0';

	cr_assert_eq(read(c->out, &byte, 1), 1);
	return byte;
}

static struct child
start(uint64_t within_ms, bool stuck)
{
	struct child c;
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	c.pid = fork();
	cr_assert_geq(c.pid, 0);
	if (c.pid == 0) {
		alarm(60); /* nothing stays behind a test that fails */
		told_fd = fds[1];
		program(within_ms, stuck);
	}
	close(fds[1]);
	c.out = fds[0];
	cr_assert_eq(next(&c), 's');
	return c;
}

static void
expect_exit(const struct child *c, int code)
{
	int status;

	cr_assert_eq(waitpid(c->pid, &status, 0), c->pid);
	cr_assert(WIFEXITED(status), "status %x", (unsigned)status);
	cr_assert_eq(WEXITSTATUS(status), code, "code %d", WEXITSTATUS(status));
	close(c->out);
}

Test(stop, an_orderly_end_is_left_alone)
{
	struct child c = start(LONG_MS, false);

	kill(c.pid, SIGUSR1);
	cr_assert_eq(next(&c), 'u');
	kill(c.pid, SIGHUP);
	cr_assert_eq(next(&c), 'h');
	kill(c.pid, SIGINT);
	expect_exit(&c, ORDERLY);
}

Test(stop, a_second_signal_ends_what_is_stuck)
{
	static const int firsts[] = {SIGTERM, SIGINT};

	for (unsigned i = 0; i < 2; i++) {
		struct child c = start(LONG_MS, true);

		kill(c.pid, firsts[i]);
		cr_assert_eq(next(&c), 'e');
		kill(c.pid, SIGUSR1); /* is none of those */
		cr_assert_eq(next(&c), 'u');
		kill(c.pid, firsts[1 - i]);
		expect_exit(&c, SQ_EXIT_CUT);
	}
}

Test(stop, the_time_ends_what_is_stuck)
{
	struct child c = start(SHORT_MS, true);

	kill(c.pid, SIGTERM);
	cr_assert_eq(next(&c), 'e');
	expect_exit(&c, SQ_EXIT_CUT);
}

/* Where nobody reads the log, a line of it would wait for ever. */
Test(stop, a_log_that_is_not_read_holds_nothing_up)
{
	static const char junk[4096];
	struct child c;
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	for (int n = fcntl(fds[1], F_GETPIPE_SZ); n > 0; n -= (int)sizeof junk)
		cr_assert_eq(write(fds[1], junk, sizeof junk), (ssize_t)sizeof junk);
	c = start(SHORT_MS, true);
	kill(c.pid, SIGTERM);
	cr_assert_eq(next(&c), 'e');
	expect_exit(&c, SQ_EXIT_CUT);
}

Test(stop, nothing_was_started)
{
	struct sq_stop *s = NULL;

	sq_stop_done(&s);
	cr_assert_null(s);
}
