/* The front's own: what its files share. */
#ifndef SQ_BROKER_FRONT_HTTP_PART_H
#define SQ_BROKER_FRONT_HTTP_PART_H

#include <h2o.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "broker/front/door/service.h"
#include "broker/front/http/counts.h"
#include "broker/front/http/front.h"
#include "broker/front/http/message.h"
#include "broker/front/http/rate.h"
#include "broker/front/http/route.h"

struct sq_http_front {
	struct sq_service service; /* first */
	struct sq_http_front_cfg cfg;
	struct sq_broker *broker; /* read by who has seen 'serves' */
	atomic_bool serves;       /* else it stands by */
	struct sq_http_counts counts;
	struct sq_http_bounds bounds;
	struct sq_http_rate *rate; /* NULL: no limit */
	atomic_uint waiting;       /* requests that wait for messages */
	uint64_t sweep_ms;         /* of the next sweep; the first worker's */
	atomic_uint_fast64_t next; /* number of a request */
};

enum { SQ_HTTP_ID_MAX = 32 };

/* A request as long as it is not answered; a value, which may outlive h2o's. */
struct sq_http_request {
	struct sq_http_front *front;
	enum sq_http_resource resource; /* SQ_HTTP_RESOURCE_COUNT: of no path */
	uint64_t since_us;
	char id[SQ_HTTP_ID_MAX]; /* sqmqos-request-id */
};

/* Carries out a request of 'who' for the route's resource, at once or later. */
typedef void sq_http_handler(struct sq_http_request *, struct sq_conn *, h2o_req_t *,
    const struct sq_http_route *, const struct sq_identity *who);

/* The headers of the request, in its pool. */
const struct sq_http_header *sq_http_headers(h2o_req_t *);
/* Takes so many publishes off what the identity may do in a second. */
int sq_http_take_rate(struct sq_http_front *, const struct sq_identity *who, size_t n,
    struct sq_http_fault *) SQ_MUST_CHECK;

static inline struct sq_bytes
sq_http_body(const h2o_req_t *req)
{
	return (struct sq_bytes){(const unsigned char *)req->entity.base, req->entity.len};
}

/* The value of a header, of the first of its name; empty: there is none. */
static inline struct sq_bytes
sq_http_header(const h2o_req_t *req, const char *name)
{
	ssize_t i = h2o_find_header_by_str(&req->headers, name, strlen(name), -1);

	if (i < 0)
		return (struct sq_bytes){0};
	return (struct sq_bytes){(const unsigned char *)req->headers.entries[i].value.base,
	    req->headers.entries[i].value.len};
}

#endif
