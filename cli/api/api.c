#include "cli/api/api.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/view/ask.h"
#include "cli/view/remote.h"
#include "cli/view/safe.h"
#include "core/mem.h"
#include "net/curl/url.h"

enum {
	API_TIMEOUT_MS = 30000, /* above what the broker may wait */
	API_BODY_MAX = 80 << 20,
};

struct sq_api {
	struct sq_ask *ask;
};

bool
sq_api_url(const char *url)
{
	return url != NULL &&
	    (strncasecmp(url, "https://", 8) == 0 || strncasecmp(url, "http://", 7) == 0);
}

static int
api_base_check(const char *url, struct sq_buf *err)
{
	struct sq_url u = {0};
	int rc = sq_api_url(url) ? sq_url_parse_server(&u, url, err) : SQ_EINVAL;

	sq_url_fini(&u);
	if (rc != SQ_EINVAL)
		return rc;
	sq_buf_printf(err, "--url ");
	sq_safe(err, url, strlen(url));
	sq_buf_printf(err, ": not the address of an HTTP API, as https://HOST:7443");
	return SQ_EINVAL;
}

static int
api_add(struct sq_api *a, int (*add)(struct sq_once *, const char *name, const char *value),
    const char *name, const char *value, struct sq_buf *err)
{
	if (add(sq_ask_once(a->ask), name, value) == SQ_OK)
		return SQ_OK;
	sq_buf_printf(err, "%s: a header can't have control characters", name);
	return SQ_EINVAL;
}

static int
api_common(struct sq_api *a, const struct sq_api_where *w, struct sq_buf *err)
{
	struct sq_buf token = {0};
	int rc = SQ_OK;

	if (w->token_file != NULL)
		rc = sq_remote_token(w->token_file, &token, err)
		    ? sq_ask_bearer(a->ask, "Authorization", (char *)sq_buf_data(&token), err)
		    : SQ_EINVAL;
	sq_buf_wipe(&token);
	if (rc == SQ_OK && w->space != NULL)
		rc = api_add(a, sq_once_header_always, "sqmqos-space", w->space, err);
	return rc;
}

struct sq_api *
sq_api_open(const struct sq_api_where *w, struct sq_buf *err)
{
	struct sq_api *a;

	if (api_base_check(w->url, err) != SQ_OK)
		return NULL;
	a = sq_xcalloc(1, sizeof *a);
	a->ask = sq_ask_new(&(struct sq_once_cfg){.base = w->url,
				.accept = "application/json",
				.ca_file = w->ca_file,
				.max_body = API_BODY_MAX},
	    NULL, err);
	if (a->ask == NULL || api_common(a, w, err) != SQ_OK)
		sq_api_close(&a);
	return a;
}

void
sq_api_close(struct sq_api **ap)
{
	struct sq_api *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	sq_ask_free(&a->ask);
	free(a);
}

int
sq_api_header(struct sq_api *a, const char *name, const char *value, struct sq_buf *err)
{
	return api_add(a, sq_once_header, name, value, err);
}

void
sq_api_yields(struct sq_api *a, bool yields)
{
	sq_ask_yields(a->ask, yields);
}

static int
api_say_status(const struct sq_api *a, unsigned status, const char *path, struct sq_buf *err)
{
	(void)sq_ask_say_status(a->ask, path, err);
	switch (status) {
	case 401:
		sq_buf_printf(err, "; --token-file FILE has a token of this broker");
		return SQ_EDENIED;
	case 403:
		return SQ_EDENIED;
	case 404:
		return SQ_ENOTFOUND;
	case 410:
		return SQ_ESTALE;
	case 504:
		sq_buf_printf(err, "; whether it was done is not known");
		return SQ_EIO;
	default:
		return SQ_EINVAL;
	}
}

int
sq_api_ask(
    struct sq_api *a, const struct sq_api_request *r, struct sq_api_answer *out, struct sq_buf *err)
{
	struct sq_once_request own = {.method = r->method,
	    .path = r->path,
	    .content_type = r->content_type,
	    .body = r->body,
	    .timeout_ms = API_TIMEOUT_MS + r->wait_ms};
	const struct sq_once_answer *got;
	enum sq_once_end end;

	if (r->body.p == NULL && strcmp(r->method, "GET") != 0)
		own.body = sq_bytes_of(""); /* its length is said */
	end = sq_ask(a->ask, &own, &got, err);
	if (end == SQ_ONCE_UNTRUSTED)
		sq_buf_printf(err, "; --ca FILE has the broker's authorities");
	if (end != SQ_ONCE_ANSWERED)
		return SQ_EIO;
	if (got->status < 200 || got->status > 299)
		return api_say_status(a, got->status, r->path, err);
	*out = (struct sq_api_answer){
	    got->status, {sq_buf_data(&got->body), sq_buf_len(&got->body)}};
	return SQ_OK;
}
