/* What a push may be. */
#include "proto/declaration/push.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "proto/declaration/declaration_priv.h"
#include "proto/mapping/mapping.h"

/* Headers that each request has already, and of these the ones that begin so. */
static const char *const ours[] = {"accept", "accept-encoding", "authorization", "connection",
    "expect", "host", "http2-settings", "idempotency-key", "keep-alive", "proxy-authorization",
    "proxy-connection", "te", "traceparent", "tracestate", "trailer", "transfer-encoding",
    "upgrade", "user-agent"};
static const char *const our_prefixes[] = {"ce-", "content-", "sqmqos-", "webhook-"};

static int
push_wrong(struct sq_buf *err, const char *setting, const char *why)
{
	sq_buf_printf(err, "push.%s: %s", setting, why);
	return SQ_EINVAL;
}

/* URLs. */

static bool
host_has(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    c == '-' || c == '.' || c == '_';
}

/* "HOST", "HOST:PORT", "[IPv6]:PORT". */
static const char *
url_authority_fault(struct sq_bytes a)
{
	size_t i = 0, digits = 0;
	unsigned port = 0;

	if (a.len > 0 && a.p[0] == '[') {
		while (i < a.len && a.p[i] != ']')
			i++;
		if (i < 3 || i++ == a.len)
			return "has no host";
	} else {
		while (i < a.len && host_has((char)a.p[i]))
			i++;
		if (i == 0)
			return a.len > 0 && a.p[0] == '{' ? "a template is in its path alone"
							  : "has no host";
	}
	if (i == a.len)
		return NULL;
	if (memchr(a.p, '{', a.len) != NULL)
		return "a template is in its path alone";
	if (memchr(a.p, '@', a.len) != NULL)
		return "has user information: see push.auth";
	for (i++; a.p[i - 1] == ':' && i + digits < a.len && digits < 6; digits++) {
		unsigned char c = a.p[i + digits];

		port = c >= '0' && c <= '9' ? 10 * port + (c - '0') : UINT16_MAX + 1u;
	}
	return digits > 0 && i + digits == a.len && port > 0 && port <= UINT16_MAX
	    ? NULL
	    : "has a wrong host or port";
}

static int
url_path_check(struct sq_bytes path, struct sq_buf *err)
{
	struct sq_buf why = {0};
	char *text = sq_xmemdup0(path.p, path.len);
	int rc = sq_mapping_check(text, SQ_MAPPING_PATH, SQ_MAPPING_OF_QUEUE, &why);

	if (rc != SQ_OK)
		sq_buf_printf(err, "push.url: path: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	free(text);
	return rc;
}

static int
push_check_url(const char *url, struct sq_buf *err)
{
	size_t scheme = strncasecmp(url, "https://", 8) == 0 ? 8
	    : strncasecmp(url, "http://", 7) == 0            ? 7
							     : 0;
	const char *host = url + scheme, *path, *query;
	const char *fault;

	if (scheme == 0)
		return push_wrong(err, "url", "does not begin with http:// or https://");
	path = host + strcspn(host, "/?#");
	query = path + strcspn(path, "?#");
	fault = url_authority_fault(
	    (struct sq_bytes){(const unsigned char *)host, (size_t)(path - host)});
	if (fault == NULL && strchr(url, '#') != NULL)
		fault = "has a fragment";
	for (const char *p = query; fault == NULL && *p != '\0'; p++) {
		if (*p == '{' || *p == '}')
			fault = "a template is in its path alone";
		else if (*p <= ' ' || *p >= 0x7f || strchr("\"<>\\^`|", *p) != NULL)
			fault = "no URL has such a character";
	}
	if (fault != NULL)
		return push_wrong(err, "url", fault);
	if (query == path)
		return SQ_OK;
	return url_path_check(
	    (struct sq_bytes){(const unsigned char *)path, (size_t)(query - path)}, err);
}

/* Headers and secrets. */

/* Whether a request has that header already, and no declaration says what it is. */
static bool
header_is_ours(const char *name)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(ours); i++) {
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < SQ_ARRAY_LEN(our_prefixes); i++) {
		if (strncasecmp(name, our_prefixes[i], strlen(our_prefixes[i])) == 0)
			return true;
	}
	return false;
}

static int
push_check_header(
    const struct sq_push_header *h, const struct sq_declared_push *p, struct sq_buf *err)
{
	struct sq_buf why = {0};
	int rc = SQ_EINVAL;

	if (strcmp(h->name, "authorization") == 0)
		sq_buf_printf(&why, "is what push.auth says");
	else if (header_is_ours(h->name))
		sq_buf_printf(&why, "is a header of the broker's own");
	else if (p->auth.header != NULL && strcasecmp(h->name, p->auth.header) == 0)
		sq_buf_printf(&why, "is push.auth.header already");
	else
		rc = sq_mapping_check(h->value, SQ_MAPPING_HEADER, SQ_MAPPING_OF_QUEUE, &why);
	if (rc != SQ_OK)
		sq_buf_printf(err, "push.headers.%s: %.*s", h->name, (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc;
}

static bool
secret_there(const struct sq_push_secret *s)
{
	return s->file != NULL || s->name != NULL;
}

static int
push_check_secrets(const struct sq_declared_push *p, struct sq_buf *err)
{
	const struct {
		const char *name;
		const struct sq_push_secret *secret;
	} all[] = {{"auth.bearer", &p->auth.bearer}, {"auth.basic", &p->auth.basic},
	    {"auth.client-cert", &p->auth.cert}, {"auth.value", &p->auth.value},
	    {"sign.secret", &p->sign}};
	bool value = secret_there(&p->auth.value);

	for (size_t i = 0; i < SQ_ARRAY_LEN(all); i++) {
		if (all[i].secret->file != NULL && all[i].secret->name != NULL)
			return push_wrong(err, all[i].name, "is there as a file, too");
	}
	if (secret_there(&p->auth.bearer) && secret_there(&p->auth.basic))
		return push_wrong(err, "auth.basic", "there is a bearer token, too");
	if (value != (p->auth.header != NULL))
		return push_wrong(err, value ? "auth.header" : "auth.value", "is missing");
	if (value && strcasecmp(p->auth.header, "authorization") == 0)
		return secret_there(&p->auth.bearer) || secret_there(&p->auth.basic)
		    ? push_wrong(err, "auth.header", "there is a bearer token or a password, too")
		    : SQ_OK;
	if (value && header_is_ours(p->auth.header))
		return push_wrong(err, "auth.header", "is a header of the broker's own");
	return SQ_OK;
}

/* The rest. */

/* A request of a batch has one URL, and each header once: neither can be of one of its messages. */
static int
push_check_batch_templates(const struct sq_declared_push *p, struct sq_buf *err)
{
	static const char why[] =
	    "a batch (push.batch.max) is of many messages: {space} and {queue} alone";

	if (sq_mapping_is_of_message(p->url))
		return push_wrong(err, "url", why);
	for (size_t i = 0; i < p->n_headers; i++) {
		if (!sq_mapping_is_of_message(p->headers[i].value))
			continue;
		sq_buf_printf(err, "push.headers.%s: %s", p->headers[i].name, why);
		return SQ_EINVAL;
	}
	return SQ_OK;
}

static int
push_check_batch(const struct sq_declared_push *p, struct sq_buf *err)
{
	bool replies = p->reply.topic != NULL || p->reply.from_request;

	if (p->batch.max > 1 && p->format == SQ_PUSH_RAW)
		return push_wrong(err, "batch.max", "there are no batches of raw payloads");
	if (p->batch.max > 1 && replies)
		return push_wrong(err, "reply", "there is none to a batch (push.batch.max)");
	if (p->reply.topic != NULL && p->reply.from_request)
		return push_wrong(err, "reply", "has a topic, and is from the request, too");
	return p->batch.max > 1 ? push_check_batch_templates(p, err) : SQ_OK;
}

static int
push_check_times(const struct sq_declaration *d, struct sq_buf *err)
{
	const struct sq_declared_push *p = &d->push;
	uint64_t first = p->retry.first_ms != 0 ? p->retry.first_ms : d->retry.first_ms;
	uint64_t max = p->retry.max_ms != 0 ? p->retry.max_ms : d->retry.max_ms;

	if (first > max)
		return p->retry.first_ms != 0
		    ? push_wrong(err, "retry.first", "is longer than the longest wait")
		    : push_wrong(err, "retry.max", "is shorter than the first wait");
	if (p->breaker.probe_ms > p->breaker.max_ms)
		return push_wrong(err, "breaker.probe", "is longer than push.breaker.max");
	return SQ_OK;
}

static bool
statuses_have(const struct sq_push_statuses *l, struct sq_push_status v)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].status == v.status && l->v[i].all == v.all)
			return true;
	}
	return false;
}

/* A status, or all of a hundred, is in one list. */
static int
push_check_statuses(const struct sq_declared_push *p, struct sq_buf *err)
{
	const struct {
		const char *name;
		const struct sq_push_statuses *list;
	} all[] = {
	    {"dead-letter", &p->on.dead_letter}, {"retry", &p->on.retry}, {"pause", &p->on.pause}};

	for (size_t i = 0; i < 2 * SQ_ARRAY_LEN(all); i++) {
		size_t a = i % SQ_ARRAY_LEN(all), b = (a + 1) % SQ_ARRAY_LEN(all);

		for (size_t k = 0; k < all[a].list->n; k++) {
			struct sq_push_status v = all[a].list->v[k];

			if (!statuses_have(all[b].list, v))
				continue;
			sq_buf_printf(err, "push.on.%s: %u%s is in push.on.%s, too", all[a].name,
			    v.all ? v.status / 100 : v.status, v.all ? "xx" : "", all[b].name);
			return SQ_EINVAL;
		}
	}
	return SQ_OK;
}

static int
push_check_reply(const struct sq_declared_push *p, struct sq_buf *err)
{
	struct sq_buf why = {0};
	int rc = SQ_OK;

	if (p->reply.topic != NULL)
		rc = sq_mapping_check(p->reply.topic, SQ_MAPPING_TOPIC, SQ_MAPPING_OF_QUEUE, &why);
	if (rc != SQ_OK)
		sq_buf_printf(err, "push.reply.topic: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc;
}

int
sq_push_check(const struct sq_declaration *d, struct sq_buf *err)
{
	const struct sq_declared_push *p = &d->push;
	int rc = push_check_url(p->url, err);

	if (rc == SQ_OK)
		rc = push_check_secrets(p, err);
	for (size_t i = 0; rc == SQ_OK && i < p->n_headers; i++)
		rc = push_check_header(&p->headers[i], p, err);
	if (rc == SQ_OK)
		rc = push_check_batch(p, err);
	if (rc == SQ_OK)
		rc = push_check_times(d, err);
	if (rc == SQ_OK)
		rc = push_check_statuses(p, err);
	return rc == SQ_OK ? push_check_reply(p, err) : rc;
}

int
sq_declaration_check_reply(
    const struct sq_declaration *d, const char *space, const char *queue, struct sq_buf *err)
{
	for (size_t i = 0; d->push.reply.topic != NULL && i < d->n_bindings; i++) {
		const struct sq_declared_binding *b = &d->bindings[i];

		if (b->tag != NULL || b->filter == NULL ||
		    !sq_mapping_may_match(d->push.reply.topic, space, queue, b->filter))
			continue;
		sq_buf_printf(err,
		    "push.reply.topic: the queue's own binding %s may match it: replies would come "
		    "back",
		    b->id);
		return SQ_EINVAL;
	}
	return SQ_OK;
}
