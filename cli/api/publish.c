#include "cli/api/publish.h"

#include <string.h>

#include "cli/term/interrupt.h"
#include "cli/term/stdin.h"
#include "cli/view/safe.h"
#include "core/percent.h"

struct publish {
	struct sq_api *api;
	const struct sq_api_publish *ask;
	struct sq_buf path;
	struct sq_buf *out, *err;
	size_t n; /* messages that are taken */
	bool unmatched;
};

/* The levels of the topic, each percent-encoded. */
static void
publish_path(struct publish *p)
{
	const char *level = p->ask->topic;
	char one[2] = {0};

	sq_buf_printf(&p->path, "/v1/%s/", p->ask->timeout_s > 0 ? "request" : "publish");
	for (; *level != '\0'; level++) {
		one[0] = *level;
		if (*level == '/')
			sq_buf_u8(&p->path, '/');
		else
			sq_percent_put(&p->path, one);
	}
	if (p->ask->timeout_s > 0)
		sq_buf_printf(&p->path, "?timeout=%llus", (unsigned long long)p->ask->timeout_s);
	sq_buf_u8(&p->path, '\0');
}

/* A key as a string in quotes (RFC 8941 §3.3.3), where it can be one; else the bare text. */
static int
publish_key(struct publish *p)
{
	const char *key = p->ask->key;
	struct sq_buf text = {0};
	bool plain = true;
	int rc;

	for (const char *c = key; *c != '\0'; c++)
		plain &= *c >= 0x20 && *c < 0x7f;
	if (!plain)
		return sq_api_header(p->api, "idempotency-key", key, p->err);
	sq_buf_u8(&text, '"');
	for (const char *c = key; *c != '\0'; c++)
		sq_buf_printf(&text, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
	sq_buf_append(&text, "\"", 2);
	rc = sq_api_header(p->api, "idempotency-key", (char *)sq_buf_data(&text), p->err);
	sq_buf_fini(&text);
	return rc;
}

static int
publish_properties(struct publish *p)
{
	struct sq_buf text = {0};
	int rc = SQ_OK;

	for (size_t i = 0; i < p->ask->n_properties && rc == SQ_OK; i++) {
		sq_buf_drain(&text, sq_buf_len(&text));
		sq_percent_put(&text, p->ask->properties[i].name);
		sq_buf_u8(&text, '=');
		sq_percent_put(&text, p->ask->properties[i].value);
		sq_buf_u8(&text, '\0');
		rc = sq_api_header(p->api, "sqmqos-property", (char *)sq_buf_data(&text), p->err);
	}
	sq_buf_fini(&text);
	return rc;
}

static int
publish_headers(struct publish *p)
{
	const struct sq_api_publish *a = p->ask;
	const struct {
		const char *name, *value;
	} rows[] = {
	    {"sqmqos-qos", a->qos},
	    {"sqmqos-receipt", a->receipt},
	    {"sqmqos-ttl", a->ttl},
	    {"sqmqos-delay", a->delay},
	    {"sqmqos-order-key", a->order_key},
	    {"sqmqos-retain", a->retain ? "true" : NULL},
	};
	int rc = a->key != NULL ? publish_key(p) : SQ_OK;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0] && rc == SQ_OK; i++)
		if (rows[i].value != NULL)
			rc = sq_api_header(p->api, rows[i].name, rows[i].value, p->err);
	return rc == SQ_OK ? publish_properties(p) : rc;
}

static int
publish_one(struct publish *p, struct sq_bytes payload)
{
	static const char unmatched[] = "\"outcome\":\"no-subscribers\"";
	struct sq_api_request r = {.method = "POST",
	    .path = (const char *)sq_buf_data(&p->path),
	    .body = {payload.p != NULL ? payload.p : (const unsigned char *)"", payload.len},
	    .content_type = p->ask->content_type,
	    .wait_ms = p->ask->timeout_s * 1000};
	struct sq_api_answer answer;
	int rc = publish_headers(p);

	if (rc == SQ_OK)
		rc = sq_api_ask(p->api, &r, &answer, p->err);
	if (rc != SQ_OK)
		return rc;
	p->n++;
	if (p->ask->timeout_s > 0) {
		sq_buf_append(p->out, answer.body.p, answer.body.len);
		return SQ_OK;
	}
	p->unmatched |= answer.body.len > 0 &&
	    memmem(answer.body.p, answer.body.len, unmatched, sizeof unmatched - 1) != NULL;
	if (p->ask->json)
		sq_buf_append(p->out, answer.body.p, answer.body.len);
	return SQ_OK;
}

/* Takes what went wrong with a line into 'err', behind its number. */
static void
publish_say_line(struct publish *p, size_t line, const struct sq_buf *why)
{
	sq_buf_printf(p->err, "line %zu: ", line);
	sq_buf_append(p->err, sq_buf_data(why), sq_buf_len(why));
}

static int
publish_lines(struct publish *p)
{
	struct sq_buf line = {0}, why = {0}, *err = p->err;
	bool end = false;
	int rc;

	p->err = &why;
	while ((rc = sq_stdin_line(&line, &end, &why)) == SQ_OK && !end && !sq_interrupted()) {
		rc = publish_one(p, sq_buf_bytes(&line));
		if (rc != SQ_OK)
			break;
	}
	p->err = err;
	if (rc != SQ_OK)
		publish_say_line(p, p->n + 1, &why);
	sq_buf_fini(&why);
	sq_buf_fini(&line);
	return rc;
}

static int
publish_whole(struct publish *p)
{
	struct sq_buf all = {0};
	int rc = sq_stdin_whole(&all, p->err);

	if (rc == SQ_OK)
		rc = publish_one(p, sq_buf_bytes(&all));
	sq_buf_fini(&all);
	return rc;
}

int
sq_api_publish(struct sq_api *api, const struct sq_api_publish *ask, bool *unmatched,
    struct sq_buf *out, struct sq_buf *err)
{
	struct publish p = {.api = api, .ask = ask, .out = out, .err = err};
	int rc;

	publish_path(&p);
	rc = ask->message != NULL ? publish_one(&p, sq_bytes_of(ask->message))
	    : ask->lines          ? publish_lines(&p)
				  : publish_whole(&p);
	*unmatched = p.unmatched;
	sq_buf_fini(&p.path);
	return rc;
}
