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
	SQ_HTTP_DELETE = 32,
	SQ_HTTP_PATCH = 64,
};

/* Keys of queries: K(symbol, name). */
#define SQ_HTTP_QUERIES(K) \
	K(ACK, "ack") \
	K(AFTER, "after") \
	K(ATOMIC, "atomic") \
	K(BY, "by") \
	K(DELAY, "delay") \
	K(LEASE, "lease") \
	K(MAX, "max") \
	K(MAX_BYTES, "max-bytes") \
	K(PEEK, "peek") \
	K(RAW, "raw") \
	K(TIMEOUT, "timeout") \
	K(TOPIC, "topic") \
	K(UNTRIED, "untried") \
	K(WAIT, "wait") \
	K(WITH_MESSAGES, "with-messages")

#define SQ_HTTP_QUERY_ENUM(symbol, name) SQ_HTTP_QUERY_##symbol,
enum sq_http_query { SQ_HTTP_QUERIES(SQ_HTTP_QUERY_ENUM) SQ_HTTP_QUERY_COUNT };
#undef SQ_HTTP_QUERY_ENUM

#define SQ_HTTP_TAKES(symbol) (1u << SQ_HTTP_QUERY_##symbol)
#define SQ_HTTP_TAKES_PULL \
	(SQ_HTTP_TAKES(MAX) | SQ_HTTP_TAKES(WAIT) | SQ_HTTP_TAKES(LEASE) | \
	    SQ_HTTP_TAKES(MAX_BYTES) | SQ_HTTP_TAKES(ACK) | SQ_HTTP_TAKES(RAW))

/* R(symbol, name in metrics, path, methods, keys of the query).  A part of a path in braces is a name,
 * percent-encoded; {topic} is all that is left.  Of two rows that fit the first one counts.  A queue is
 * a subscriber: /v1/subscribers is /v1/queues, and the other way. */
#define SQ_HTTP_RESOURCES(R) \
	R(API, "api", "/v1", SQ_HTTP_GET, 0) \
	R(OPENAPI, "openapi", "/v1/openapi.json", SQ_HTTP_GET, 0) \
	R(BATCH, "batch", "/v1/publish", SQ_HTTP_POST, \
	    SQ_HTTP_TAKES(TOPIC) | SQ_HTTP_TAKES(ATOMIC)) \
	R(PUBLISH, "publish", "/v1/publish/{topic}", SQ_HTTP_POST | SQ_HTTP_PUT, \
	    SQ_HTTP_TAKES(TOPIC) | SQ_HTTP_TAKES(ATOMIC)) \
	R(EVENTS, "events", "/v1/events", SQ_HTTP_POST, SQ_HTTP_TAKES(ATOMIC)) \
	R(REQUEST, "request", "/v1/request/{topic}", SQ_HTTP_POST, SQ_HTTP_TAKES(TIMEOUT)) \
	R(QUEUES, "queues", "/v1/queues", SQ_HTTP_GET, SQ_HTTP_TAKES(AFTER)) \
	R(QUEUE, "queue", "/v1/queues/{queue}", \
	    SQ_HTTP_GET | SQ_HTTP_PUT | SQ_HTTP_PATCH | SQ_HTTP_DELETE, \
	    SQ_HTTP_TAKES(WITH_MESSAGES)) \
	R(BINDING, "binding", "/v1/queues/{queue}/bindings/{id}", SQ_HTTP_PUT | SQ_HTTP_DELETE, 0) \
	R(RECEIVE, "receive", "/v1/queues/{queue}/receive", SQ_HTTP_POST, SQ_HTTP_TAKES_PULL) \
	R(SETTLE, "settle", "/v1/queues/{queue}/settle", SQ_HTTP_POST, 0) \
	R(PURGE, "purge", "/v1/queues/{queue}/purge", SQ_HTTP_POST, 0) \
	R(PAUSE, "pause", "/v1/queues/{queue}/pause", SQ_HTTP_POST, 0) \
	R(RESUME, "resume", "/v1/queues/{queue}/resume", SQ_HTTP_POST, 0) \
	R(TEST, "test", "/v1/subscribers/{queue}/test", SQ_HTTP_POST, 0) \
	R(MESSAGES, "messages", "/v1/queues/{queue}/messages", SQ_HTTP_GET, \
	    SQ_HTTP_TAKES(PEEK) | SQ_HTTP_TAKES(AFTER)) \
	R(ACK, "ack", "/v1/leases/{lease}/ack", SQ_HTTP_POST, 0) \
	R(NACK, "nack", "/v1/leases/{lease}/nack", SQ_HTTP_POST, \
	    SQ_HTTP_TAKES(DELAY) | SQ_HTTP_TAKES(UNTRIED)) \
	R(REJECT, "reject", "/v1/leases/{lease}/reject", SQ_HTTP_POST, 0) \
	R(EXTEND, "extend", "/v1/leases/{lease}/extend", SQ_HTTP_POST, SQ_HTTP_TAKES(BY)) \
	R(LETTERS, "letters", "/v1/dead-letters/{space}/messages", SQ_HTTP_GET, \
	    SQ_HTTP_TAKES(PEEK) | SQ_HTTP_TAKES(AFTER)) \
	R(REDRIVE, "redrive", "/v1/dead-letters/{space}/redrive", SQ_HTTP_POST, 0) \
	R(BRIDGES, "bridges", "/v1/bridges", SQ_HTTP_GET, 0) \
	R(BRIDGE, "bridge", "/v1/bridges/{bridge}", SQ_HTTP_GET, 0) \
	R(BRIDGE_PAUSE, "bridge-pause", "/v1/bridges/{bridge}/pause", SQ_HTTP_POST, 0) \
	R(BRIDGE_RESUME, "bridge-resume", "/v1/bridges/{bridge}/resume", SQ_HTTP_POST, 0)

#define SQ_HTTP_RESOURCE_ENUM(symbol, name, path, methods, keys) SQ_HTTP_RESOURCE_##symbol,
enum sq_http_resource { SQ_HTTP_RESOURCES(SQ_HTTP_RESOURCE_ENUM) SQ_HTTP_RESOURCE_COUNT };
#undef SQ_HTTP_RESOURCE_ENUM

struct sq_http_resource_row {
	const char *name, *path;
	unsigned methods, keys; /* SQ_HTTP_GET...; bits by enum sq_http_query */
};

const struct sq_http_resource_row *sq_http_resource_row(enum sq_http_resource);

enum { SQ_HTTP_NAMES_MAX = 2 }; /* of a path */

struct sq_http_route {
	enum sq_http_resource resource; /* SQ_HTTP_RESOURCE_COUNT: no path fits */
	unsigned method;                /* one of SQ_HTTP_...; 0: another one */
	/* Decoded UTF-8 without NUL, not checked further; NULL: none. */
	char *topic;                     /* {topic}, or ?topic= */
	char *names[SQ_HTTP_NAMES_MAX];  /* in the order of the path */
	char *keys[SQ_HTTP_QUERY_COUNT]; /* of the query; "": without a value */
	bool redirect;                   /* ?redirect=1, which each resource takes */
};

/* Finds the resource, and reads the path's names and the query.  'target' is the request's, as it
 * came, with its query.  SQ_EINVAL: see 'fault'; 'out' then has the resource and method as far as they
 * are known.  Free it by sq_http_route_fini() either way. */
int sq_http_route_find(struct sq_bytes method, struct sq_bytes target, struct sq_http_route *out,
    struct sq_http_fault *fault) SQ_MUST_CHECK;
void sq_http_route_fini(struct sq_http_route *);
/* Appends the methods of a resource as the header Allow has them; HEAD and OPTIONS are among them. */
void sq_http_route_allow(enum sq_http_resource, struct sq_buf *out);
/* The name of a key of the query. */
const char *sq_http_query_name(enum sq_http_query);

#endif
