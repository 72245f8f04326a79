/* Keys from servers; see broker/auth/key_fetch.h. */
#include "broker/auth/key_fetch.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/auth/jwt/jwks.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/tls.h"
#include "net/curl/out.h"
#include "net/kube_api/kube_api.h"
#include "net/kube_api/parts.h"

enum {
	FETCH_CONNECT_MS = 3000,
	FETCH_TIMEOUT_MS = 5000,
};

static const char fetch_discovery[] = "/.well-known/openid-configuration";

struct sq_key_fetch {
	char *server, *token_file, *ca_file; /* the files NULL: none */
	char *issuer;                        /* NULL: the server says it */
	char *path;                          /* of the key set */
	struct sq_out_way way;

	/* Of the requests of one look. */
	struct sq_out *out;
	void (*came)(void *arg);
	void *arg;
	const char *asked;    /* the path of the one that is out */
	struct sq_buf url;    /* NUL-terminated */
	struct sq_buf issued; /* the issuer, NUL-terminated */
	struct sq_out_request req;
};

static struct sq_key_fetch *
fetch_new(
    char *server, const char *token_file, const char *ca_file, const char *issuer, const char *path)
{
	struct sq_key_fetch *f = sq_xcalloc(1, sizeof *f);

	f->server = server;
	f->token_file = token_file != NULL ? sq_xstrdup(token_file) : NULL;
	f->ca_file = ca_file != NULL ? sq_xstrdup(ca_file) : NULL;
	f->issuer = issuer != NULL ? sq_xstrdup(issuer) : NULL;
	f->path = sq_xstrdup(path);
	f->way = (struct sq_out_way){.ca_file = f->ca_file, .direct = true};
	return f;
}

struct sq_key_fetch *
sq_key_fetch_api(const struct sq_auth_cfg *cfg, struct sq_buf *err)
{
	const char *token = cfg->api_token_file != NULL ? cfg->api_token_file
							: SQ_KUBE_API_TOKEN_FILE;
	const char *ca = cfg->api_ca_file != NULL ? cfg->api_ca_file : SQ_KUBE_API_CA_FILE;
	char *server = sq_kube_server(cfg->api_server, *token != '\0', err);

	if (server == NULL)
		return NULL;
	return fetch_new(server, *token != '\0' ? token : NULL, *ca != '\0' ? ca : NULL, NULL,
	    "/openid/v1/jwks");
}

struct sq_key_fetch *
sq_key_fetch_url(const struct sq_auth_issuer *i, struct sq_buf *err)
{
	static const char scheme[] = "https://";
	const char *path, *ca = i->ca_file;
	struct sq_buf why = {0};

	if (strncasecmp(i->keys_url, scheme, sizeof scheme - 1) != 0) {
		sq_buf_printf(err, "%s: must begin with https://", i->keys_url);
		return NULL;
	}
	if (sq_out_url_check(i->keys_url, NULL, NULL, 0, NULL, &why) != SQ_OK) {
		sq_buf_printf(err, "%s: %.*s", i->keys_url, (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
		sq_buf_fini(&why);
		return NULL;
	}
	path = i->keys_url + sizeof scheme - 1;
	path += strcspn(path, "/?");
	if (*path == '?') {
		sq_buf_printf(err, "%s: there is no path in front of the query", i->keys_url);
		return NULL;
	}
	return fetch_new(sq_xmemdup0(i->keys_url, (size_t)(path - i->keys_url)), NULL,
	    ca != NULL && *ca != '\0' ? ca : NULL, i->issuer, *path != '\0' ? path : "/");
}

void
sq_key_fetch_free(struct sq_key_fetch **fp)
{
	struct sq_key_fetch *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	sq_out_request_fini(&f->req);
	sq_buf_fini(&f->url);
	sq_buf_fini(&f->issued);
	free(f->server);
	free(f->token_file);
	free(f->ca_file);
	free(f->issuer);
	free(f->path);
	free(f);
}

void
sq_key_fetch_cancel(struct sq_key_fetch *f)
{
	sq_out_cancel(f->out, &f->req);
}

static void
fetch_on_done(struct sq_out_request *req)
{
	struct sq_key_fetch *f = SQ_CONTAINER_OF(req, struct sq_key_fetch, req);

	f->came(f->arg);
}

/* Begins a line of 'err': which request it is about. */
static void
fetch_say(const struct sq_key_fetch *f, struct sq_buf *err)
{
	sq_buf_printf(err, "GET %s%s: ", f->server, f->asked);
}

/* Whether the authorities can be read: libcurl's reason is less clear. */
static int
fetch_trust(const struct sq_key_fetch *f, struct sq_buf *err)
{
	struct sq_buf pem = {0};
	int rc = sq_file_read(f->ca_file, SQ_TLS_FILE_MAX, &pem);

	if (rc != SQ_OK) {
		sq_buf_printf(err, "%s: %s", f->ca_file, sq_file_reason(rc));
	} else if (sq_buf_len(&pem) == 0) {
		sq_buf_printf(err, "%s: no certificate in it", f->ca_file);
		rc = SQ_EINVAL;
	}
	sq_buf_fini(&pem);
	return rc;
}

static int
fetch_authorize(struct sq_key_fetch *f, struct sq_buf *err)
{
	struct sq_buf value = {0};
	int rc = sq_kube_bearer(f->token_file, &value, err);

	if (rc == SQ_OK)
		rc = sq_out_header(
		    &f->req, "Authorization", sq_bytes_of((const char *)sq_buf_data(&value)));
	sq_buf_wipe(&value);
	return rc;
}

/* Asks for what is at 'path', with what is in the files now. */
static int
fetch_ask(struct sq_key_fetch *f, const char *path, struct sq_buf *err)
{
	struct sq_buf why = {0};
	int rc;

	f->asked = path;
	sq_buf_drain(&f->url, sq_buf_len(&f->url));
	sq_buf_printf(&f->url, "%s%s%c", f->server, path, 0);
	sq_out_request_fini(&f->req);
	f->req = (struct sq_out_request){.url = (const char *)sq_buf_data(&f->url),
	    .method = "GET",
	    .way = &f->way,
	    .connect_ms = FETCH_CONNECT_MS,
	    .timeout_ms = FETCH_TIMEOUT_MS,
	    .max_answer = SQ_JWKS_SIZE_MAX,
	    .done = fetch_on_done};
	/* Keys come as application/jwk-set+json only. */
	rc = sq_out_header(&f->req, "Accept", sq_bytes_of("application/json, */*"));
	if (rc == SQ_OK && f->ca_file != NULL)
		rc = fetch_trust(f, &why);
	if (rc == SQ_OK && f->token_file != NULL)
		rc = fetch_authorize(f, &why);
	if (rc == SQ_OK) {
		sq_out_send(f->out, &f->req);
	} else {
		fetch_say(f, err);
		sq_buf_append(err, sq_buf_data(&why), sq_buf_len(&why));
	}
	sq_buf_fini(&why);
	return rc;
}

/* Anything but 200 is an error. */
static int
fetch_check(const struct sq_key_fetch *f, struct sq_buf *err)
{
	const struct sq_out_request *req = &f->req;

	if (req->end == SQ_OUT_ANSWERED && req->status == 200)
		return SQ_OK;
	fetch_say(f, err);
	if (req->end == SQ_OUT_ANSWERED)
		sq_kube_explain(req->status, &req->answer, err);
	else if (req->end == SQ_OUT_TOO_LARGE)
		sq_buf_printf(err, "the answer is larger than %zu bytes", req->max_answer);
	else
		sq_buf_printf(err, "%s", req->why);
	return SQ_EIO;
}

/* Keeps the issuer of a discovery document.  Its jwks_uri may name an address that pods don't reach, and
 * is not looked at. */
static int
fetch_keep_issuer(struct sq_key_fetch *f, struct sq_buf *err)
{
	const struct sq_buf *text = &f->req.answer;
	json_t *o = NULL;
	const char *name;
	int rc = SQ_OK;

	if (sq_buf_len(text) > 0)
		o = json_loadb((char *)sq_buf_data(text), sq_buf_len(text), 0, NULL);
	name = json_string_value(json_object_get(o, "issuer"));
	if (name == NULL || *name == '\0' || strlen(name) > SQ_ISSUER_MAX ||
	    strchr(name, '\n') != NULL) {
		fetch_say(f, err);
		sq_buf_printf(err, "it names no issuer");
		rc = SQ_EINVAL;
	} else {
		sq_buf_append(&f->issued, name, strlen(name) + 1);
	}
	json_decref(o);
	return rc;
}

int
sq_key_fetch_begin(struct sq_key_fetch *f, struct sq_out *out, void (*came)(void *arg), void *arg,
    struct sq_buf *err)
{
	f->out = out;
	f->came = came;
	f->arg = arg;
	sq_buf_drain(&f->issued, sq_buf_len(&f->issued));
	if (f->issuer == NULL)
		return fetch_ask(f, fetch_discovery, err);
	sq_buf_append(&f->issued, f->issuer, strlen(f->issuer) + 1);
	return fetch_ask(f, f->path, err);
}

int
sq_key_fetch_go_on(
    struct sq_key_fetch *f, struct sq_buf *issuer, struct sq_buf *jwks, struct sq_buf *err)
{
	int rc = fetch_check(f, err);

	if (rc == SQ_OK && f->asked == fetch_discovery) {
		rc = fetch_keep_issuer(f, err);
		rc = rc == SQ_OK ? fetch_ask(f, f->path, err) : rc;
		return rc == SQ_OK ? SQ_EAGAIN : rc;
	}
	if (rc == SQ_OK) {
		sq_buf_append(issuer, sq_buf_data(&f->issued), sq_buf_len(&f->issued));
		if (sq_buf_len(&f->req.answer) > 0)
			sq_buf_append(
			    jwks, sq_buf_data(&f->req.answer), sq_buf_len(&f->req.answer));
	}
	sq_out_request_fini(&f->req);
	return rc;
}
