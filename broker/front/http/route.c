/* See broker/front/http/route.h. */
#include "broker/front/http/route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/percent.h"
#include "core/suggest.h"

#define ROUTE_ROW(symbol, name, path, methods, keys) \
	[SQ_HTTP_RESOURCE_##symbol] = {name, path, methods, keys},

static const struct sq_http_resource_row rows[] = {SQ_HTTP_RESOURCES(ROUTE_ROW)};

#define KEY_ROW(symbol, name) [SQ_HTTP_QUERY_##symbol] = name,

static const char *const keys[] = {SQ_HTTP_QUERIES(KEY_ROW)};

static const struct {
	const char *name;
	unsigned method;
} methods[] = {
    {"DELETE", SQ_HTTP_DELETE},
    {"GET", SQ_HTTP_GET},
    {"HEAD", SQ_HTTP_HEAD},
    {"OPTIONS", SQ_HTTP_OPTIONS},
    {"PATCH", SQ_HTTP_PATCH},
    {"POST", SQ_HTTP_POST},
    {"PUT", SQ_HTTP_PUT},
};

static const char rest_name[] = "{topic}";

const struct sq_http_resource_row *
sq_http_resource_row(enum sq_http_resource resource)
{
	assert(resource < SQ_HTTP_RESOURCE_COUNT);
	return &rows[resource];
}

const char *
sq_http_query_name(enum sq_http_query key)
{
	return keys[key];
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

/* Cuts the path's next part off; whether a slash has followed it. */
static bool
route_part(struct sq_bytes *path, struct sq_bytes *part)
{
	size_t before = path->len;

	*part = route_until(path, '/');
	return part->len < before;
}

/* What a path has where its row has braces: views. */
struct fit {
	struct sq_bytes names[SQ_HTTP_NAMES_MAX], topic;
	unsigned n;
	bool has_topic;
};

/* Whether a part is that of the row, or another word for it. */
static bool
route_is(struct sq_bytes part, struct sq_bytes want)
{
	if (part.len == want.len)
		return want.len == 0 || memcmp(want.p, part.p, want.len) == 0;
	return (sq_bytes_are(want, "queues") && sq_bytes_are(part, "subscribers")) ||
	    (sq_bytes_are(want, "subscribers") && sq_bytes_are(part, "queues"));
}

/* Whether the path is the row's. */
static bool
route_fits(const struct sq_http_resource_row *row, struct sq_bytes path, struct fit *fit)
{
	struct sq_bytes pattern = sq_bytes_of(row->path), want, part;
	bool more = true;

	*fit = (struct fit){0};
	while (more) {
		more = route_part(&pattern, &want);
		if (sq_bytes_are(want, rest_name)) {
			fit->topic = path;
			fit->has_topic = true;
			return true;
		}
		if (route_part(&path, &part) != more)
			return false;
		if (want.len > 0 && want.p[0] == '{' && part.len > 0) {
			assert(fit->n < SQ_HTTP_NAMES_MAX);
			fit->names[fit->n++] = part;
		} else if (!route_is(part, want)) {
			return false;
		}
	}
	return true;
}

static int
route_decode(char **out, const char *what, struct sq_bytes text, struct sq_http_fault *fault)
{
	*out = sq_percent_decode((const char *)text.p, text.len);
	if (*out == NULL)
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "%s is not percent-encoded UTF-8 without NUL", what);
	return SQ_OK;
}

static int
route_names(struct sq_http_route *out, const struct fit *fit, struct sq_http_fault *fault)
{
	if (fit->has_topic && route_decode(&out->topic, "the topic", fit->topic, fault) != SQ_OK)
		return SQ_EINVAL;
	for (unsigned i = 0; i < fit->n; i++)
		if (route_decode(&out->names[i], "a name in the path", fit->names[i], fault) !=
		    SQ_OK)
			return SQ_EINVAL;
	return SQ_OK;
}

/* A key that the resource does not take: the nearest one that it does, or all of them. */
static int
route_unknown(unsigned takes, struct sq_bytes name, struct sq_http_fault *fault)
{
	struct sq_suggest s = sq_suggest_start((const char *)name.p, name.len);
	const char *before = "; the resource knows ";

	(void)sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "unknown query key ");
	sq_http_fault_name(fault, name);
	for (unsigned i = 0; i < SQ_HTTP_QUERY_COUNT; i++)
		if ((takes & 1u << i) != 0)
			sq_suggest_offer(&s, keys[i], strlen(keys[i]), keys[i], strlen(keys[i]));
	if (s.best != NULL) {
		sq_buf_printf(&fault->detail, ", did you mean %s?", s.best);
		return SQ_EINVAL;
	}
	for (unsigned i = 0; i < SQ_HTTP_QUERY_COUNT; i++) {
		if ((takes & 1u << i) == 0)
			continue;
		sq_buf_printf(&fault->detail, "%s%s", before, keys[i]);
		before = ", ";
	}
	if (takes == 0)
		sq_buf_printf(&fault->detail, "; the resource knows none");
	return SQ_EINVAL;
}

static int
route_key(struct sq_http_route *out, enum sq_http_query key, struct sq_bytes value,
    struct sq_http_fault *fault)
{
	char **to = key == SQ_HTTP_QUERY_TOPIC ? &out->topic : &out->keys[key];

	if (*to == NULL)
		return route_decode(
		    to, key == SQ_HTTP_QUERY_TOPIC ? "the topic" : keys[key], value, fault);
	if (key == SQ_HTTP_QUERY_TOPIC)
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "the topic is there twice: in the path or ?topic=");
	return sq_http_fault_say(
	    fault, SQ_HTTP_MALFORMED, "the query key %s stands there twice", keys[key]);
}

static int
route_query(struct sq_http_route *out, struct sq_bytes query, struct sq_http_fault *fault)
{
	unsigned takes = rows[out->resource].keys, key;

	while (query.len > 0) {
		struct sq_bytes value = route_until(&query, '&'), name = route_until(&value, '=');

		if (name.len == 0 && value.len == 0)
			continue;
		if (sq_bytes_are(name, "redirect") && sq_bytes_are(value, "1")) {
			out->redirect = true;
			continue;
		}
		for (key = 0; key < SQ_HTTP_QUERY_COUNT && !sq_bytes_are(name, keys[key]);)
			key++;
		if (key == SQ_HTTP_QUERY_COUNT || (takes & 1u << key) == 0)
			return route_unknown(takes, name, fault);
		if (route_key(out, (enum sq_http_query)key, value, fault) != SQ_OK)
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
	struct sq_bytes path = route_until(&target, '?');
	const unsigned always = SQ_HTTP_HEAD | SQ_HTTP_OPTIONS;
	struct fit fit = {0};
	unsigned i = 0;
	int rc;

	*out = (struct sq_http_route){.method = route_method(method)};
	while (i < SQ_HTTP_RESOURCE_COUNT && !route_fits(&rows[i], path, &fit))
		i++;
	out->resource = (enum sq_http_resource)i;
	if (i == SQ_HTTP_RESOURCE_COUNT)
		return sq_http_fault_say(
		    fault, SQ_HTTP_NOT_FOUND, "no such path; GET /v1 lists what there is");
	rc = route_names(out, &fit, fault);
	if (rc == SQ_OK)
		rc = route_query(out, target, fault);
	if (rc == SQ_OK && out->resource == SQ_HTTP_RESOURCE_BATCH && out->topic != NULL)
		out->resource = SQ_HTTP_RESOURCE_PUBLISH;
	if (rc == SQ_OK && (out->method & (rows[out->resource].methods | always)) == 0)
		rc = route_refuse_method(out, fault);
	return rc;
}

void
sq_http_route_fini(struct sq_http_route *r)
{
	free(r->topic);
	r->topic = NULL;
	for (unsigned i = 0; i < SQ_HTTP_NAMES_MAX; i++) {
		free(r->names[i]);
		r->names[i] = NULL;
	}
	for (unsigned i = 0; i < SQ_HTTP_QUERY_COUNT; i++) {
		free(r->keys[i]);
		r->keys[i] = NULL;
	}
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
