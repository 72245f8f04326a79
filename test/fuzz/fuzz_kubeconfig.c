/* Fuzzes sq_kube_access_read(): a kubeconfig is refused with a line, or what it gives is what a
 * request can be made of: an address, and a token without anything in it that ends a header.
 *
 * No plugin is run: one that would be is answered for here. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/kube/config.h"
#include "cli/kube/exec.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
sq_kube_exec(const json_t *plugin, const char *folder, const char *server,
    struct sq_kube_exec_answer *answer, struct sq_buf *err)
{
	const char *command = json_string_value(json_object_get(plugin, "command"));

	if (folder == NULL || server == NULL)
		abort();
	if (command == NULL) {
		sq_buf_printf(err, "there is no command");
		return SQ_EINVAL;
	}
	sq_buf_append(&answer->token, command, strlen(command));
	return 0;
}

void
sq_kube_exec_answer_fini(struct sq_kube_exec_answer *answer)
{
	sq_buf_fini(&answer->token);
	sq_buf_fini(&answer->cert);
	sq_buf_fini(&answer->key);
}

static void
require(bool so)
{
	if (!so)
		abort();
}

static void
check(const struct sq_kube_access *a)
{
	const char *token = (const char *)sq_buf_data(&a->token);

	require(strncasecmp(a->server, "http", 4) == 0 && a->name != NULL);
	for (const char *p = a->server; *p != '\0'; p++)
		require(*p > ' ' && *p <= '~' && strchr("?#@", *p) == NULL);
	require((sq_buf_len(&a->cert) > 0) == (sq_buf_len(&a->key) > 0));
	if (sq_buf_len(&a->token) == 0)
		return;
	require(strlen(token) + 1 == sq_buf_len(&a->token) && *token != '\0');
	require(strncasecmp(a->server, "https:", 6) == 0);
	for (; *token != '\0'; token++)
		require(*token > ' ' && *token <= '~');
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static int fd = -1;
	static char path[64];
	struct sq_kube_access a;
	struct sq_buf err = {0};

	if (fd < 0) {
		fd = memfd_create("kubeconfig", 0);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	require(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	if (sq_kube_access_read(&a, path, "dev", &err) == 0)
		check(&a);
	else
		require(sq_buf_len(&err) > 0 && a.server == NULL && sq_buf_len(&a.token) == 0);
	sq_kube_access_fini(&a);
	sq_buf_fini(&err);
	return 0;
}
