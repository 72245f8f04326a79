/* Plugins for credentials; see cli/kube/exec.h. */
#include "cli/kube/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/term/interrupt.h"
#include "cli/view/safe.h"
#include "core/clock.h"
#include "core/json_bounds.h"
#include "core/mem.h"

#define EXEC_GROUP "client.authentication.k8s.io/"

enum {
	EXEC_WORDS_MAX = 256, /* arguments; variables of the environment that the plugin sets */
	EXEC_ENVIRONMENT_MAX = 4096,
	EXEC_MS = 60000,
	EXEC_END_MS = 2000, /* between SIGTERM and SIGKILL */
	EXEC_STEP_MS = 20,
	EXEC_OUTPUT_MAX = 1 << 20, /* bytes */
	EXEC_READ = 4096,
	EXEC_DEPTH_MAX = 16,
	EXEC_VALUES_MAX = 10000,
};

/* What is run. */
struct exec_run {
	char *command;
	char *words[EXEC_WORDS_MAX + 2];
	char **environment;
	size_t n_environment;
};

static int
exec_wrong(struct sq_buf *err, const char *what)
{
	sq_buf_printf(err, "%s", what);
	return SQ_EINVAL;
}

/* ---- what is run ---- */

static void
exec_run_fini(struct exec_run *r)
{
	free(r->command);
	for (size_t i = 0; i < SQ_ARRAY_LEN(r->words); i++)
		free(r->words[i]);
	for (size_t i = 0; i < r->n_environment; i++)
		free(r->environment[i]);
	free(r->environment);
}

/* Adds "NAME=VALUE". */
static bool
exec_set(struct exec_run *r, const char *name, const char *value)
{
	struct sq_buf text = {0};
	size_t at = 0, len = strlen(name);

	while (at < r->n_environment &&
	    (strncmp(r->environment[at], name, len) != 0 || r->environment[at][len] != '='))
		at++;
	if (at == EXEC_ENVIRONMENT_MAX)
		return false;
	sq_buf_printf(&text, "%s=%s%c", name, value, 0);
	if (at == r->n_environment)
		r->n_environment++;
	else
		free(r->environment[at]);
	r->environment[at] = (char *)sq_buf_data(&text);
	return true;
}

/* What the plugin may know of its caller. */
static void
exec_info(
    struct exec_run *r, const json_t *plugin, const char *api, bool interactive, const char *server)
{
	json_t *spec = json_pack("{s:b}", "interactive", interactive);
	json_t *o = json_pack(
	    "{s:s, s:s, s:o}", "apiVersion", api, "kind", "ExecCredential", "spec", spec);
	char *text;

	if (json_is_true(json_object_get(plugin, "provideClusterInfo")))
		json_object_set_new(spec, "cluster", json_pack("{s:s}", "server", server));
	text = json_dumps(o, JSON_COMPACT);
	if (text != NULL)
		(void)exec_set(r, "KUBERNETES_EXEC_INFO", text);
	free(text);
	json_decref(o);
}

static bool
exec_environment(struct exec_run *r, const json_t *plugin)
{
	const json_t *v;
	size_t i, n = 0;

	while (environ[n] != NULL && n < EXEC_ENVIRONMENT_MAX - EXEC_WORDS_MAX)
		n++;
	r->environment = sq_xcalloc(EXEC_ENVIRONMENT_MAX + 1, sizeof *r->environment);
	for (; r->n_environment < n; r->n_environment++)
		r->environment[r->n_environment] = sq_xstrdup(environ[r->n_environment]);
	if (json_array_size(json_object_get(plugin, "env")) >= EXEC_WORDS_MAX)
		return false;
	json_array_foreach(json_object_get(plugin, "env"), i, v)
	{
		const char *name = json_string_value(json_object_get(v, "name"));
		const char *value = json_string_value(json_object_get(v, "value"));

		if (name == NULL || *name == '\0' || strchr(name, '=') != NULL || value == NULL ||
		    !exec_set(r, name, value))
			return false;
	}
	return true;
}

static bool
exec_words(struct exec_run *r, const json_t *plugin)
{
	const json_t *v;
	size_t i;

	if (json_array_size(json_object_get(plugin, "args")) > EXEC_WORDS_MAX)
		return false;
	r->words[0] = sq_xstrdup(r->command);
	json_array_foreach(json_object_get(plugin, "args"), i, v)
	{
		if (!json_is_string(v))
			return false;
		r->words[i + 1] = sq_xstrdup(json_string_value(v));
	}
	return true;
}

/* The command: a path is relative to the file's folder, a name is looked for in PATH. */
static char *
exec_command(const char *command, const char *folder)
{
	struct sq_buf path = {0};

	if (command[0] == '/' || strchr(command, '/') == NULL)
		return sq_xstrdup(command);
	sq_buf_printf(&path, "%s/%s%c", folder, command, 0);
	return (char *)sq_buf_data(&path);
}

/* ---- running ---- */

/* Ends the program, gently first. */
static void
exec_end(pid_t pid)
{
	uint64_t until = sq_clock_ms() + EXEC_END_MS;

	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (sq_clock_ms() >= until) {
			kill(pid, SIGKILL);
			(void)waitpid(pid, NULL, 0);
			return;
		}
		(void)nanosleep(&(struct timespec){.tv_nsec = EXEC_STEP_MS * 1000000L}, NULL);
	}
}

/* Takes what the program prints until it closes its output; an error: why it has to be ended. */
static int
exec_listen(int fd, uint64_t until_ms, struct sq_buf *out, struct sq_buf *err)
{
	for (;;) {
		struct pollfd p = {fd, POLLIN, 0};
		uint64_t now = sq_clock_ms();
		ssize_t n;

		if (sq_interrupted())
			return exec_wrong(err, "interrupted");
		if (now >= until_ms) {
			sq_buf_printf(err, "it has not ended within %d s", EXEC_MS / 1000);
			return SQ_EIO;
		}
		if (sq_interrupt_poll(&p, 1, until_ms - now) <= 0)
			continue;
		n = read(fd, sq_buf_reserve(out, EXEC_READ), EXEC_READ);
		if (n <= 0)
			return 0;
		sq_buf_commit(out, (size_t)n);
		if (sq_buf_len(out) > EXEC_OUTPUT_MAX)
			return exec_wrong(err, "it prints more than 1 MiB");
	}
}

/* Starts it with 'fd' as its standard output. */
static int
exec_spawn(const struct exec_run *r, int fd, bool interactive, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	int rc;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, fd, STDOUT_FILENO);
	if (!interactive)
		posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	rc = posix_spawnp(pid, r->command, &files, NULL, r->words, r->environment);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

/* Waits for a program that has closed its output, then says how it has ended. */
static int
exec_wait(pid_t pid, uint64_t until_ms, struct sq_buf *err)
{
	int status = 0;
	pid_t done;

	while ((done = waitpid(pid, &status, WNOHANG)) == 0) {
		if (sq_clock_ms() >= until_ms || sq_interrupted()) {
			exec_end(pid);
			return exec_wrong(err, "it does not end");
		}
		(void)nanosleep(&(struct timespec){.tv_nsec = EXEC_STEP_MS * 1000000L}, NULL);
	}
	if (done == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status))
		sq_buf_printf(err, "it has ended with code %d", WEXITSTATUS(status));
	else
		sq_buf_printf(err, "it was ended by signal %d", WTERMSIG(status));
	return SQ_EIO;
}

static int
exec_output(const struct exec_run *r, bool interactive, struct sq_buf *out, struct sq_buf *err)
{
	uint64_t until = sq_clock_ms() + EXEC_MS;
	int fds[2], rc;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0) {
		sq_buf_printf(err, "%s", strerror(errno));
		return SQ_EIO;
	}
	rc = exec_spawn(r, fds[1], interactive, &pid);
	close(fds[1]);
	if (rc != 0) {
		close(fds[0]);
		sq_buf_printf(err, "%s", strerror(rc));
		return SQ_EIO;
	}
	rc = exec_listen(fds[0], until, out, err);
	close(fds[0]);
	if (rc != 0)
		exec_end(pid);
	return rc != 0 ? rc : exec_wait(pid, until, err);
}

/* ---- what it says ---- */

static void
exec_keep(struct sq_buf *out, const json_t *value)
{
	size_t len = json_string_length(value);

	if (!json_is_string(value) || len == 0)
		return;
	(void)sq_buf_reserve(out, len + 2);
	sq_buf_append(out, json_string_value(value), len);
}

static int
exec_read(
    const struct sq_buf *out, const char *api, struct sq_kube_exec_answer *a, struct sq_buf *err)
{
	const char *text = (const char *)sq_buf_data(out);
	size_t len = sq_buf_len(out);
	const json_t *status;
	json_t *root = NULL;
	const char *its;
	int rc = 0;

	if (len > 0 && sq_json_bounded(text, len, EXEC_DEPTH_MAX, EXEC_VALUES_MAX))
		root = json_loadb(text, len, 0, NULL);
	its = json_string_value(json_object_get(root, "apiVersion"));
	status = json_object_get(root, "status");
	if (root == NULL || its == NULL || strcmp(its, api) != 0)
		rc = exec_wrong(
		    err, "what it prints is no ExecCredential of the apiVersion asked for");
	if (rc == 0) {
		exec_keep(&a->token, json_object_get(status, "token"));
		exec_keep(&a->cert, json_object_get(status, "clientCertificateData"));
		exec_keep(&a->key, json_object_get(status, "clientKeyData"));
		if ((sq_buf_len(&a->cert) > 0) != (sq_buf_len(&a->key) > 0))
			rc = exec_wrong(
			    err, "it gives a certificate without its key, or a key alone");
		else if (sq_buf_len(&a->token) == 0 && sq_buf_len(&a->cert) == 0)
			rc = exec_wrong(err, "what it prints has no token and no certificate");
	}
	json_decref(root);
	return rc;
}

int
sq_kube_exec(const json_t *plugin, const char *folder, const char *server,
    struct sq_kube_exec_answer *a, struct sq_buf *err)
{
	const char *command = json_string_value(json_object_get(plugin, "command"));
	const char *api = json_string_value(json_object_get(plugin, "apiVersion"));
	const char *mode = json_string_value(json_object_get(plugin, "interactiveMode"));
	bool interactive = isatty(STDIN_FILENO) && (mode == NULL || strcmp(mode, "Never") != 0);
	struct exec_run r = {0};
	struct sq_buf out = {0}, why = {0};
	int rc;

	if (command == NULL || *command == '\0')
		return exec_wrong(err, "command is missing");
	if (api == NULL ||
	    (strcmp(api, EXEC_GROUP "v1") != 0 && strcmp(api, EXEC_GROUP "v1beta1") != 0))
		return exec_wrong(
		    err, "apiVersion is neither " EXEC_GROUP "v1 nor " EXEC_GROUP "v1beta1");
	if (mode != NULL && strcmp(mode, "Always") == 0 && !interactive)
		return exec_wrong(err, "it wants a terminal (interactiveMode: Always)");
	r.command = exec_command(command, folder);
	if (exec_words(&r, plugin) && exec_environment(&r, plugin)) {
		exec_info(&r, plugin, api, interactive, server);
		rc = exec_output(&r, interactive, &out, &why);
		if (rc == 0)
			rc = exec_read(&out, api, a, &why);
	} else {
		rc = exec_wrong(&why, "args are texts, env has name and value, up to 256 of each");
	}
	if (rc != 0) {
		sq_safe(err, command, strlen(command));
		sq_buf_printf(err, ": ");
		sq_buf_append(err, sq_buf_data(&why), sq_buf_len(&why));
	}
	sq_buf_wipe(&out);
	sq_buf_fini(&why);
	exec_run_fini(&r);
	return rc;
}

void
sq_kube_exec_answer_fini(struct sq_kube_exec_answer *a)
{
	sq_buf_wipe(&a->token);
	sq_buf_fini(&a->cert);
	sq_buf_wipe(&a->key);
}
