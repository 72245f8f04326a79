#include "broker/program/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"

/* The folder of the program, without a slash behind; false: the system does not say. */
static bool
module_folder(char *out, size_t room)
{
	ssize_t n = readlink("/proc/self/exe", out, room - 1);
	char *slash;

	if (n <= 0)
		return false;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	return true;
}

static const struct sq_shared_module *
module_open(const char *path, struct sq_buf *err)
{
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct sq_shared_module *m = lib != NULL ? dlsym(lib, SQ_SHARED_MODULE_SYMBOL) : NULL;
	const char *why;

	if (m == NULL) {
		why = dlerror();
		sq_buf_printf(err, "log.kind: %s", why != NULL ? why : path);
		if (why != NULL && strstr(why, "libpq") != NULL)
			sq_buf_printf(err, "; it comes with the package libpq5");
		return NULL;
	}
	if (m->version != SQ_SHARED_MODULE_VERSION || m->layout != SQ_SHARED_MODULE_LAYOUT) {
		sq_buf_printf(err, "%s: of another version of the broker", path);
		return NULL;
	}
	return m;
}

const struct sq_shared_module *
sq_main_module(const char *name, const char *package, struct sq_buf *err)
{
	static const char *const places[] = {"", "/../lib/sqmqos"};
	char folder[PATH_MAX], path[PATH_MAX + 64];

	for (size_t i = 0; module_folder(folder, sizeof folder) && i < SQ_ARRAY_LEN(places); i++) {
		(void)snprintf(path, sizeof path, "%s%s/%s", folder, places[i], name);
		if (access(path, F_OK) == 0)
			return module_open(path, err);
	}
	sq_buf_printf(
	    err, "log.kind: %s is not installed; it comes with the package %s", name, package);
	return NULL;
}
