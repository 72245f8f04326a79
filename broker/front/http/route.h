/* The resources of the HTTP API, and which of them a request is for.
 *
 * One table; openapi.json and docs/http.md are checked against it.  HEAD and OPTIONS are answered on
 * every path and stand in no row.  Pure. */
#ifndef SQ_BROKER_FRONT_HTTP_ROUTE_H
#define SQ_BROKER_FRONT_HTTP_ROUTE_H

#include <stdbool.h>

#include "broker/front/http/problem.h"
#include "core/buf.h"
#include "core/msg.h"

enum {
	SQ_HTTP_GET = 1,
	SQ_HTTP_POST = 2,
	SQ_HTTP_PUT = 4,
	SQ_HTTP_HEAD = 8,
	SQ_HTTP_OPTIONS = 16,
};

/* R(symbol, name in metrics, path, whether a topic follows the path, methods) */
#define SQ_HTTP_RESOURCES(R) \
	R(API, "api", "/v1", false, SQ_HTTP_GET) \
	R(OPENAPI, "openapi", "/v1/openapi.json", false, SQ_HTTP_GET) \
	R(PUBLISH, "publish", "/v1/publish", true, SQ_HTTP_POST | SQ_HTTP_PUT) \
	R(EVENTS, "events", "/v1/events", false, SQ_HTTP_POST)

#define SQ_HTTP_RESOURCE_ENUM(symbol, name, path, topic, methods) SQ_HTTP_RESOURCE_##symbol,
enum sq_http_resource { SQ_HTTP_RESOURCES(SQ_HTTP_RESOURCE_ENUM) SQ_HTTP_RESOURCE_COUNT };
#undef SQ_HTTP_RESOURCE_ENUM

struct sq_http_resource_row {
	const char *name, *path;
	bool topic;
	unsigned methods;
};

const struct sq_http_resource_row *sq_http_resource_row(enum sq_http_resource);

struct sq_http_route {
	enum sq_http_resource resource; /* SQ_HTTP_RESOURCE_COUNT: no path fits */
	unsigned method;                /* one of SQ_HTTP_...; 0: another one */
	char *topic;                    /* decoded, without NUL, not checked further; NULL: none */
};

/* Finds the resource and reads the path's topic, or ?topic=.  'target' is the request's, as it came,
 * with its query.  SQ_EINVAL: see 'fault'; 'out' then has the resource and method as far as they are
 * known.  Free the topic either way. */
int sq_http_route_find(struct sq_bytes method, struct sq_bytes target, struct sq_http_route *out,
    struct sq_http_fault *fault) SQ_MUST_CHECK;
void sq_http_route_fini(struct sq_http_route *);
/* Appends the methods of a resource as the header Allow has them; HEAD and OPTIONS are among them. */
void sq_http_route_allow(enum sq_http_resource, struct sq_buf *out);

#endif
