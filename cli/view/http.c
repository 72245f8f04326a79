#include "cli/view/http.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/term/interrupt.h"
#include "cli/view/safe.h"
#include "core/json_bounds.h"
#include "core/mem.h"

enum {
	HTTP_CONNECT_MS = 5000,
	HTTP_SILENT_S = 5, /* while nothing comes */
	HTTP_TIMEOUT_MS = 30000,
	HTTP_PART_MS = 2000,
	HTTP_BODY_MAX = 8 << 20,
	HTTP_DEPTH_MAX = 64, /* as objects of Kubernetes are */
	HTTP_VALUES_MAX = 200000,
	HTTP_TRIES = 6,
	HTTP_WAIT_MAX_S = 5,
	HTTP_DETAIL_MAX = 300, /* bytes of an error's detail that are said */
};

struct sq_http {
	CURL *easy;
	char *base, *via; /* 'via': for people; NULL: nothing is in between */
	struct curl_slist *headers, *connect_to;

	/* Of the request that runs. */
	struct sq_buf body;
	bool too_big;
	bool parting; /* requests that a signal does not end */
	char reason[CURL_ERROR_SIZE];
};

static size_t
http_on_body(char *p, size_t size, size_t n, void *owner)
{
	struct sq_http *h = owner;

	if (sq_buf_len(&h->body) + size * n > HTTP_BODY_MAX) {
		h->too_big = true;
		return 0; /* not what was passed: the transfer ends */
	}
	sq_buf_append(&h->body, p, size * n);
	return size * n;
}

/* Ends a request that a signal has made needless. */
static int
http_on_progress(void *owner, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct sq_http *h = owner;

	(void)a, (void)b, (void)c, (void)d;
	return sq_interrupted() && !h->parting;
}

static CURLcode
http_configure(struct sq_http *h)
{
	CURLcode rc = CURLE_OK;

#define SET(option, value) rc = rc != CURLE_OK ? rc : curl_easy_setopt(h->easy, option, value)
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, (long)HTTP_SILENT_S);
	SET(CURLOPT_TIMEOUT_MS, (long)HTTP_TIMEOUT_MS);
	SET(CURLOPT_WRITEFUNCTION, http_on_body);
	SET(CURLOPT_WRITEDATA, h);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, http_on_progress);
	SET(CURLOPT_XFERINFODATA, h);
	SET(CURLOPT_ERRORBUFFER, h->reason);
	SET(CURLOPT_HTTPHEADER, h->headers);
#undef SET
	return rc;
}

/* Sets 'base' with a scheme and without a slash at its end. */
static int
http_base(struct sq_http *h, const char *given, struct sq_buf *err)
{
	CURLU *u = curl_url();
	struct sq_buf url = {0};
	char *rest = NULL, *host = NULL;
	bool good;

	sq_buf_printf(&url, "%s%s%c", strstr(given, "://") == NULL ? "http://" : "", given, 0);
	h->base = sq_xstrdup((char *)sq_buf_data(&url));
	sq_buf_fini(&url);
	good = curl_url_set(u, CURLUPART_URL, h->base, CURLU_DISALLOW_USER) == CURLUE_OK &&
	    (strncmp(h->base, "http://", 7) == 0 || strncmp(h->base, "https://", 8) == 0) &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK && *host != '\0' &&
	    curl_url_get(u, CURLUPART_QUERY, &rest, 0) != CURLUE_OK &&
	    curl_url_get(u, CURLUPART_FRAGMENT, &rest, 0) != CURLUE_OK;
	curl_free(rest);
	curl_free(host);
	curl_url_cleanup(u);
	for (size_t n = strlen(h->base); n > 0 && h->base[n - 1] == '/'; n--)
		h->base[n - 1] = '\0';
	if (good)
		return 0;
	sq_safe(err, given, strlen(given));
	sq_buf_printf(err, ": not the address of an admin endpoint, as http://127.0.0.1:9090");
	return SQ_EINVAL;
}

static void
http_bearer(struct sq_http *h, const char *name, const char *token)
{
	struct sq_buf line = {0};

	(void)sq_buf_reserve(&line, strlen(token) + 64);
	sq_buf_printf(&line, "%s: Bearer %s%c", name, token, 0);
	h->headers = curl_slist_append(h->headers, (char *)sq_buf_data(&line));
	sq_buf_wipe(&line);
}

static void
http_headers(struct sq_http *h, const char *token, const struct sq_http_via *via)
{
	h->headers = curl_slist_append(NULL, "Accept: application/json");
	h->headers = curl_slist_append(h->headers, "Content-Type: application/json");
	h->headers = curl_slist_append(h->headers, "Expect:"); /* no wait for a 100 */
	/* Not Authorization, which the proxy of an API server uses up. */
	if (token != NULL)
		http_bearer(h, "Sqmqos-Authorization", token);
	if (via != NULL && via->token != NULL)
		http_bearer(h, "Authorization", via->token);
}

/* Has the server be called by the name of its certificate, but connects to where it is, and tells it
 * the name that its address has. */
static CURLcode
http_server_name(struct sq_http *h, const char *name)
{
	CURLU *u = curl_url();
	struct sq_buf line = {0};
	char *host = NULL, *port = NULL, *url = NULL;
	CURLcode rc = CURLE_URL_MALFORMAT;

	if (curl_url_set(u, CURLUPART_URL, h->base, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_HOST, name, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK) {
		sq_buf_printf(&line, "%s:%s:%s:%s%c", name, port, host, port, 0);
		h->connect_to = curl_slist_append(NULL, (char *)sq_buf_data(&line));
		sq_buf_drain(&line, sq_buf_len(&line));
		sq_buf_printf(&line, "Host: %s:%s%c", host, port, 0);
		h->headers = curl_slist_append(h->headers, (char *)sq_buf_data(&line));
		free(h->base);
		h->base = sq_xstrdup(url);
		for (size_t n = strlen(h->base); n > 0 && h->base[n - 1] == '/'; n--)
			h->base[n - 1] = '\0';
		rc = curl_easy_setopt(h->easy, CURLOPT_CONNECT_TO, h->connect_to);
	}
	curl_free(host);
	curl_free(port);
	curl_free(url);
	curl_url_cleanup(u);
	sq_buf_fini(&line);
	return rc;
}

static CURLcode
http_blob(struct sq_http *h, CURLoption option, struct sq_bytes b)
{
	struct curl_blob blob = {(void *)b.p, b.len, CURL_BLOB_COPY};

	return b.len > 0 ? curl_easy_setopt(h->easy, option, &blob) : CURLE_OK;
}

/* Sets what the server in between wants, behind the base. */
static CURLcode
http_via(struct sq_http *h, const struct sq_http_via *via)
{
	CURLcode rc = CURLE_OK;

	if (via == NULL)
		return rc;
	h->via = sq_xstrdup(via->name);
	if (via->server_name != NULL)
		rc = http_server_name(h, via->server_name);
#define SET(option, value) rc = rc != CURLE_OK ? rc : curl_easy_setopt(h->easy, option, value)
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, via->insecure ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, via->insecure ? 0L : 2L);
	SET(CURLOPT_KEYPASSWD, ""); /* nobody is asked for one */
	if (via->proxy != NULL)
		SET(CURLOPT_PROXY, via->proxy);
	if (via->ca.len > 0)
		SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_HTTPHEADER, h->headers);
#undef SET
	if (rc == CURLE_OK)
		rc = http_blob(h, CURLOPT_CAINFO_BLOB, via->ca);
	if (rc == CURLE_OK)
		rc = http_blob(h, CURLOPT_SSLCERT_BLOB, via->cert);
	return rc != CURLE_OK ? rc : http_blob(h, CURLOPT_SSLKEY_BLOB, via->key);
}

struct sq_http *
sq_http_new(const char *base, const char *token, const struct sq_http_via *via, struct sq_buf *err)
{
	struct sq_http *h = sq_xcalloc(1, sizeof *h);
	CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);

	http_headers(h, token, via);
	if (rc == CURLE_OK) {
		h->easy = curl_easy_init();
		rc = h->easy == NULL ? CURLE_OUT_OF_MEMORY : http_configure(h);
	}
	if (rc != CURLE_OK)
		sq_buf_printf(err, "libcurl: %s", curl_easy_strerror(rc));
	if (rc != CURLE_OK || http_base(h, base, err) != 0) {
		sq_http_free(&h);
		return NULL;
	}
	if ((rc = http_via(h, via)) == CURLE_OK)
		return h;
	sq_buf_printf(err, "%s: libcurl: %s", via->name, curl_easy_strerror(rc));
	sq_http_free(&h);
	return NULL;
}

void
sq_http_free(struct sq_http **hp)
{
	struct sq_http *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	curl_easy_cleanup(h->easy);
	for (struct curl_slist *l = h->headers; l != NULL; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(h->headers);
	curl_slist_free_all(h->connect_to);
	curl_global_cleanup();
	sq_buf_fini(&h->body);
	free(h->base);
	free(h->via);
	free(h);
}

/* ---- what is wrong ---- */

static void
http_say_where(const struct sq_http *h, const char *path, struct sq_buf *err)
{
	size_t len = strcspn(path, "?");

	if (h->via != NULL)
		sq_buf_printf(err, "%s: ", h->via);
	sq_safe(err, h->base, strlen(h->base));
	sq_safe(err, path, len);
	sq_buf_printf(err, ": ");
}

/* No answer. */
static int
http_say_failed(const struct sq_http *h, CURLcode rc, const char *path, struct sq_buf *err)
{
	const char *reason = h->reason[0] != '\0' ? h->reason : curl_easy_strerror(rc);
	curl_off_t us = 0;

	http_say_where(h, path, err);
	if (h->too_big) {
		sq_buf_printf(err, "the answer is larger than %d MiB", HTTP_BODY_MAX >> 20);
		return SQ_ETOOBIG;
	}
	if (rc == CURLE_OPERATION_TIMEDOUT) {
		(void)curl_easy_getinfo(h->easy, CURLINFO_TOTAL_TIME_T, &us);
		sq_buf_printf(
		    err, "it did not answer within %ld s", (long)((us + 500000) / 1000000));
		return SQ_EIO;
	}
	sq_safe(err, reason, strlen(reason));
	if (rc == CURLE_COULDNT_CONNECT && h->via == NULL)
		sq_buf_printf(err,
		    "; the broker's admin.listen is named by --admin or SQMQOS_ADMIN, on "
		    "Kubernetes "
		    "after: kubectl port-forward -n sqmqos-system sqmqos-broker-0 9090");
	return SQ_EIO;
}

/* Appends the detail of a problem, or of what an API server says itself, or the beginning of whatever
 * it is.  True: an API server says it.  'problem_there': whether there was a detail. */
static bool
http_say_detail(const struct sq_http *h, bool *problem_there, struct sq_buf *err)
{
	const char *text = (const char *)sq_buf_data(&h->body);
	size_t len = sq_buf_len(&h->body);
	json_t *problem = NULL;
	const char *detail, *kind;
	bool own;

	if (len > 0 && sq_json_bounded(text, len, HTTP_DEPTH_MAX, HTTP_VALUES_MAX))
		problem = json_loadb(text, len, 0, NULL);
	kind = json_string_value(json_object_get(problem, "kind"));
	own = h->via != NULL && kind != NULL && strcmp(kind, "Status") == 0;
	detail = json_string_value(json_object_get(problem, own ? "message" : "detail"));
	*problem_there = detail != NULL;
	if (detail != NULL) {
		text = detail;
		len = strlen(detail);
	}
	if (len > 0) {
		sq_buf_printf(err, "%s", own ? ", the API server says: " : ", ");
		sq_safe(err, text, len < HTTP_DETAIL_MAX ? len : HTTP_DETAIL_MAX);
	}
	json_decref(problem);
	return own;
}

/* What an API server refuses by itself. */
static int
http_say_own(long status, struct sq_buf *err)
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
http_say_status(const struct sq_http *h, long status, const char *path, struct sq_buf *err)
{
	bool problem;

	http_say_where(h, path, err);
	sq_buf_printf(err, "status %ld", status);
	if (http_say_detail(h, &problem, err))
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
		if (!problem)
			sq_buf_printf(err, "; is it a broker, and one of this version?");
		return SQ_ENOTFOUND;
	}
	return status == 400 ? SQ_EINVAL : SQ_EIO;
}

static int
http_parse(const struct sq_http *h, const char *path, json_t **out, struct sq_buf *err)
{
	const char *text = (const char *)sq_buf_data(&h->body);
	size_t len = sq_buf_len(&h->body);
	json_error_t why;

	if (len > 0 && !sq_json_bounded(text, len, HTTP_DEPTH_MAX, HTTP_VALUES_MAX)) {
		http_say_where(h, path, err);
		sq_buf_printf(err, "the answer nests too deep or has too many values");
		return SQ_ETOOBIG;
	}
	*out = len > 0 ? json_loadb(text, len, JSON_REJECT_DUPLICATES, &why) : NULL;
	if (*out != NULL)
		return 0;
	http_say_where(h, path, err);
	sq_buf_printf(err, "the answer is no JSON; is it the admin endpoint of a broker?");
	return SQ_EINVAL;
}

/* ---- requests ---- */

/* Sets the options of this request alone; 'body' stays until its end. */
static CURLcode
http_prepare(struct sq_http *h, const char *method, const char *path, const char *body)
{
	struct sq_buf url = {0};
	CURLcode rc;

	sq_buf_printf(&url, "%s%s%c", h->base, path, 0);
	rc = curl_easy_setopt(h->easy, CURLOPT_URL, (char *)sq_buf_data(&url));
	sq_buf_fini(&url);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(h->easy, CURLOPT_HTTPGET, 1L);
	if (rc == CURLE_OK && body != NULL)
		rc = curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, body);
	return rc != CURLE_OK ? rc : curl_easy_setopt(h->easy, CURLOPT_CUSTOMREQUEST, method);
}

static CURLcode
http_once(struct sq_http *h, const char *method, const char *path, const char *body, long *status,
    long *wait_s)
{
	curl_off_t after = 0;
	CURLcode rc;

	h->too_big = false;
	h->reason[0] = '\0';
	sq_buf_drain(&h->body, sq_buf_len(&h->body));
	rc = http_prepare(h, method, path, body);
	if (rc == CURLE_OK)
		rc = curl_easy_perform(h->easy);
	(void)curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, status);
	(void)curl_easy_getinfo(h->easy, CURLINFO_RETRY_AFTER, &after);
	*wait_s = after < 1 ? 1 : after > HTTP_WAIT_MAX_S ? HTTP_WAIT_MAX_S : (long)after;
	return rc;
}

/* 'body' NULL: there is none. */
static int
http_do(struct sq_http *h, const char *method, const char *path, const char *body, json_t **out,
    struct sq_buf *err)
{
	long status = 0, wait_s = 0;

	for (int i = 1;; i++) {
		CURLcode rc = http_once(h, method, path, body, &status, &wait_s);

		if (rc != CURLE_OK)
			return http_say_failed(h, rc, path, err);
		if ((status != 429 && status != 503) || i == HTTP_TRIES || sq_interrupted())
			break;
		(void)nanosleep(&(struct timespec){.tv_sec = wait_s}, NULL);
	}
	if (status != 200)
		return http_say_status(h, status, path, err);
	return http_parse(h, path, out, err);
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
	(void)curl_easy_setopt(h->easy, CURLOPT_TIMEOUT_MS, (long)HTTP_PART_MS);
}
