#include "cli/view/http.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/term/interrupt.h"
#include "cli/view/ask.h"
#include "cli/view/safe.h"
#include "core/json_bounds.h"
#include "core/mem.h"
#include "net/curl/url.h"

enum {
	HTTP_SILENT_S = 5, /* while nothing comes */
	HTTP_TIMEOUT_MS = 30000,
	HTTP_PART_MS = 2000,
	HTTP_BODY_MAX = 8 << 20,
	HTTP_DEPTH_MAX = 64, /* as objects of Kubernetes are */
	HTTP_VALUES_MAX = 200000,
};

struct sq_http {
	struct sq_ask *ask;
	bool via;     /* something is in between */
	bool parting; /* requests that a signal does not end */
};

/* The address with a scheme, the caller's.  NULL: 'err' has a line. */
static char *
http_base(const char *given, struct sq_buf *err)
{
	struct sq_buf text = {0};
	struct sq_url u;
	char *base;
	int rc;

	sq_buf_printf(&text, "%s%s%c", strstr(given, "://") == NULL ? "http://" : "", given, 0);
	base = (char *)sq_buf_data(&text);
	rc = sq_url_parse_server(&u, base, err);
	sq_url_fini(&u);
	base = rc == SQ_OK ? sq_xstrdup(base) : NULL;
	sq_buf_fini(&text);
	if (rc == SQ_EINVAL) {
		sq_safe(err, given, strlen(given));
		sq_buf_printf(
		    err, ": not the address of an admin endpoint, as http://127.0.0.1:9090");
	}
	return base;
}

/* Not Authorization for the broker, which the proxy of an API server uses up. */
static int
http_tokens(struct sq_http *h, const char *token, const struct sq_http_via *via, struct sq_buf *err)
{
	int rc = SQ_OK;

	if (token != NULL)
		rc = sq_ask_bearer(h->ask, "Sqmqos-Authorization", token, err);
	if (rc == SQ_OK && via != NULL && via->token != NULL)
		rc = sq_ask_bearer(h->ask, "Authorization", via->token, err);
	return rc;
}

struct sq_http *
sq_http_new(const char *given, const char *token, const struct sq_http_via *via, struct sq_buf *err)
{
	struct sq_http *h;
	struct sq_once_cfg cfg = {
	    .accept = "application/json", .silent_s = HTTP_SILENT_S, .max_body = HTTP_BODY_MAX};
	char *base = http_base(given, err);

	if (base == NULL)
		return NULL;
	h = sq_xcalloc(1, sizeof *h);
	h->via = via != NULL;
	cfg.base = base;
	if (via != NULL) {
		cfg.ca = via->ca;
		cfg.cert = via->cert;
		cfg.key = via->key;
		cfg.server_name = via->server_name;
		cfg.proxy = via->proxy;
		cfg.insecure = via->insecure;
	}
	h->ask = sq_ask_new(&cfg, via != NULL ? via->name : NULL, err);
	free(base);
	if (h->ask == NULL || http_tokens(h, token, via, err) != SQ_OK)
		sq_http_free(&h);
	return h;
}

void
sq_http_free(struct sq_http **hp)
{
	struct sq_http *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	sq_ask_free(&h->ask);
	free(h);
}

/* ---- what is wrong ---- */

/* No answer: ends the line that says so. */
static int
http_failed(const struct sq_http *h, enum sq_once_end end, struct sq_buf *err)
{
	if (end == SQ_ONCE_UNREACHABLE && !h->via)
		sq_buf_printf(err,
		    "; the broker's admin.listen is named by --admin or SQMQOS_ADMIN, on "
		    "Kubernetes "
		    "after: kubectl port-forward -n sqmqos-system sqmqos-broker-0 9090");
	return end == SQ_ONCE_TOO_LARGE ? SQ_ETOOBIG : SQ_EIO;
}

/* What an API server refuses by itself. */
static int
http_say_own(unsigned status, struct sq_buf *err)
{
	if (status == 401) {
		sq_buf_printf(err, "; it does not take this context's credentials");
		return SQ_EDENIED;
	}
	if (status == 403) {
		sq_buf_printf(err,
		    "; by RBAC the user needs get on pods/proxy (for what changes something, and "
		    "for tail, create and delete, too), and list on pods unless --pod NAME:PORT is "
		    "given");
		return SQ_EDENIED;
	}
	return status == 404 ? SQ_ENOTFOUND : SQ_EIO;
}

/* An answer that is none of what was asked for. */
static int
http_say_status(const struct sq_http *h, unsigned status, const char *path, struct sq_buf *err)
{
	enum sq_ask_said said = sq_ask_say_status(h->ask, path, err);

	if (said == SQ_ASK_SAID_STATUS)
		return http_say_own(status, err);
	if (status == 401) {
		sq_buf_printf(err,
		    "; give a token of an identity that may with --token-file FILE, or ask "
		    "by 127.0.0.1 on the broker's machine or by kubectl port-forward");
		return SQ_EDENIED;
	}
	if (status == 403) {
		sq_buf_printf(err,
		    "; the broker's acl lets an identity in by: {allow: [%s], identity: "
		    "\"NAME\"}; one that has spaces of its own, or a rule with a space, gives "
		    "--space",
		    strncmp(path, "/v1/do/", 7) == 0 ? "manage" : "operate");
		return SQ_EDENIED;
	}
	if (status == 404) {
		if (said != SQ_ASK_SAID_PROBLEM)
			sq_buf_printf(err, "; is it a broker, and one of this version?");
		return SQ_ENOTFOUND;
	}
	return status == 400 ? SQ_EINVAL : SQ_EIO;
}

static int
http_parse(const struct sq_http *h, const struct sq_once_answer *a, const char *path, json_t **out,
    struct sq_buf *err)
{
	const char *text = (const char *)sq_buf_data(&a->body);
	size_t len = sq_buf_len(&a->body);
	json_error_t why;

	if (len > 0 && !sq_json_bounded(text, len, HTTP_DEPTH_MAX, HTTP_VALUES_MAX)) {
		sq_ask_say_where(h->ask, path, err);
		sq_buf_printf(err, "the answer nests too deep or has too many values");
		return SQ_ETOOBIG;
	}
	*out = len > 0 ? json_loadb(text, len, JSON_REJECT_DUPLICATES, &why) : NULL;
	if (*out != NULL)
		return 0;
	sq_ask_say_where(h->ask, path, err);
	sq_buf_printf(err, "the answer is no JSON; is it the admin endpoint of a broker?");
	return SQ_EINVAL;
}

/* ---- requests ---- */

/* 'body' NULL: there is none. */
static int
http_do(struct sq_http *h, const char *method, const char *path, const char *body, json_t **out,
    struct sq_buf *err)
{
	const struct sq_once_request r = {.method = method,
	    .path = path,
	    .content_type = "application/json",
	    .body = body != NULL ? sq_bytes_of(body) : (struct sq_bytes){0},
	    .timeout_ms = h->parting ? HTTP_PART_MS : HTTP_TIMEOUT_MS,
	    .tries = h->parting && sq_interrupted() ? 1 : 0};
	const struct sq_once_answer *a;
	enum sq_once_end end = sq_ask(h->ask, &r, &a, err);

	if (end != SQ_ONCE_ANSWERED)
		return http_failed(h, end, err);
	return a->status == 200 ? http_parse(h, a, path, out, err)
				: http_say_status(h, a->status, path, err);
}

int
sq_http_get(struct sq_http *h, const char *path, json_t **out, struct sq_buf *err)
{
	return http_do(h, "GET", path, NULL, out, err);
}

int
sq_http_do(struct sq_http *h, const char *method, const char *path, const json_t *body,
    json_t **out, struct sq_buf *err)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	int rc;

	if (body != NULL && text == NULL) {
		sq_buf_printf(err, "what is to be sent is not UTF-8");
		return SQ_EINVAL;
	}
	rc = http_do(h, method, path, text, out, err);
	free(text);
	return rc;
}

void
sq_http_part(struct sq_http *h)
{
	h->parting = true;
	sq_ask_yields(h->ask, false);
}
