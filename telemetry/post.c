#include "telemetry/post.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/file.h"
#include "core/mem.h"
#include "telemetry/curl.h"
#include "telemetry/headers.h"

enum {
	CONNECT_MS = 5000,
	POLL_MS = 100, /* between two looks at the time */
	BODY_MAX = 65536,
	CA_MAX = 4 << 20,
	RETRY_AFTER_MAX_S = 300,
};

#define TRACES_PATH "/v1/traces"

struct sq_post {
	const struct sq_curl *curl;
	struct sq_post_cfg cfg;
	char *url;
	CURL *easy;
	CURLM *multi;
};

static void
each_nothing(void *owner, const char *header)
{
	(void)owner, (void)header;
}

/* "http://" or "https://" and a host, without spaces, a query or credentials. */
static bool
endpoint_good(const char *s)
{
	const char *host = strncmp(s, "http://", 7) == 0 ? s + 7
	    : strncmp(s, "https://", 8) == 0             ? s + 8
							 : NULL;

	if (host == NULL || *host == '\0' || *host == '/' || *host == ':')
		return false;
	for (; *s != '\0'; s++) {
		if (*s <= ' ' || *s > '~' || strchr("?#@\"<>\\", *s) != NULL)
			return false;
	}
	return true;
}

int
sq_post_check(const struct sq_post_cfg *cfg, struct sq_buf *err)
{
	struct sq_buf text = {0};
	int rc;

	if (!endpoint_good(cfg->endpoint)) {
		sq_buf_printf(err,
		    "tracing.endpoint: '%s' is not the address of a collector, as "
		    "http://otel-collector:4318",
		    cfg->endpoint);
		return SQ_EINVAL;
	}
	if (cfg->headers_file != NULL) {
		sq_buf_printf(err, "tracing.headers-file: ");
		rc = sq_headers_read(cfg->headers_file, each_nothing, NULL, err);
		if (rc != SQ_OK)
			return rc;
		sq_buf_fini(err);
	}
	if (cfg->ca_file == NULL)
		return SQ_OK;
	rc = sq_file_read(cfg->ca_file, CA_MAX, &text);
	if (rc != SQ_OK)
		sq_buf_printf(err, "tracing.ca: %s: %s", cfg->ca_file, sq_file_reason(rc));
	sq_buf_fini(&text);
	return rc;
}

static char *
post_url(const char *endpoint)
{
	size_t n = strlen(endpoint);
	char *url;

	while (endpoint[n - 1] == '/')
		n--;
	url = sq_xmalloc(n + sizeof TRACES_PATH);
	memcpy(url, endpoint, n);
	memcpy(url + n, TRACES_PATH, sizeof TRACES_PATH);
	return url;
}

struct sq_post *
sq_post_new(const struct sq_curl *curl, const struct sq_post_cfg *cfg)
{
	struct sq_post *p = sq_xcalloc(1, sizeof *p);

	p->curl = curl;
	p->cfg = *cfg;
	p->url = post_url(cfg->endpoint);
	p->easy = curl->easy_init();
	p->multi = curl->multi_init();
	if (p->easy == NULL || p->multi == NULL)
		abort(); /* without memory */
	return p;
}

void
sq_post_free(struct sq_post **pp)
{
	struct sq_post *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	p->curl->easy_cleanup(p->easy);
	(void)p->curl->multi_cleanup(p->multi);
	free(p->url);
	free(p);
}

_Static_assert(
    sizeof((struct sq_post_answer *)0)->reason >= CURL_ERROR_SIZE, "libcurl writes a reason there");

static size_t
post_on_body(char *p, size_t size, size_t n, void *owner)
{
	struct sq_post_answer *out = owner;

	if (sq_buf_len(&out->body) + size * n > BODY_MAX) {
		out->too_long = true;
		return 0; /* not what was passed: the transfer ends */
	}
	sq_buf_append(&out->body, p, size * n);
	return size * n;
}

struct post_headers {
	const struct sq_curl *curl;
	struct curl_slist *list;
};

static void
post_on_header(void *owner, const char *header)
{
	struct post_headers *h = owner;
	struct curl_slist *longer = h->curl->slist_append(h->list, header);

	if (longer != NULL)
		h->list = longer;
}

static CURLcode
post_set_up(struct sq_post *p, const struct sq_buf *body, uint64_t timeout_ms,
    struct curl_slist *headers, struct sq_post_answer *out)
{
	CURLcode rc = CURLE_OK;

#define SET(option, value) rc = rc != CURLE_OK ? rc : p->curl->easy_setopt(p->easy, option, value)
	SET(CURLOPT_URL, p->url);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	SET(CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	if (p->cfg.ca_file != NULL)
		SET(CURLOPT_CAINFO, p->cfg.ca_file);
	SET(CURLOPT_HTTPHEADER, headers);
	SET(CURLOPT_POSTFIELDS, (const char *)sq_buf_data(body));
	SET(CURLOPT_POSTFIELDSIZE, (long)sq_buf_len(body));
	SET(CURLOPT_WRITEFUNCTION, post_on_body);
	SET(CURLOPT_WRITEDATA, out);
	SET(CURLOPT_ERRORBUFFER, out->reason);
#undef SET
	return rc;
}

/* Runs the request to its end, or to the end of its time: then CURLE_OPERATION_TIMEDOUT. */
static CURLcode
post_run(struct sq_post *p, const atomic_uint_fast64_t *until_ms)
{
	CURLcode rc = CURLE_OPERATION_TIMEDOUT;
	int running = 1, left;
	const CURLMsg *m;

	if (p->curl->multi_add_handle(p->multi, p->easy) != CURLM_OK)
		return CURLE_FAILED_INIT;
	while (running > 0 && sq_clock_ms() < atomic_load(until_ms)) {
		if (p->curl->multi_perform(p->multi, &running) != CURLM_OK)
			break;
		if (running > 0)
			(void)p->curl->multi_poll(p->multi, NULL, 0, POLL_MS, NULL);
	}
	while ((m = p->curl->multi_info_read(p->multi, &left)) != NULL)
		rc = m->msg == CURLMSG_DONE ? m->data.result : rc;
	(void)p->curl->multi_remove_handle(p->multi, p->easy);
	return rc;
}

static void
post_answered(struct sq_post *p, struct sq_post_answer *out)
{
	curl_off_t after = 0;
	long status = 0;

	if (out->too_long)
		sq_buf_fini(&out->body);
	(void)p->curl->easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)p->curl->easy_getinfo(p->easy, CURLINFO_RETRY_AFTER, &after);
	out->status = (int)status;
	out->retry_after_s = (uint32_t)(after < 0 ? 0
		: after > RETRY_AFTER_MAX_S       ? RETRY_AFTER_MAX_S
						  : after);
}

void
sq_post(struct sq_post *p, const struct sq_buf *body, uint64_t timeout_ms,
    const atomic_uint_fast64_t *until_ms, struct sq_post_answer *out)
{
	struct post_headers headers = {.curl = p->curl};
	struct sq_buf err = {0};
	CURLcode rc = CURLE_OK;

	*out = (struct sq_post_answer){0};
	post_on_header(&headers, "Content-Type: application/json");
	post_on_header(&headers, "Expect:"); /* no round before the body */
	if (p->cfg.headers_file != NULL &&
	    sq_headers_read(p->cfg.headers_file, post_on_header, &headers, &err) != SQ_OK) {
		snprintf(out->reason, sizeof out->reason, "tracing.headers-file: %.*s",
		    (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	} else {
		rc = post_set_up(p, body, timeout_ms, headers.list, out);
		if (rc == CURLE_OK)
			rc = post_run(p, until_ms);
		if (rc == CURLE_OK || out->too_long)
			post_answered(p, out);
		else if (out->reason[0] == '\0')
			snprintf(out->reason, sizeof out->reason, "%s", p->curl->easy_strerror(rc));
		(void)p->curl->easy_setopt(p->easy, CURLOPT_ERRORBUFFER, NULL);
		(void)p->curl->easy_setopt(p->easy, CURLOPT_HTTPHEADER, NULL);
	}
	sq_buf_fini(&err);
	p->curl->slist_free_all(headers.list);
}
