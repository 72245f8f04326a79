/* See broker/front/http/route.h. */
#include "broker/front/http/route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/percent.h"
#include "core/suggest.h"

#define ROUTE_ROW(symbol, name, path, topic, methods) \
	[SQ_HTTP_RESOURCE_##symbol] = {name, path, topic, methods},

static const struct sq_http_resource_row rows[] = {SQ_HTTP_RESOURCES(ROUTE_ROW)};

static const struct {
	const char *name;
	unsigned method;
} methods[] = {
    {"GET", SQ_HTTP_GET},
    {"HEAD", SQ_HTTP_HEAD},
    {"OPTIONS", SQ_HTTP_OPTIONS},
    {"POST", SQ_HTTP_POST},
    {"PUT", SQ_HTTP_PUT},
};

static const char topic_key[] = "topic";

const struct sq_http_resource_row *
sq_http_resource_row(enum sq_http_resource resource)
{
	assert(resource < SQ_HTTP_RESOURCE_COUNT);
	return &rows[resource];
}

/* Whether the path is the row's; 'rest' is what follows it, with its slash. */
static bool
route_fits(const struct sq_http_resource_row *row, struct sq_bytes path, struct sq_bytes *rest)
{
	size_t n = strlen(row->path);

	if (path.len < n || memcmp(path.p, row->path, n) != 0)
		return false;
	*rest = (struct sq_bytes){path.p + n, path.len - n};
	return rest->len == 0 || (row->topic && rest->p[0] == '/');
}

static unsigned
route_method(struct sq_bytes method)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(methods); i++)
		if (sq_bytes_are(method, methods[i].name))
			return methods[i].method;
	return 0;
}

/* Cuts what is before the first 'c' off the front, and the 'c'; all, if there is none. */
static struct sq_bytes
route_until(struct sq_bytes *b, char c)
{
	const unsigned char *at = b->len > 0 ? memchr(b->p, c, b->len) : NULL;
	struct sq_bytes head = {b->p, at != NULL ? (size_t)(at - b->p) : b->len};
	size_t used = head.len + (at != NULL);

	if (used == 0)
		return head;
	b->p += used;
	b->len -= used;
	return head;
}

static int
route_topic(struct sq_http_route *out, struct sq_bytes text, struct sq_http_fault *fault)
{
	if (out->topic != NULL)
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "the topic is there twice: in the path or ?topic=");
	out->topic = sq_percent_decode((const char *)text.p, text.len);
	if (out->topic == NULL)
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "the topic is not percent-encoded UTF-8 without NUL");
	return SQ_OK;
}

static int
route_unknown(bool topic, struct sq_bytes name, struct sq_http_fault *fault)
{
	struct sq_suggest s = sq_suggest_start((const char *)name.p, name.len);

	(void)sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "unknown query key ");
	sq_http_fault_name(fault, name);
	if (topic)
		sq_suggest_offer(&s, topic_key, strlen(topic_key), topic_key, strlen(topic_key));
	if (s.best != NULL)
		sq_buf_printf(&fault->detail, ", did you mean %s?", s.best);
	else
		sq_buf_printf(&fault->detail, "; the resource %s",
		    topic ? "knows topic alone" : "knows none");
	return SQ_EINVAL;
}

static int
route_query(struct sq_http_route *out, struct sq_bytes query, struct sq_http_fault *fault)
{
	bool topic = rows[out->resource].topic;

	while (query.len > 0) {
		struct sq_bytes value = route_until(&query, '&'), name = route_until(&value, '=');

		if (name.len == 0 && value.len == 0)
			continue;
		if (!topic || !sq_bytes_are(name, topic_key))
			return route_unknown(topic, name, fault);
		if (route_topic(out, value, fault) != SQ_OK)
			return SQ_EINVAL;
	}
	return SQ_OK;
}

static int
route_refuse_method(const struct sq_http_route *r, struct sq_http_fault *fault)
{
	struct sq_buf allow = {0};

	sq_http_route_allow(r->resource, &allow);
	sq_buf_u8(&allow, '\0');
	(void)sq_http_fault_say(fault, SQ_HTTP_METHOD, "%s takes %s", rows[r->resource].path,
	    (const char *)sq_buf_data(&allow));
	sq_buf_fini(&allow);
	return SQ_EINVAL;
}

int
sq_http_route_find(struct sq_bytes method, struct sq_bytes target, struct sq_http_route *out,
    struct sq_http_fault *fault)
{
	struct sq_bytes path = route_until(&target, '?'), rest = {0};
	const unsigned always = SQ_HTTP_HEAD | SQ_HTTP_OPTIONS;
	unsigned i = 0;

	*out = (struct sq_http_route){.method = route_method(method)};
	while (i < SQ_HTTP_RESOURCE_COUNT && !route_fits(&rows[i], path, &rest))
		i++;
	out->resource = (enum sq_http_resource)i;
	if (i == SQ_HTTP_RESOURCE_COUNT)
		return sq_http_fault_say(
		    fault, SQ_HTTP_NOT_FOUND, "no such path; GET /v1 lists what there is");
	if ((out->method & (rows[i].methods | always)) == 0)
		return route_refuse_method(out, fault);
	if (rest.len > 0 &&
	    route_topic(out, (struct sq_bytes){rest.p + 1, rest.len - 1}, fault) != SQ_OK)
		return SQ_EINVAL;
	return route_query(out, target, fault);
}

void
sq_http_route_fini(struct sq_http_route *r)
{
	free(r->topic);
	r->topic = NULL;
}

void
sq_http_route_allow(enum sq_http_resource resource, struct sq_buf *out)
{
	const char *comma = "";

	for (size_t i = 0; i < SQ_ARRAY_LEN(methods); i++) {
		unsigned always = SQ_HTTP_HEAD | SQ_HTTP_OPTIONS;

		if ((methods[i].method & (rows[resource].methods | always)) == 0)
			continue;
		sq_buf_printf(out, "%s%s", comma, methods[i].name);
		comma = ", ";
	}
}
