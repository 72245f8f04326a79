#include "net/curl/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool loaded; /* under the lock; 'calls' does not change from then on */
static struct sq_curl calls;

/* A function's address in a pointer of its type, as POSIX has it. */
static bool
curl_find(void *library, const char *name, void *to)
{
	void *at = dlsym(library, name);

	memcpy(to, &at, sizeof at);
	return at != NULL;
}

static bool
curl_load(struct sq_buf *err)
{
	/* Functions are bound at their first calls: it and all that it needs have thousands. */
	void *library = dlopen(SQ_CURL_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
	bool all = true;

	if (library == NULL) {
		sq_buf_printf(err, "%s can't be loaded: %s", SQ_CURL_LIBRARY, dlerror());
		return false;
	}
#define CURL_FIND(name) all = all && curl_find(library, "curl_" #name, &calls.name);
	SQ_CURL_CALLS(CURL_FIND)
#undef CURL_FIND
	if (all && calls.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		return true;
	sq_buf_printf(err, "%s is too old, or can't be used", SQ_CURL_LIBRARY);
	return false;
}

const struct sq_curl *
sq_curl_load(struct sq_buf *err)
{
	bool ok;

	pthread_mutex_lock(&lock);
	if (!loaded)
		loaded = curl_load(err);
	ok = loaded;
	pthread_mutex_unlock(&lock);
	return ok ? &calls : NULL;
}
