#include "broker/front/console/pages.h"

#include <string.h>

#include "console/assets.h"
#include "web/admin_ask.h"

#define CONSOLE_PATH "/console"
/* No script, style, request or picture but the origin's own; text never becomes markup. */
#define CONSOLE_POLICY \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " \
	"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " \
	"require-trusted-types-for 'script'; trusted-types 'none'"

#define CONSOLE_HEADERS(caching) \
	{"cache-control", caching}, {"content-security-policy", CONSOLE_POLICY}, \
	    {"x-content-type-options", "nosniff"}, {"referrer-policy", "no-referrer"}, \
	    {"cross-origin-resource-policy", "same-origin"}, \
	{ \
		"cross-origin-opener-policy", "same-origin" \
	}

static const struct sq_admin_header console_fresh[] = {CONSOLE_HEADERS("no-cache"), {NULL, NULL}};
static const struct sq_admin_header console_kept[] = {
    CONSOLE_HEADERS("public, max-age=31536000, immutable"), {NULL, NULL}};
/* Relative: something on the way may have put its own path in front. */
static const struct sq_admin_header console_moved[] = {
    {"location", "console/"}, CONSOLE_HEADERS("no-cache"), {NULL, NULL}};

/* The file at a path of the console's; NULL: there is none. */
static const struct sq_console_asset *
console_find(const char *path)
{
	for (size_t i = 0; path[0] == '/' && i < sq_console_n_assets; i++)
		if (strcmp(path + 1, sq_console_assets[i].path) == 0)
			return &sq_console_assets[i];
	return NULL;
}

/* Thread: admin. */
static void
console_asked(void *owner, struct sq_admin_ask *ask)
{
	const char *path = ask->path + sizeof CONSOLE_PATH - 1;
	const struct sq_console_asset *file = console_find(path);
	struct sq_admin_answer answer = {.status = 200};

	(void)owner;
	if (file != NULL) {
		answer.type = file->type;
		answer.headers = file->immutable ? console_kept : console_fresh;
		sq_buf_append(&answer.body, file->data, file->len);
	} else if (path[0] == '\0') {
		answer.status = 308;
		answer.headers = console_moved;
	} else {
		answer.status = 404;
		answer.detail = "the console is at " CONSOLE_PATH "/";
	}
	sq_admin_answer(ask, &answer);
}

const struct sq_admin_pages sq_console_pages = {
    .below = CONSOLE_PATH, .methods = "GET, HEAD", .asked = console_asked};
