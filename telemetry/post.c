#include "telemetry/post.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/file.h"
#include "core/mem.h"
#include "net/curl/once.h"
#include "telemetry/headers.h"

enum {
	BODY_MAX = 65536,
	CA_MAX = 4 << 20,
	RETRY_AFTER_MAX_S = 300,
};

#define TRACES_PATH "/v1/traces"

struct sq_post {
	struct sq_post_cfg cfg;
	struct sq_once *once;
};

static void
each_nothing(void *owner, const char *name, const char *value)
{
	(void)owner, (void)name, (void)value;
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

struct sq_post *
sq_post_new(const struct sq_post_cfg *cfg, struct sq_buf *err)
{
	struct sq_post *p = sq_xcalloc(1, sizeof *p);

	p->cfg = *cfg;
	p->once = sq_once_new(
	    &(struct sq_once_cfg){
		.base = cfg->endpoint, .ca_file = cfg->ca_file, .max_body = BODY_MAX},
	    err);
	if (p->once == NULL)
		sq_post_free(&p);
	return p;
}

void
sq_post_free(struct sq_post **pp)
{
	struct sq_post *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	sq_once_free(&p->once);
	free(p);
}

/* Takes a header of the file, which has no control characters. */
static void
post_on_header(void *owner, const char *name, const char *value)
{
	struct sq_post *p = owner;
	int rc = sq_once_header(p->once, name, value);

	assert(rc == SQ_OK);
}

void
sq_post(
    struct sq_post *p, const struct sq_buf *body, uint64_t timeout_ms, struct sq_post_answer *out)
{
	const struct sq_once_request r = {.method = "POST",
	    .path = TRACES_PATH,
	    .content_type = "application/json",
	    .body = {sq_buf_data(body), sq_buf_len(body)},
	    .timeout_ms = timeout_ms};
	struct sq_once_answer a = {0};
	struct sq_buf err = {0};
	enum sq_once_end end;

	*out = (struct sq_post_answer){0};
	if (p->cfg.headers_file != NULL &&
	    sq_headers_read(p->cfg.headers_file, post_on_header, p, &err) != SQ_OK) {
		snprintf(out->reason, sizeof out->reason, "tracing.headers-file: %.*s",
		    (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
		sq_once_headers_drop(p->once);
	} else {
		end = sq_once_do(p->once, &r, &a);
		out->too_long = end == SQ_ONCE_TOO_LARGE;
		out->status = (int)a.status;
		out->retry_after_s = a.after_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : a.after_s;
		out->body = a.body;
		snprintf(out->reason, sizeof out->reason, "%s",
		    end == SQ_ONCE_STOPPED ? "Timeout was reached" : a.why);
	}
	sq_buf_fini(&err);
}

void
sq_post_until(struct sq_post *p, uint64_t ms)
{
	sq_once_until(p->once, ms);
}
