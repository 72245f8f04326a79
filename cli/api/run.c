#include "cli/api/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"

extern char **environ;

struct run {
	const struct sq_run_ask *ask;
	struct sq_bytes left; /* of the payload */
	int input, process;   /* descriptors; -1: closed */
	uint64_t again_ms;
};

static int
run_failed(struct sq_buf *err, const char *what, int why)
{
	sq_buf_printf(err, "%s: %s", what, strerror(why));
	return SQ_EIO;
}

static void
run_environment(const struct sq_api_message *m)
{
	const struct {
		const char *name, *value;
	} rows[] = {
	    {"SQMQOS_TOPIC", m->topic},
	    {"SQMQOS_ID", m->id},
	    {"SQMQOS_LEASE", m->lease},
	    {"SQMQOS_ATTEMPT", m->attempt},
	    {"SQMQOS_TYPE", m->type},
	    {"SQMQOS_KEY", m->key},
	    {"SQMQOS_ORDER_KEY", m->order_key},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (setenv(rows[i].name, rows[i].value, 1) != 0)
			abort(); /* no memory */
}

/* Starts the shell; 0, or an errno. */
static int
run_spawn(const char *command, int input, pid_t *pid)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, defaults;
	int rc;

	(void)sigemptyset(&none);
	(void)sigemptyset(&defaults);
	(void)sigaddset(&defaults, SIGPIPE);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setsigdefault(&attr, &defaults);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawn(pid, "/bin/sh", &actions, &attr, argv, environ);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static void
run_close_input(struct run *r)
{
	if (r->input >= 0)
		(void)close(r->input);
	r->input = -1;
}

/* Writes on; a command that does not read all of it has what it wants. */
static void
run_write(struct run *r)
{
	ssize_t n = write(r->input, r->left.p, r->left.len);

	if (n > 0) {
		r->left.p += n;
		r->left.len -= (size_t)n;
	}
	if (r->left.len == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		run_close_input(r);
}

/* Writes the payload, and calls 'again' in its time, until the command ends. */
static void
run_serve(struct run *r)
{
	for (;;) {
		struct pollfd fds[] = {
		    {.fd = r->process, .events = POLLIN}, {.fd = r->input, .events = POLLOUT}};
		uint64_t now_ms = sq_clock_ms();

		if (now_ms >= r->again_ms) {
			r->ask->again(r->ask->arg);
			r->again_ms = sq_clock_ms() + r->ask->every_ms;
			continue;
		}
		if (poll(fds, 2, (int)(r->again_ms - now_ms)) < 0)
			continue; /* a signal */
		if (fds[0].revents != 0)
			return;
		if (r->input >= 0 && fds[1].revents != 0)
			run_write(r);
	}
}

int
sq_run_command(const struct sq_run_ask *ask, const struct sq_api_message *m, struct sq_buf *err)
{
	struct run r = {.ask = ask,
	    .left = {sq_buf_data(&m->payload), sq_buf_len(&m->payload)},
	    .again_ms = sq_clock_ms() + ask->every_ms};
	int ends[2], status = 0, rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return run_failed(err, "pipe", errno);
	(void)signal(SIGPIPE, SIG_IGN);
	run_environment(m);
	rc = run_spawn(ask->command, ends[0], &pid);
	(void)close(ends[0]);
	r.input = ends[1];
	if (rc != 0) {
		run_close_input(&r);
		return run_failed(err, "/bin/sh", rc);
	}
	(void)fcntl(r.input, F_SETFL, O_NONBLOCK);
	if (r.left.len == 0)
		run_close_input(&r);
	r.process = pidfd_open(pid, 0);
	if (r.process >= 0)
		run_serve(&r);
	run_close_input(&r);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r.process >= 0)
		(void)close(r.process);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
