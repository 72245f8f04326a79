/* Keys from servers; see broker/auth/key_fetch.h. */
#include "broker/auth/key_fetch.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/auth/jwt/jwks.h"
#include "core/mem.h"
#include "net/kube_api/kube_api.h"

enum {
	FETCH_CONNECT_MS = 3000,
	FETCH_TIMEOUT_MS = 5000,
};

struct sq_key_fetch {
	struct sq_kube_api *server;
	char *issuer; /* NULL: the server says it */
	char *path;   /* of the key set */
};

static struct sq_key_fetch *
fetch_new(
    const struct sq_kube_api_cfg *cfg, const char *issuer, const char *path, struct sq_buf *err)
{
	struct sq_key_fetch *f = sq_xcalloc(1, sizeof *f);

	f->issuer = issuer != NULL ? sq_xstrdup(issuer) : NULL;
	f->path = sq_xstrdup(path);
	f->server = sq_kube_api_new(cfg, err);
	if (f->server == NULL)
		sq_key_fetch_free(&f);
	return f;
}

struct sq_key_fetch *
sq_key_fetch_api(const struct sq_auth_cfg *cfg, struct sq_buf *err)
{
	const struct sq_kube_api_cfg api = {
	    .server = cfg->api_server,
	    .token_file = cfg->api_token_file != NULL ? cfg->api_token_file
						      : SQ_KUBE_API_TOKEN_FILE,
	    .ca_file = cfg->api_ca_file != NULL ? cfg->api_ca_file : SQ_KUBE_API_CA_FILE,
	    .connect_ms = FETCH_CONNECT_MS,
	    .timeout_ms = FETCH_TIMEOUT_MS,
	    .max_body = SQ_JWKS_SIZE_MAX,
	};

	return fetch_new(&api, NULL, "/openid/v1/jwks", err);
}

struct sq_key_fetch *
sq_key_fetch_url(const struct sq_auth_issuer *i, struct sq_buf *err)
{
	static const char scheme[] = "https://";
	const char *path;
	struct sq_key_fetch *f;
	char *server;

	if (strncasecmp(i->keys_url, scheme, sizeof scheme - 1) != 0) {
		sq_buf_printf(err, "%s: must begin with https://", i->keys_url);
		return NULL;
	}
	path = strchr(i->keys_url + sizeof scheme - 1, '/');
	if (path == NULL)
		path = i->keys_url + strlen(i->keys_url);
	server = sq_xmemdup0(i->keys_url, (size_t)(path - i->keys_url));
	f = fetch_new(&(struct sq_kube_api_cfg){.server = server,
			  .ca_file = i->ca_file,
			  .connect_ms = FETCH_CONNECT_MS,
			  .timeout_ms = FETCH_TIMEOUT_MS,
			  .max_body = SQ_JWKS_SIZE_MAX},
	    i->issuer, *path != '\0' ? path : "/", err);
	free(server);
	return f;
}

void
sq_key_fetch_free(struct sq_key_fetch **fp)
{
	struct sq_key_fetch *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	sq_kube_api_free(&f->server);
	free(f->issuer);
	free(f->path);
	free(f);
}

void
sq_key_fetch_stop(struct sq_key_fetch *f)
{
	sq_kube_api_stop(f->server);
}

/* Appends what is at 'path'; anything but 200 is an error. */
static int
fetch_get(struct sq_key_fetch *f, const char *path, struct sq_buf *out, struct sq_buf *err)
{
	const struct sq_kube_api_request req = {.method = "GET", .path = path};
	struct sq_kube_api_answer answer = {0};
	int rc = sq_kube_api_do(f->server, &req, &answer, err);

	if (rc == SQ_OK && answer.status != 200) {
		sq_kube_api_explain(f->server, &req, &answer, err);
		rc = SQ_EDENIED;
	}
	if (rc == SQ_OK && sq_buf_len(&answer.body) > 0)
		sq_buf_append(out, sq_buf_data(&answer.body), sq_buf_len(&answer.body));
	sq_buf_fini(&answer.body);
	return rc;
}

/* The issuer of a discovery document.  Its jwks_uri may name an address that pods don't
 * reach, and is not looked at. */
static int
fetch_issuer(struct sq_key_fetch *f, struct sq_buf *issuer, struct sq_buf *err)
{
	static const char path[] = "/.well-known/openid-configuration";
	struct sq_buf text = {0};
	const char *name;
	json_t *o = NULL;
	int rc = fetch_get(f, path, &text, err);

	if (rc == SQ_OK && sq_buf_len(&text) > 0)
		o = json_loadb((char *)sq_buf_data(&text), sq_buf_len(&text), 0, NULL);
	name = json_string_value(json_object_get(o, "issuer"));
	if (rc == SQ_OK &&
	    (name == NULL || *name == '\0' || strlen(name) > SQ_ISSUER_MAX ||
		strchr(name, '\n') != NULL)) {
		sq_buf_printf(
		    err, "GET %s%s: it names no issuer", sq_kube_api_server(f->server), path);
		rc = SQ_EINVAL;
	}
	if (rc == SQ_OK)
		sq_buf_append(issuer, name, strlen(name) + 1);
	json_decref(o);
	sq_buf_fini(&text);
	return rc;
}

int
sq_key_fetch_run(
    struct sq_key_fetch *f, struct sq_buf *issuer, struct sq_buf *jwks, struct sq_buf *err)
{
	int rc = SQ_OK;

	if (f->issuer != NULL)
		sq_buf_append(issuer, f->issuer, strlen(f->issuer) + 1);
	else
		rc = fetch_issuer(f, issuer, err);
	return rc == SQ_OK ? fetch_get(f, f->path, jwks, err) : rc;
}
