#include "telemetry/curl.h"

#include <dlfcn.h>
#include <string.h>

static struct sq_curl calls;

/* A function's address in a pointer of its type, as POSIX has it. */
static bool
curl_find(void *library, const char *name, void *to)
{
	void *at = dlsym(library, name);

	memcpy(to, &at, sizeof at);
	return at != NULL;
}

const struct sq_curl *
sq_curl_load(struct sq_buf *err)
{
	void *library = dlopen(SQ_CURL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	bool all = true;

	if (library == NULL) {
		sq_buf_printf(err, "%s can't be loaded: %s", SQ_CURL_LIBRARY, dlerror());
		return NULL;
	}
#define CURL_FIND(name) all = all && curl_find(library, "curl_" #name, &calls.name);
	SQ_CURL_CALLS(CURL_FIND)
#undef CURL_FIND
	if (all && calls.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		return &calls;
	sq_buf_printf(err, "%s is too old, or can't be used", SQ_CURL_LIBRARY);
	return NULL;
}
