/* A client that blocks; see net/curl/once.h.
 *
 * A multi handle for a single transfer: only that can be woken from another thread, so that a program
 * that ends waits for no server. */
#include "net/curl/once.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "net/curl/easy.h"

enum {
	ONCE_CONNECT_MS = 5000,
	ONCE_POLL_MS = 1000,
	ONCE_LOOK_MS = 200, /* between two looks at the hook, which a signal may miss */
	ONCE_AGAIN_MAX_S = 5,
};

static_assert(
    sizeof((struct sq_once_answer){0}.why) >= CURL_ERROR_SIZE, "libcurl's words have room");

struct sq_once {
	const struct sq_curl *curl;
	CURL *easy;
	CURLM *multi;
	char *base, *host; /* 'host' NULL: nobody checks it */
	struct curl_slist *always, *headers, *connect_to;
	size_t max_body;
	bool (*names)(void *ssl_ctx, const char *host);
	bool (*interrupted)(void *arg);
	void *arg;
	atomic_uint_fast64_t until_ms;

	/* Of the request that runs. */
	struct sq_buf *body;
	bool too_large;
	bool head_done; /* the answer's has come as a whole */
};

/* Takes a line of the head: to libcurl the end of a connection is that of the head, too. */
static size_t
once_on_head(char *p, size_t size, size_t n, void *owner)
{
	struct sq_once *o = owner;

	if (n >= 5 && memcmp(p, "HTTP/", 5) == 0)
		o->head_done = false;
	else if (n > 0 && (p[0] == '\r' || p[0] == '\n'))
		o->head_done = true;
	return size * n;
}

/* Takes a piece of the answer's body. */
static size_t
once_on_body(char *p, size_t size, size_t n, void *owner)
{
	struct sq_once *o = owner;

	if (sq_buf_len(o->body) + size * n > o->max_body) {
		o->too_large = true;
		return 0; /* not what was passed: the transfer ends */
	}
	sq_buf_append(o->body, p, size * n);
	return size * n;
}

static CURLcode
once_on_tls(CURL *easy, void *ctx, void *owner)
{
	const struct sq_once *o = owner;

	(void)easy;
	return o->names(ctx, o->host) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

/* Adds "name: value" to a list. */
static int
once_add(struct sq_once *o, struct curl_slist **lines, const char *name, const char *value)
{
	struct sq_buf line = {0};

	for (const unsigned char *p = (const unsigned char *)value; *p != '\0'; p++)
		if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
			return SQ_EINVAL;
	(void)sq_buf_reserve(&line, strlen(name) + strlen(value) + 8);
	sq_buf_printf(&line, "%s: %s%c", name, value, 0);
	sq_easy_line(o->curl, lines, (char *)sq_buf_data(&line));
	sq_buf_wipe(&line);
	return SQ_OK;
}

/* --- life --- */

static CURLcode
once_blob(struct sq_once *o, CURLoption option, struct sq_bytes b)
{
	struct curl_blob blob = {(void *)b.p, b.len, CURL_BLOB_COPY};

	return b.len > 0 ? o->curl->easy_setopt(o->easy, option, &blob) : CURLE_OK;
}

#define SET(option, value) rc = rc != CURLE_OK ? rc : o->curl->easy_setopt(o->easy, option, value)

static CURLcode
once_set_tls(struct sq_once *o, const struct sq_once_cfg *cfg)
{
	CURLcode rc = CURLE_OK;

	if (cfg->insecure) {
		SET(CURLOPT_SSL_VERIFYPEER, 0L);
		SET(CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (cfg->ca_file != NULL)
		SET(CURLOPT_CAINFO, cfg->ca_file);
	if (cfg->ca_file != NULL || cfg->ca.len > 0)
		SET(CURLOPT_CAPATH, NULL);
	if (cfg->cert_file != NULL)
		SET(CURLOPT_SSLCERT, cfg->cert_file);
	if (cfg->key_file != NULL)
		SET(CURLOPT_SSLKEY, cfg->key_file);
	if (o->names != NULL) {
		SET(CURLOPT_SSL_CTX_FUNCTION, once_on_tls);
		SET(CURLOPT_SSL_CTX_DATA, o);
	}
	rc = rc != CURLE_OK ? rc : once_blob(o, CURLOPT_CAINFO_BLOB, cfg->ca);
	rc = rc != CURLE_OK ? rc : once_blob(o, CURLOPT_SSLCERT_BLOB, cfg->cert);
	return rc != CURLE_OK ? rc : once_blob(o, CURLOPT_SSLKEY_BLOB, cfg->key);
}

static CURLcode
once_set(struct sq_once *o, const struct sq_once_cfg *cfg)
{
	CURLcode rc = sq_easy_set_up(o->curl, o->easy, cfg->proxy);

	SET(CURLOPT_CONNECTTIMEOUT_MS,
	    cfg->connect_ms > 0 ? (long)cfg->connect_ms : (long)ONCE_CONNECT_MS);
	if (cfg->silent_s > 0) {
		SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
		SET(CURLOPT_LOW_SPEED_TIME, (long)cfg->silent_s);
	}
	SET(CURLOPT_WRITEFUNCTION, once_on_body);
	SET(CURLOPT_HEADERFUNCTION, once_on_head);
	SET(CURLOPT_HEADERDATA, o);
	SET(CURLOPT_WRITEDATA, o);
	return rc != CURLE_OK ? rc : once_set_tls(o, cfg);
}

static void
once_set_base(struct sq_once *o, const char *base)
{
	size_t n = strlen(base);
	char *was = o->base;

	while (n > 0 && base[n - 1] == '/')
		n--;
	o->base = sq_xmemdup0(base, n);
	free(was);
}

/* Has the server be called by the name of its certificate, but connects to where it is, and tells it
 * the name that its address has. */
static CURLcode
once_rename(struct sq_once *o, CURLU *u, const char *name)
{
	const struct sq_curl *curl = o->curl;
	struct sq_buf line = {0};
	char *host = NULL, *port = NULL, *url = NULL;
	CURLcode rc = CURLE_URL_MALFORMAT;

	if (curl->url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl->url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    curl->url_set(u, CURLUPART_HOST, name, 0) == CURLUE_OK &&
	    curl->url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK) {
		sq_buf_printf(&line, "%s:%s:%s:%s%c", name, port, host, port, 0);
		sq_easy_line(curl, &o->connect_to, (char *)sq_buf_data(&line));
		sq_buf_drain(&line, sq_buf_len(&line));
		sq_buf_printf(&line, "Host: %s:%s%c", host, port, 0);
		sq_easy_line(curl, &o->always, (char *)sq_buf_data(&line));
		once_set_base(o, url);
		rc = curl->easy_setopt(o->easy, CURLOPT_CONNECT_TO, o->connect_to);
	}
	curl->free(host);
	curl->free(port);
	curl->free(url);
	sq_buf_fini(&line);
	return rc;
}

/* Sets what of the options is the address's. */
static CURLcode
once_set_server(struct sq_once *o, const struct sq_once_cfg *cfg)
{
	CURLU *u = o->curl->url();
	char *host = NULL;
	CURLcode rc = CURLE_OK;

	once_set_base(o, cfg->base);
	if (u == NULL || o->curl->url_set(u, CURLUPART_URL, o->base, 0) != CURLUE_OK ||
	    o->curl->url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		rc = CURLE_URL_MALFORMAT;
	else if (o->names != NULL)
		o->host = host[0] == '[' ? sq_xmemdup0(host + 1, strlen(host) - 2)
					 : sq_xstrdup(host);
	o->curl->free(host);
	if (rc == CURLE_OK && cfg->server_name != NULL)
		rc = once_rename(o, u, cfg->server_name);
	o->curl->url_cleanup(u);
	return rc;
}

struct sq_once *
sq_once_new(const struct sq_once_cfg *cfg, struct sq_buf *err)
{
	const struct sq_curl *curl = sq_curl_load(err);
	struct sq_once *o;
	CURLcode rc;

	if (curl == NULL)
		return NULL;
	o = sq_xcalloc(1, sizeof *o);
	o->curl = curl;
	o->easy = curl->easy_init();
	o->multi = curl->multi_init();
	if (o->easy == NULL || o->multi == NULL)
		abort(); /* without memory */
	o->max_body = cfg->max_body;
	o->names = cfg->names;
	o->interrupted = cfg->interrupted;
	o->arg = cfg->arg;
	atomic_store(&o->until_ms, UINT64_MAX);
	sq_easy_line(curl, &o->always, "Expect:"); /* no wait for a 100 */
	if (cfg->accept != NULL && once_add(o, &o->always, "Accept", cfg->accept) != SQ_OK)
		rc = CURLE_BAD_FUNCTION_ARGUMENT;
	else
		rc = once_set(o, cfg);
	if (rc == CURLE_OK)
		rc = once_set_server(o, cfg);
	if (rc == CURLE_OK)
		return o;
	sq_buf_printf(err, "libcurl: %s", curl->easy_strerror(rc));
	sq_once_free(&o);
	return NULL;
}

void
sq_once_free(struct sq_once **op)
{
	struct sq_once *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	o->curl->easy_cleanup(o->easy);
	(void)o->curl->multi_cleanup(o->multi);
	sq_easy_lines_free(o->curl, &o->always);
	sq_easy_lines_free(o->curl, &o->headers);
	sq_easy_lines_free(o->curl, &o->connect_to);
	free(o->base);
	free(o->host);
	free(o);
}

const char *
sq_once_base(const struct sq_once *o)
{
	return o->base;
}

/* --- headers --- */

int
sq_once_header(struct sq_once *o, const char *name, const char *value)
{
	return once_add(o, &o->headers, name, value);
}

void
sq_once_headers_drop(struct sq_once *o)
{
	sq_easy_lines_free(o->curl, &o->headers);
}

int
sq_once_header_always(struct sq_once *o, const char *name, const char *value)
{
	return once_add(o, &o->always, name, value);
}

int
sq_once_trust(struct sq_once *o, struct sq_bytes ca)
{
	CURLcode rc = once_blob(o, CURLOPT_CAINFO_BLOB, ca);

	SET(CURLOPT_CAPATH, NULL);
	return rc == CURLE_OK ? SQ_OK : SQ_ENOMEM;
}

/* --- requests --- */

void
sq_once_until(struct sq_once *o, uint64_t ms)
{
	atomic_store(&o->until_ms, ms);
	(void)o->curl->multi_wakeup(o->multi);
}

/* Sets the options of this request alone, which stay until its end. */
static CURLcode
once_prepare(struct sq_once *o, const struct sq_once_request *r, struct sq_once_answer *a)
{
	struct sq_buf url = {0};
	CURLcode rc = CURLE_OK;

	o->body = &a->body;
	sq_buf_printf(&url, "%s%s%c", o->base, r->path, 0);
	SET(CURLOPT_URL, (char *)sq_buf_data(&url));
	SET(CURLOPT_HTTPGET, 1L);
	if (r->body.p != NULL) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
		SET(CURLOPT_POSTFIELDS, (const char *)r->body.p);
	}
	if (strcmp(r->method, "HEAD") == 0)
		SET(CURLOPT_NOBODY, 1L);
	SET(CURLOPT_CUSTOMREQUEST, r->method);
	SET(CURLOPT_HTTPHEADER, o->headers);
	SET(CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
	SET(CURLOPT_ERRORBUFFER, a->why);
	sq_buf_fini(&url);
	return rc;
}

/* Whether the request may go on, and for how long nobody need look. */
static enum sq_once_end
once_look(const struct sq_once *o, int *wait_ms)
{
	uint64_t now = sq_clock_ms(), until = atomic_load(&o->until_ms);

	if (now >= until)
		return SQ_ONCE_STOPPED;
	if (o->interrupted != NULL && o->interrupted(o->arg))
		return SQ_ONCE_INTERRUPTED;
	*wait_ms = o->interrupted != NULL ? ONCE_LOOK_MS : ONCE_POLL_MS;
	if (until - now < (uint64_t)*wait_ms)
		*wait_ms = (int)(until - now);
	return SQ_ONCE_ANSWERED;
}

/* What is known of the answer besides its body. */
static void
once_answered(const struct sq_once *o, struct sq_once_answer *a)
{
	curl_off_t after = 0, took = 0;
	long status = 0;

	(void)o->curl->easy_getinfo(o->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)o->curl->easy_getinfo(o->easy, CURLINFO_RETRY_AFTER, &after);
	(void)o->curl->easy_getinfo(o->easy, CURLINFO_TOTAL_TIME_T, &took);
	a->status = (unsigned)status;
	a->after_s = after < 0 ? 0 : after > UINT32_MAX ? UINT32_MAX : (uint32_t)after;
	a->took_us = (uint64_t)took;
}

/* Runs the transfer to its end, whose code is in '*result', or until something else ends it. */
static enum sq_once_end
once_run(struct sq_once *o, struct sq_once_answer *a, CURLcode *result)
{
	enum sq_once_end end = SQ_ONCE_FAILED;
	int running = 1, left, wait_ms = 0;
	const CURLMsg *m;

	*result = CURLE_FAILED_INIT;
	if (o->curl->multi_add_handle(o->multi, o->easy) != CURLM_OK)
		return end;
	while (running > 0 && (end = once_look(o, &wait_ms)) == SQ_ONCE_ANSWERED) {
		if (o->curl->multi_perform(o->multi, &running) != CURLM_OK)
			break;
		if (running > 0)
			(void)o->curl->multi_poll(o->multi, NULL, 0, wait_ms, NULL);
	}
	while ((m = o->curl->multi_info_read(o->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		*result = m->data.result;
		once_answered(o, a);
	}
	(void)o->curl->multi_remove_handle(o->multi, o->easy);
	return end;
}

static enum sq_once_end
once_end(CURLcode rc)
{
	switch (rc) {
	case CURLE_OK:
		return SQ_ONCE_ANSWERED;
	case CURLE_COULDNT_CONNECT:
		return SQ_ONCE_UNREACHABLE;
	case CURLE_PEER_FAILED_VERIFICATION:
		return SQ_ONCE_UNTRUSTED;
	case CURLE_OPERATION_TIMEDOUT:
		return SQ_ONCE_TIMEOUT;
	default:
		return SQ_ONCE_FAILED;
	}
}

/* Sends the request, and fills the answer in. */
static enum sq_once_end
once_try(struct sq_once *o, const struct sq_once_request *r, struct sq_once_answer *a)
{
	enum sq_once_end end = SQ_ONCE_FAILED;
	CURLcode rc;

	sq_buf_drain(&a->body, sq_buf_len(&a->body));
	a->status = a->after_s = 0;
	a->took_us = 0;
	a->why[0] = '\0';
	o->too_large = o->head_done = false;
	rc = once_prepare(o, r, a);
	if (rc == CURLE_OK)
		end = once_run(o, a, &rc);
	if (end != SQ_ONCE_STOPPED && end != SQ_ONCE_INTERRUPTED)
		end = o->too_large ? SQ_ONCE_TOO_LARGE : once_end(rc);
	if (end == SQ_ONCE_ANSWERED && o->head_done)
		return end;
	if (end == SQ_ONCE_ANSWERED) {
		end = SQ_ONCE_FAILED;
		snprintf(a->why, sizeof a->why, "the answer ends within its head");
	}
	sq_buf_drain(&a->body, sq_buf_len(&a->body));
	if (end == SQ_ONCE_TOO_LARGE)
		snprintf(a->why, sizeof a->why, "the answer is larger than %zu bytes", o->max_body);
	else if (end == SQ_ONCE_STOPPED || end == SQ_ONCE_INTERRUPTED)
		snprintf(a->why, sizeof a->why, "%s",
		    end == SQ_ONCE_STOPPED ? "stopped" : "interrupted");
	else if (a->why[0] == '\0')
		snprintf(a->why, sizeof a->why, "%s", o->curl->easy_strerror(rc));
	if (end != SQ_ONCE_TOO_LARGE)
		a->status = 0;
	return end;
}

/* Whether the answer asks to come again, and the time for that has passed. */
static bool
once_again(const struct sq_once *o, const struct sq_once_answer *a)
{
	uint64_t wait_s = a->after_s < 1    ? 1
	    : a->after_s > ONCE_AGAIN_MAX_S ? ONCE_AGAIN_MAX_S
					    : a->after_s;
	uint64_t end = sq_clock_ms() + 1000 * wait_s, now;
	int wait_ms = 0;

	if (a->status != 429 && a->status != 503)
		return false;
	while ((now = sq_clock_ms()) < end) {
		if (once_look(o, &wait_ms) != SQ_ONCE_ANSWERED)
			return false;
		if (end - now < (uint64_t)wait_ms)
			wait_ms = (int)(end - now);
		(void)o->curl->multi_poll(o->multi, NULL, 0, wait_ms, NULL);
	}
	return true;
}

enum sq_once_end
sq_once_do(struct sq_once *o, const struct sq_once_request *r, struct sq_once_answer *a)
{
	enum sq_once_end end;
	bool good = r->content_type == NULL ||
	    once_add(o, &o->headers, "Content-Type", r->content_type) == SQ_OK;

	assert(r->timeout_ms > 0 && good);
	if (r->content_type == NULL)
		sq_easy_line(o->curl, &o->headers, "Content-Type:");
	for (const struct curl_slist *l = o->always; l != NULL; l = l->next)
		sq_easy_line(o->curl, &o->headers, l->data);
	for (unsigned i = 1;; i++) {
		end = once_try(o, r, a);
		if (end != SQ_ONCE_ANSWERED || i >= r->tries || !once_again(o, a))
			break;
	}
	(void)o->curl->easy_setopt(o->easy, CURLOPT_HTTPHEADER, NULL);
	(void)o->curl->easy_setopt(o->easy, CURLOPT_ERRORBUFFER, NULL);
	sq_easy_lines_free(o->curl, &o->headers);
	return end;
}
