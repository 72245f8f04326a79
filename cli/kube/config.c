/* Contexts of a kubeconfig; see cli/kube/config.h. */
#include "cli/kube/config.h"

#include <stdlib.h>
#include <string.h>

#include "cli/kube/config_files.h"
#include "cli/kube/exec.h"
#include "cli/view/safe.h"
#include "core/base64.h"
#include "core/file.h"
#include "core/mem.h"

#define POD_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount/"

enum {
	CONFIG_PEM_MAX = 1 << 20, /* bytes */
	CONFIG_TOKEN_MAX = 16384, /* bytes */
};

/* What is read, for messages. */
struct config {
	const char *context;
	const struct sq_kube_file *file; /* that has the entry which is being read */
	const char *kind, *name;         /* "cluster" "dev" */
	struct sq_kube_access *access;
	struct sq_buf *err;
};

/* ---- what is wrong ---- */

/* Begins the line. */
static void
config_say(const struct config *c)
{
	sq_buf_printf(c->err, "%s: context ", c->file->path);
	sq_safe(c->err, c->context, strlen(c->context));
	if (c->kind != NULL) {
		sq_buf_printf(c->err, ": %s ", c->kind);
		sq_safe(c->err, c->name, strlen(c->name));
	}
	sq_buf_printf(c->err, ": ");
}

static int
config_wrong(const struct config *c, const char *key, const char *what)
{
	config_say(c);
	sq_buf_printf(c->err, "%s %s", key, what);
	return SQ_EINVAL;
}

/* ---- values ---- */

/* A text that may be left out; an empty one is left out.  False: it is none. */
static bool
config_text(const struct config *c, const json_t *map, const char *key, const char **out)
{
	const json_t *v = json_object_get(map, key);

	*out = NULL;
	if (v != NULL && !json_is_null(v) && !json_is_string(v)) {
		config_wrong(c, key, "is no text");
		return false;
	}
	if (json_string_length(v) != strlen(json_is_string(v) ? json_string_value(v) : "")) {
		config_wrong(c, key, "has a NUL in it");
		return false;
	}
	if (json_string_length(v) > 0)
		*out = json_string_value(v);
	return true;
}

/* The bytes of a value in base64, which may be broken into lines. */
static int
config_decode(const struct config *c, const char *key, const char *text, struct sq_buf *out)
{
	struct sq_buf plain = {0};
	size_t len = strlen(text);
	int rc;

	(void)sq_buf_reserve(&plain, len + 1);
	for (const char *p = text; *p != '\0'; p++)
		if (strchr(" \t\r\n", *p) == NULL)
			sq_buf_u8(&plain, (uint8_t)*p);
	(void)sq_buf_reserve(out, len + 1);
	rc = sq_base64_take(out, (const char *)sq_buf_data(&plain), sq_buf_len(&plain));
	sq_buf_wipe(&plain);
	return rc == 0 ? 0 : config_wrong(c, key, "is no base64");
}

static int
config_file(
    const struct config *c, const char *key, const char *name, size_t most, struct sq_buf *out)
{
	char *path = sq_kube_files_path(c->file, name);
	int rc;

	(void)sq_buf_reserve(out, most < CONFIG_PEM_MAX ? most + 2 : 0);
	rc = sq_file_read(path, most, out);
	if (rc != 0) {
		config_say(c);
		sq_buf_printf(c->err, "%s: ", key);
		sq_safe(c->err, path, strlen(path));
		sq_buf_printf(c->err, ": %s", sq_file_reason(rc));
	}
	free(path);
	return rc;
}

/* PEM: of KEY-data, or else of the file KEY; nothing where neither is there. */
static int
config_pem(const struct config *c, const json_t *map, const char *key, const char *key_data,
    struct sq_buf *out)
{
	const char *data, *name;
	int rc = 0;

	if (!config_text(c, map, key_data, &data) || !config_text(c, map, key, &name))
		return SQ_EINVAL;
	if (data != NULL)
		rc = config_decode(c, key_data, data, out);
	else if (name != NULL)
		rc = config_file(c, key, name, CONFIG_PEM_MAX, out);
	if (rc == 0 && (data != NULL || name != NULL) &&
	    (sq_buf_len(out) == 0 ||
		memmem(sq_buf_data(out), sq_buf_len(out), "-----BEGIN ", 11) == NULL))
		return config_wrong(c, data != NULL ? key_data : key, "has no PEM in it");
	return rc;
}

/* ---- the cluster ---- */

static int
config_server(const struct config *c, const char *server)
{
	struct sq_kube_access *a = c->access;

	if (server == NULL)
		return config_wrong(c, "server", "is missing");
	if (strncasecmp(server, "https://", 8) != 0 && strncasecmp(server, "http://", 7) != 0)
		return config_wrong(c, "server", "is no https:// address");
	for (const char *p = server; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || strchr("?#@", *p) != NULL)
			return config_wrong(c, "server", "is no https:// address");
	a->server = sq_xstrdup(server);
	for (size_t n = strlen(a->server); n > 0 && a->server[n - 1] == '/'; n--)
		a->server[n - 1] = '\0';
	return 0;
}

static int
config_cluster(const struct config *c, const json_t *cluster)
{
	const json_t *insecure = json_object_get(cluster, "insecure-skip-tls-verify");
	const char *server, *name, *proxy;
	int rc;

	if (!config_text(c, cluster, "server", &server) ||
	    !config_text(c, cluster, "tls-server-name", &name) ||
	    !config_text(c, cluster, "proxy-url", &proxy))
		return SQ_EINVAL;
	if (insecure != NULL && !json_is_boolean(insecure) && !json_is_null(insecure))
		return config_wrong(c, "insecure-skip-tls-verify", "is true or false");
	if ((rc = config_server(c, server)) != 0)
		return rc;
	c->access->insecure = json_is_true(insecure);
	c->access->server_name = name != NULL ? sq_xstrdup(name) : NULL;
	c->access->proxy = proxy != NULL ? sq_xstrdup(proxy) : NULL;
	return config_pem(
	    c, cluster, "certificate-authority", "certificate-authority-data", &c->access->ca);
}

/* ---- the user ---- */

/* Keeps the token without white space around it. */
static int
config_token(const struct config *c, const char *key)
{
	struct sq_buf *token = &c->access->token;
	char *text = (char *)sq_buf_data(token);
	size_t len = sq_buf_len(token), from = 0;

	while (len > 0 && memchr(" \t\r\n", text[len - 1], 4) != NULL)
		len--;
	while (from < len && memchr(" \t\r\n", text[from], 4) != NULL)
		from++;
	for (size_t i = from; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return config_wrong(c, key, "does not hold one token");
	if (from == len || len - from > CONFIG_TOKEN_MAX)
		return config_wrong(c, key, "does not hold one token");
	token->end = token->start + len;
	sq_buf_drain(token, from);
	sq_buf_u8(token, 0);
	return 0;
}

static int
config_given_token(const struct config *c, const char *key, const char *text)
{
	(void)sq_buf_reserve(&c->access->token, strlen(text) + 2);
	sq_buf_append(&c->access->token, text, strlen(text));
	return config_token(c, key);
}

/* What the plugin says. */
static int
config_exec(const struct config *c, const json_t *plugin)
{
	struct sq_kube_exec_answer answer = {0};
	struct sq_buf why = {0};
	int rc = sq_kube_exec(plugin, c->file->folder, c->access->server, &answer, &why);

	if (rc != 0) {
		config_say(c);
		sq_buf_printf(c->err, "exec: ");
		sq_buf_append(c->err, sq_buf_data(&why), sq_buf_len(&why));
	} else {
		c->access->cert = answer.cert;
		c->access->key = answer.key;
		answer.cert = answer.key = (struct sq_buf){0};
		if (sq_buf_len(&answer.token) > 0) {
			c->access->token = answer.token;
			answer.token = (struct sq_buf){0};
			rc = config_token(c, "exec");
		}
	}
	sq_kube_exec_answer_fini(&answer);
	sq_buf_fini(&why);
	return rc;
}

static int
config_user(const struct config *c, const json_t *user)
{
	static const char *const not_spoken[] = {
	    "auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra"};
	const char *token, *token_file;
	const json_t *plugin = json_object_get(user, "exec");
	int rc;

	for (size_t i = 0; i < SQ_ARRAY_LEN(not_spoken); i++)
		if (json_object_get(user, not_spoken[i]) != NULL)
			return config_wrong(c, not_spoken[i],
			    "is not spoken here: use a token, a certificate or an exec plugin");
	if (!config_text(c, user, "token", &token) ||
	    !config_text(c, user, "tokenFile", &token_file))
		return SQ_EINVAL;
	rc = config_pem(c, user, "client-certificate", "client-certificate-data", &c->access->cert);
	if (rc == 0)
		rc = config_pem(c, user, "client-key", "client-key-data", &c->access->key);
	if (rc == 0 && (sq_buf_len(&c->access->cert) > 0) != (sq_buf_len(&c->access->key) > 0))
		return config_wrong(c, "client-certificate", "and client-key are there together");
	if (rc == 0 && token_file != NULL)
		rc = config_file(c, "tokenFile", token_file, CONFIG_TOKEN_MAX, &c->access->token);
	if (rc == 0 && token_file != NULL)
		return config_token(c, "tokenFile");
	if (rc == 0 && token != NULL)
		return config_given_token(c, "token", token);
	/* Other credentials come first, as with kubectl. */
	if (rc == 0 && plugin != NULL && sq_buf_len(&c->access->cert) == 0)
		return config_exec(c, plugin);
	return rc;
}

/* ---- contexts ---- */

/* Finds the cluster or the user that the context names, for 'c' to be about. */
static const json_t *
config_part(struct config *c, const struct sq_kube_files *files, const json_t *context,
    const char *kind, const char *list)
{
	const json_t *part;
	const char *name;

	if (!config_text(c, context, kind, &name))
		return NULL;
	if (name == NULL) {
		config_wrong(c, kind, "is missing");
		return NULL;
	}
	part = sq_kube_files_find(files, list, kind, name, &c->file);
	c->kind = kind;
	c->name = name;
	if (part == NULL) {
		config_say(c);
		sq_buf_printf(c->err, "is in none of the files; there are: ");
		sq_kube_files_names(files, list, c->err);
	}
	return part;
}

static int
config_context(struct config *c, const struct sq_kube_files *files)
{
	const struct sq_kube_file *own;
	const json_t *context, *part;
	struct sq_buf name = {0};
	int rc;

	c->file = &files->v[0];
	context = sq_kube_files_find(files, "contexts", "context", c->context, &c->file);
	if (context == NULL) {
		config_say(c);
		sq_buf_printf(c->err, "is not there; there are: ");
		sq_kube_files_names(files, "contexts", c->err);
		return SQ_ENOTFOUND;
	}
	own = c->file;
	sq_buf_printf(&name, "context ");
	sq_safe(&name, c->context, strlen(c->context));
	sq_buf_printf(&name, " of %s%c", own->path, 0);
	c->access->name = (char *)sq_buf_data(&name);
	if ((part = config_part(c, files, context, "cluster", "clusters")) == NULL)
		return SQ_EINVAL;
	if ((rc = config_cluster(c, part)) != 0)
		return rc;
	c->file = own;
	c->kind = NULL;
	if ((part = config_part(c, files, context, "user", "users")) == NULL)
		return SQ_EINVAL;
	if ((rc = config_user(c, part)) != 0)
		return rc;
	if (strncasecmp(c->access->server, "http:", 5) == 0 && sq_buf_len(&c->access->token) > 0)
		return config_wrong(c, "token", "is not sent in clear text, to an http:// server");
	return 0;
}

/* What kubelet gives each pod. */
static int
config_in_cluster(struct config *c)
{
	static const struct sq_kube_file pod = {
	    .path = (char *)POD_FOLDER, .folder = (char *)POD_FOLDER};
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	struct sq_buf server = {0};
	bool v6;
	int rc;

	c->file = &pod;
	if (host == NULL || *host == '\0')
		return config_wrong(c, "KUBERNETES_SERVICE_HOST", "is not set: this is no pod");
	v6 = strchr(host, ':') != NULL && host[0] != '[';
	sq_buf_printf(&server, "https://%s%s%s:%s%c", v6 ? "[" : "", host, v6 ? "]" : "",
	    port != NULL && *port != '\0' ? port : "443", 0);
	rc = config_server(c, (char *)sq_buf_data(&server));
	sq_buf_fini(&server);
	c->access->name = sq_xstrdup("context " SQ_KUBE_IN_CLUSTER);
	if (rc == 0)
		rc = config_file(c, "ca.crt", "ca.crt", CONFIG_PEM_MAX, &c->access->ca);
	if (rc == 0)
		rc = config_file(c, "token", "token", CONFIG_TOKEN_MAX, &c->access->token);
	return rc == 0 ? config_token(c, "token") : rc;
}

int
sq_kube_access_read(
    struct sq_kube_access *a, const char *paths, const char *context, struct sq_buf *err)
{
	struct config c = {.context = context, .access = a, .err = err};
	struct sq_kube_files files;
	struct sq_buf why = {0};
	int rc;

	*a = (struct sq_kube_access){0};
	rc = sq_kube_files_read(&files, paths, &why);
	if (rc == SQ_ENOTFOUND && strcmp(context, SQ_KUBE_IN_CLUSTER) == 0) {
		rc = config_in_cluster(&c);
	} else if (rc == 0) {
		rc = config_context(&c, &files);
		sq_kube_files_free(&files);
	} else {
		sq_buf_append(err, sq_buf_data(&why), sq_buf_len(&why));
	}
	sq_buf_fini(&why);
	if (rc != 0)
		sq_kube_access_fini(a);
	return rc;
}

void
sq_kube_access_fini(struct sq_kube_access *a)
{
	free(a->server);
	free(a->server_name);
	free(a->proxy);
	free(a->name);
	sq_buf_fini(&a->ca);
	sq_buf_fini(&a->cert);
	sq_buf_wipe(&a->key);
	sq_buf_wipe(&a->token);
	*a = (struct sq_kube_access){0};
}
