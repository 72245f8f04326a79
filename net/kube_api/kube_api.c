/* Requests to an API server; see net/kube_api/kube_api.h. */
#include "net/kube_api/kube_api.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/mem.h"
#include "net/curl/once.h"
#include "net/curl/san.h"
#include "net/kube_api/parts.h"

enum {
	KUBE_TIMEOUT_MS = 10000,
	KUBE_MAX_BODY = 8 << 20,
	KUBE_CA_MAX = 16 << 20,
};

struct sq_kube_api {
	char *token_file, *ca_file;
	uint64_t timeout_ms;
	size_t max_body;
	struct sq_once *once;
};

static bool
kube_is_set(const char *s)
{
	return s != NULL && *s != '\0';
}

static char *
kube_dup(const char *s)
{
	return kube_is_set(s) ? sq_xstrdup(s) : NULL;
}

struct sq_kube_api *
sq_kube_api_new(const struct sq_kube_api_cfg *cfg, struct sq_buf *err)
{
	struct sq_kube_api *k = sq_xcalloc(1, sizeof *k);
	char *server = sq_kube_server(cfg->server, kube_is_set(cfg->token_file), err);

	k->token_file = kube_dup(cfg->token_file);
	k->ca_file = kube_dup(cfg->ca_file);
	k->timeout_ms = cfg->timeout_ms > 0 ? cfg->timeout_ms : KUBE_TIMEOUT_MS;
	k->max_body = cfg->max_body > 0 ? cfg->max_body : KUBE_MAX_BODY;
	if (server != NULL)
		k->once = sq_once_new(&(struct sq_once_cfg){.base = server,
					  /* Keys come as application/jwk-set+json only. */
					  .accept = "application/json, */*",
					  .names = sq_san_check,
					  .connect_ms = cfg->connect_ms,
					  .max_body = k->max_body},
		    err);
	free(server);
	if (k->once == NULL)
		sq_kube_api_free(&k);
	return k;
}

void
sq_kube_api_free(struct sq_kube_api **kp)
{
	struct sq_kube_api *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	sq_once_free(&k->once);
	free(k->token_file);
	free(k->ca_file);
	free(k);
}

const char *
sq_kube_api_server(const struct sq_kube_api *k)
{
	return sq_once_base(k->once);
}

void
sq_kube_api_stop(struct sq_kube_api *k)
{
	sq_once_until(k->once, 0);
}

/* Begins a line of 'err': which request it is about. */
static void
kube_say(const struct sq_kube_api *k, const struct sq_kube_api_request *req, struct sq_buf *err)
{
	sq_buf_printf(err, "%s %s%s: ", req->method, sq_kube_api_server(k), req->path);
}

/* Adds the header with the token. */
static int
kube_authorize(const struct sq_kube_api *k, struct sq_buf *err)
{
	struct sq_buf value = {0};
	int rc = sq_kube_bearer(k->token_file, &value, err);

	if (rc == SQ_OK)
		rc = sq_once_header(k->once, "Authorization", (char *)sq_buf_data(&value));
	sq_buf_wipe(&value);
	return rc;
}

/* Has the next connection trust the file as it is now: it is renewed while we run. */
static int
kube_trust(struct sq_kube_api *k, struct sq_buf *err)
{
	struct sq_buf pem = {0};
	int rc = sq_file_read(k->ca_file, KUBE_CA_MAX, &pem);

	if (rc != SQ_OK) {
		sq_buf_printf(err, "%s: %s", k->ca_file, sq_file_reason(rc));
	} else if (sq_buf_len(&pem) == 0) { /* libcurl would take the system's for none */
		sq_buf_printf(err, "%s: no certificate in it", k->ca_file);
		rc = SQ_EINVAL;
	} else if ((rc = sq_once_trust(k->once, sq_buf_bytes(&pem))) != SQ_OK) {
		sq_buf_printf(err, "%s: out of memory", k->ca_file);
	}
	sq_buf_fini(&pem);
	return rc;
}

static bool
kube_is_path(const char *path)
{
	for (const char *p = path; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || *p == '#')
			return false;
	return path[0] == '/';
}

/* Sees that the request can be sent, with what is in the files now. */
static int
kube_prepare(struct sq_kube_api *k, const struct sq_kube_api_request *req, struct sq_buf *err)
{
	int rc;

	if (!kube_is_path(req->path)) {
		sq_buf_printf(err, "not a path");
		return SQ_EINVAL;
	}
	rc = k->ca_file != NULL ? kube_trust(k, err) : SQ_OK;
	return rc == SQ_OK && k->token_file != NULL ? kube_authorize(k, err) : rc;
}

static int
kube_send(struct sq_kube_api *k, const struct sq_kube_api_request *req,
    struct sq_kube_api_answer *answer, struct sq_buf *err)
{
	struct sq_once_request r = {.method = req->method,
	    .path = req->path,
	    .content_type = req->content_type,
	    .timeout_ms = k->timeout_ms};
	struct sq_once_answer a = {.body = answer->body};
	enum sq_once_end end;

	if (req->content_type != NULL)
		r.body = req->body.p != NULL ? req->body : sq_bytes_of("");
	end = sq_once_do(k->once, &r, &a);
	answer->body = a.body;
	if (end == SQ_ONCE_ANSWERED) {
		answer->status = a.status;
		return SQ_OK;
	}
	sq_buf_printf(err, "%s", a.why);
	return end == SQ_ONCE_STOPPED ? SQ_ECLOSED : end == SQ_ONCE_TOO_LARGE ? SQ_ETOOBIG : SQ_EIO;
}

int
sq_kube_api_do(struct sq_kube_api *k, const struct sq_kube_api_request *req,
    struct sq_kube_api_answer *answer, struct sq_buf *err)
{
	struct sq_buf why = {0};
	int rc;

	answer->status = 0;
	sq_buf_drain(&answer->body, sq_buf_len(&answer->body));
	rc = kube_prepare(k, req, &why);
	if (rc == SQ_OK)
		rc = kube_send(k, req, answer, &why);
	if (rc != SQ_OK) {
		kube_say(k, req, err);
		sq_buf_append(err, sq_buf_data(&why), sq_buf_len(&why));
	}
	sq_buf_fini(&why);
	return rc;
}

void
sq_kube_api_explain(const struct sq_kube_api *k, const struct sq_kube_api_request *req,
    const struct sq_kube_api_answer *answer, struct sq_buf *out)
{
	kube_say(k, req, out);
	sq_kube_explain(answer->status, &answer->body, out);
}
