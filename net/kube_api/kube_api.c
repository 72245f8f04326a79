/* Requests to an API server; see net/kube_api/kube_api.h.
 *
 * A multi handle for a single transfer: only that can be woken from another
 * thread, so that a program that ends waits for no server. */
#include "net/kube_api/kube_api.h"

#include <curl/curl.h>
#include <jansson.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/mem.h"
#include "core/tls.h"

enum {
	KUBE_CONNECT_MS = 5000,
	KUBE_TIMEOUT_MS = 10000,
	KUBE_POLL_MS = 1000,
	KUBE_MAX_BODY = 8 << 20,
	KUBE_CA_MAX = 16 << 20,
	KUBE_MESSAGE_MAX = 300, /* bytes of it that are said */
};

struct sq_kube_api {
	char *server, *token_file, *ca_file;
	char *host; /* of 'server', without brackets */
	uint64_t connect_ms, timeout_ms;
	size_t max_body;
	CURLM *multi;
	CURL *easy;
	atomic_bool stopped;

	/* Of the request that runs. */
	struct sq_kube_api_answer *answer;
	bool too_big;
	char reason[CURL_ERROR_SIZE];
};

/* Takes a piece of the answer's body. */
static size_t
kube_on_body(char *p, size_t size, size_t n, void *owner)
{
	struct sq_kube_api *k = owner;

	if (sq_buf_len(&k->answer->body) + size * n > k->max_body) {
		k->too_big = true;
		return 0; /* not what was passed: the transfer ends */
	}
	sq_buf_append(&k->answer->body, p, size * n);
	return size * n;
}

/* Sets the name for the server's certificate: libcurl itself would accept the subject's CN without
 * subjectAltName.  The name is checked with the rest of the chain. */
static CURLcode
kube_on_tls(CURL *easy, void *ctx, void *owner)
{
	const struct sq_kube_api *k = owner;
	X509_VERIFY_PARAM *p = SSL_CTX_get0_param(ctx);

	(void)easy;
	X509_VERIFY_PARAM_set_hostflags(p, SQ_TLS_NAME_FLAGS);
	if (X509_VERIFY_PARAM_set1_ip_asc(p, k->host) != 1 &&
	    X509_VERIFY_PARAM_set1_host(p, k->host, 0) != 1)
		return CURLE_SSL_CERTPROBLEM;
	return CURLE_OK;
}

/* Sets the options that all requests share. */
static CURLcode
kube_configure(struct sq_kube_api *k)
{
	CURL *e = k->easy;
	CURLcode rc = CURLE_OK;

#define SET(option, value) rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, option, value)
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSL_CTX_FUNCTION, kube_on_tls);
	SET(CURLOPT_SSL_CTX_DATA, k);
	if (k->ca_file != NULL)
		SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)k->connect_ms);
	SET(CURLOPT_TIMEOUT_MS, (long)k->timeout_ms);
	SET(CURLOPT_QUICK_EXIT, 1L); /* a name that is being resolved holds nobody up */
	SET(CURLOPT_WRITEFUNCTION, kube_on_body);
	SET(CURLOPT_WRITEDATA, k);
	SET(CURLOPT_ERRORBUFFER, k->reason);
#undef SET
	return rc;
}

static bool
kube_is_set(const char *s)
{
	return s != NULL && *s != '\0';
}

/* The address that kubelet tells each container. */
static char *
kube_of_environment(struct sq_buf *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	struct sq_buf url = {0};
	bool v6;

	if (!kube_is_set(host)) {
		sq_buf_printf(err,
		    "no Kubernetes API server: KUBERNETES_SERVICE_HOST is not set; is this a pod?");
		return NULL;
	}
	v6 = strchr(host, ':') != NULL && host[0] != '[';
	sq_buf_printf(&url, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "",
	    kube_is_set(port) ? port : "443");
	sq_buf_u8(&url, 0);
	return (char *)sq_buf_data(&url);
}

/* Takes the URL apart to see that it is a server's and nothing more; '*name' is its host then. */
static bool
kube_is_server(const char *url, char **name)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *path = NULL, *rest = NULL;
	bool good;

	good = curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0) &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK && *host != '\0' &&
	    curl_url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK && strcmp(path, "/") == 0 &&
	    curl_url_get(u, CURLUPART_QUERY, &rest, 0) != CURLUE_OK &&
	    curl_url_get(u, CURLUPART_FRAGMENT, &rest, 0) != CURLUE_OK;
	if (good) {
		size_t len = strlen(host);

		*name = host[0] == '[' ? sq_xmemdup0(host + 1, len - 2) : sq_xstrdup(host);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(path);
	curl_free(rest);
	curl_url_cleanup(u);
	return good;
}

/* Sets 'server', without a slash at its end. */
static int
kube_find_server(struct sq_kube_api *k, const char *given, struct sq_buf *err)
{
	size_t len;

	k->server = kube_is_set(given) ? sq_xstrdup(given) : kube_of_environment(err);
	if (k->server == NULL)
		return SQ_ENOTFOUND;
	if (!kube_is_server(k->server, &k->host)) {
		sq_buf_printf(
		    err, "%s: not the address of an API server (https://host:port)", k->server);
		return SQ_EINVAL;
	}
	len = strlen(k->server);
	if (k->server[len - 1] == '/')
		k->server[len - 1] = '\0';
	if (k->token_file != NULL && strncasecmp(k->server, "http:", 5) == 0) {
		sq_buf_printf(err, "%s: a token is not sent in clear text", k->server);
		return SQ_EINVAL;
	}
	return SQ_OK;
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
	CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);

	k->token_file = kube_dup(cfg->token_file);
	k->ca_file = kube_dup(cfg->ca_file);
	k->connect_ms = cfg->connect_ms > 0 ? cfg->connect_ms : KUBE_CONNECT_MS;
	k->timeout_ms = cfg->timeout_ms > 0 ? cfg->timeout_ms : KUBE_TIMEOUT_MS;
	k->max_body = cfg->max_body > 0 ? cfg->max_body : KUBE_MAX_BODY;
	if (rc == CURLE_OK) {
		k->multi = curl_multi_init();
		k->easy = curl_easy_init();
		rc = k->multi == NULL || k->easy == NULL ? CURLE_OUT_OF_MEMORY : kube_configure(k);
	}
	if (rc != CURLE_OK)
		sq_buf_printf(err, "libcurl: %s", curl_easy_strerror(rc));
	if (rc != CURLE_OK || kube_find_server(k, cfg->server, err) != SQ_OK)
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
	curl_easy_cleanup(k->easy);
	curl_multi_cleanup(k->multi);
	curl_global_cleanup();
	free(k->server);
	free(k->host);
	free(k->token_file);
	free(k->ca_file);
	free(k);
}

const char *
sq_kube_api_server(const struct sq_kube_api *k)
{
	return k->server;
}

void
sq_kube_api_stop(struct sq_kube_api *k)
{
	atomic_store(&k->stopped, true);
	(void)curl_multi_wakeup(k->multi);
}

/* Begins a line of 'err': which request it is about. */
static void
kube_say(const struct sq_kube_api *k, const struct sq_kube_api_request *req, struct sq_buf *err)
{
	sq_buf_printf(err, "%s %s%s: ", req->method, k->server, req->path);
}

/* Whether it can stand in a header: visible ASCII (RFC 6750 §2.1). */
static bool
kube_is_token(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return false;
	return len > 0 && len <= SQ_KUBE_API_TOKEN_MAX;
}

/* Moves the text to the front without the white space around it, and ends it. */
static size_t
kube_trim(char *text, size_t len)
{
	size_t from = 0;

	while (len > 0 && memchr(" \t\r\n", text[len - 1], 4) != NULL)
		len--;
	while (from < len && memchr(" \t\r\n", text[from], 4) != NULL)
		from++;
	memmove(text, text + from, len - from);
	text[len - from] = '\0';
	return len - from;
}

/* Appends the header with the token. */
static int
kube_authorize(const struct sq_kube_api *k, struct curl_slist **headers, struct sq_buf *err)
{
	static const char head[] = "Authorization: Bearer ";
	const size_t at = sizeof head - 1;
	struct sq_buf line = {0};
	char *token;
	int rc;

	(void)sq_buf_reserve(&line, at + SQ_KUBE_API_TOKEN_MAX + 2);
	sq_buf_append(&line, head, at);
	rc = sq_file_read(k->token_file, SQ_KUBE_API_TOKEN_MAX, &line);
	if (rc != SQ_OK && rc != SQ_ETOOBIG) {
		sq_buf_printf(err, "%s: %s", k->token_file, sq_file_reason(rc));
	} else {
		sq_buf_u8(&line, 0);
		token = (char *)sq_buf_data(&line) + at;
		if (rc == SQ_OK &&
		    kube_is_token(token, kube_trim(token, sq_buf_len(&line) - at - 1))) {
			*headers = curl_slist_append(*headers, (char *)sq_buf_data(&line));
		} else {
			sq_buf_printf(err, "%s: it does not hold one token", k->token_file);
			rc = SQ_EINVAL;
		}
	}
	sq_buf_wipe(&line);
	return rc;
}

/* Wipes the one line that holds a secret, too. */
static void
kube_free_headers(struct curl_slist *headers)
{
	for (struct curl_slist *h = headers; h != NULL; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(headers);
}

/* Has the next connection trust the file as it is now: it is renewed while we run. */
static int
kube_trust(struct sq_kube_api *k, struct sq_buf *err)
{
	struct sq_buf pem = {0};
	int rc = sq_file_read(k->ca_file, KUBE_CA_MAX, &pem);
	struct curl_blob blob = {sq_buf_data(&pem), sq_buf_len(&pem), CURL_BLOB_COPY};

	if (rc != SQ_OK) {
		sq_buf_printf(err, "%s: %s", k->ca_file, sq_file_reason(rc));
	} else if (blob.len == 0) { /* libcurl would take the system's for none */
		sq_buf_printf(err, "%s: no certificate in it", k->ca_file);
		rc = SQ_EINVAL;
	} else if (curl_easy_setopt(k->easy, CURLOPT_CAINFO_BLOB, &blob) != CURLE_OK) {
		sq_buf_printf(err, "%s: out of memory", k->ca_file);
		rc = SQ_ENOMEM;
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

/* Sets the options of this request alone. */
static int
kube_prepare(struct sq_kube_api *k, const struct sq_kube_api_request *req,
    struct curl_slist **headers, struct sq_buf *err)
{
	struct sq_buf text = {0};
	int rc = SQ_OK;

	if (!kube_is_path(req->path)) {
		sq_buf_printf(err, "not a path");
		return SQ_EINVAL;
	}
	sq_buf_printf(&text, "%s%s%c", k->server, req->path, 0);
	curl_easy_setopt(k->easy, CURLOPT_URL, (char *)sq_buf_data(&text));
	sq_buf_drain(&text, sq_buf_len(&text));
	/* Keys come as application/jwk-set+json, and as nothing else. */
	*headers = curl_slist_append(*headers, "Accept: application/json, */*");
	*headers = curl_slist_append(*headers, "Expect:"); /* no wait for a 100 */
	if (req->content_type != NULL) {
		sq_buf_printf(&text, "Content-Type: %s%c", req->content_type, 0);
		*headers = curl_slist_append(*headers, (char *)sq_buf_data(&text));
	}
	sq_buf_fini(&text);
	if (k->ca_file != NULL)
		rc = kube_trust(k, err);
	if (rc == SQ_OK && k->token_file != NULL)
		rc = kube_authorize(k, headers, err);
	curl_easy_setopt(k->easy, CURLOPT_HTTPGET, 1L);
	if (req->content_type != NULL) {
		curl_easy_setopt(k->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.len);
		curl_easy_setopt(k->easy, CURLOPT_POSTFIELDS,
		    req->body.len > 0 ? (const char *)req->body.p : "");
	}
	curl_easy_setopt(k->easy, CURLOPT_CUSTOMREQUEST, req->method);
	curl_easy_setopt(k->easy, CURLOPT_HTTPHEADER, *headers);
	return rc;
}

/* Runs the transfer to its end; SQ_ECLOSED when it is told to stop. */
static int
kube_run(struct sq_kube_api *k, CURLcode *result)
{
	const CURLMsg *m;
	int running = 1, left;

	*result = CURLE_FAILED_INIT;
	if (curl_multi_add_handle(k->multi, k->easy) != CURLM_OK)
		return SQ_EIO;
	while (running > 0 && !atomic_load(&k->stopped)) {
		if (curl_multi_perform(k->multi, &running) != CURLM_OK)
			break;
		if (running > 0)
			(void)curl_multi_poll(k->multi, NULL, 0, KUBE_POLL_MS, NULL);
	}
	while ((m = curl_multi_info_read(k->multi, &left)) != NULL)
		if (m->msg == CURLMSG_DONE)
			*result = m->data.result;
	curl_multi_remove_handle(k->multi, k->easy);
	return atomic_load(&k->stopped) && running > 0 ? SQ_ECLOSED
	    : *result == CURLE_OK                      ? SQ_OK
						       : SQ_EIO;
}

int
sq_kube_api_do(struct sq_kube_api *k, const struct sq_kube_api_request *req,
    struct sq_kube_api_answer *answer, struct sq_buf *err)
{
	struct curl_slist *headers = NULL;
	struct sq_buf why = {0};
	CURLcode result = CURLE_OK;
	long status = 0;
	int rc;

	k->answer = answer;
	k->too_big = false;
	k->reason[0] = '\0';
	answer->status = 0;
	sq_buf_drain(&answer->body, sq_buf_len(&answer->body));
	rc = atomic_load(&k->stopped) ? SQ_ECLOSED : kube_prepare(k, req, &headers, &why);
	if (rc == SQ_OK)
		rc = kube_run(k, &result);
	curl_easy_getinfo(k->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_setopt(k->easy, CURLOPT_HTTPHEADER, NULL);
	kube_free_headers(headers);
	if (rc == SQ_OK) {
		answer->status = (unsigned)status;
		return SQ_OK;
	}
	if (k->too_big)
		rc = SQ_ETOOBIG;
	kube_say(k, req, err);
	if (rc == SQ_ECLOSED)
		sq_buf_printf(err, "stopped");
	else if (rc == SQ_ETOOBIG)
		sq_buf_printf(err, "the answer is larger than %zu bytes", k->max_body);
	else if (sq_buf_len(&why) > 0)
		sq_buf_append(err, sq_buf_data(&why), sq_buf_len(&why));
	else
		sq_buf_printf(
		    err, "%s", k->reason[0] != '\0' ? k->reason : curl_easy_strerror(result));
	sq_buf_fini(&why);
	return rc;
}

/* Appends at most KUBE_MESSAGE_MAX bytes, one line. */
static void
kube_say_text(struct sq_buf *out, const char *p, size_t len)
{
	for (size_t i = 0; i < len && i < KUBE_MESSAGE_MAX; i++)
		sq_buf_u8(out, (unsigned char)p[i] < ' ' ? ' ' : (unsigned char)p[i]);
}

void
sq_kube_api_explain(const struct sq_kube_api *k, const struct sq_kube_api_request *req,
    const struct sq_kube_api_answer *answer, struct sq_buf *out)
{
	const char *text = (const char *)sq_buf_data(&answer->body);
	size_t len = sq_buf_len(&answer->body);
	json_t *status = len > 0 ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *message = json_string_value(json_object_get(status, "message"));

	kube_say(k, req, out);
	sq_buf_printf(out, "status %u%s", answer->status, len > 0 ? ": " : "");
	if (message != NULL)
		kube_say_text(out, message, strlen(message));
	else
		kube_say_text(out, text, len);
	json_decref(status);
}
