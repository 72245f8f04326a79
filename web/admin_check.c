#include "web/admin_check.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "proto/media/media.h"
#include "web/admin_ask.h"
#include "web/h2o.h"

/* A header for a credential where something on the way takes the usual one for itself. */
#define CHECK_TOKEN_HEADER "sqmqos-authorization"
#define CHECK_JSON "application/json"

/* The next header of that name behind 'i' (-1: the first); -1: there is none more. */
static ssize_t
check_next(const h2o_req_t *req, const char *name, ssize_t i)
{
	return h2o_find_header_by_str(&req->headers, name, strlen(name), i);
}

const h2o_iovec_t *
sq_admin_credential(const h2o_req_t *req)
{
	ssize_t i = check_next(req, CHECK_TOKEN_HEADER, -1);

	if (i < 0)
		i = h2o_find_header(&req->headers, H2O_TOKEN_AUTHORIZATION, -1);
	/* An empty one is none, for all that is asked of those without. */
	return i < 0 || req->headers.entries[i].value.len == 0 ? NULL
							       : &req->headers.entries[i].value;
}

static bool
check_method_is(const h2o_req_t *req, const char *method)
{
	return h2o_memis(req->method.base, req->method.len, method, strlen(method));
}

/* Whether the method is one of "GET, HEAD". */
static bool
check_method(const h2o_req_t *req, const char *methods)
{
	while (*methods != '\0') {
		size_t len = strcspn(methods, ",");

		if (h2o_memis(req->method.base, req->method.len, methods, len))
			return true;
		methods += len + strspn(methods + len, ", ");
	}
	return false;
}

static bool
check_type(const h2o_req_t *req)
{
	ssize_t i = h2o_find_header(&req->headers, H2O_TOKEN_CONTENT_TYPE, -1);
	h2o_iovec_t type = i >= 0 ? req->headers.entries[i].value : (h2o_iovec_t){0};

	return sq_media_is((struct sq_bytes){(unsigned char *)type.base, type.len}, CHECK_JSON) &&
	    h2o_find_header(&req->headers, H2O_TOKEN_CONTENT_TYPE, i) < 0;
}

/* Whether an origin, "http://localhost:9090", is of the host that the request names. */
static bool
check_is_own(h2o_iovec_t origin, h2o_iovec_t host)
{
	static const char *const schemes[] = {"http://", "https://"};

	for (size_t i = 0; i < SQ_ARRAY_LEN(schemes); i++) {
		size_t len = strlen(schemes[i]);

		if (origin.len == len + host.len && memcmp(origin.base, schemes[i], len) == 0 &&
		    strncasecmp(origin.base + len, host.base, host.len) == 0)
			return true;
	}
	return false;
}

/* Whether a link is followed into a window of its own, whose content the other site never sees. */
static bool
check_is_followed(const h2o_req_t *req)
{
	ssize_t i = check_next(req, "sec-fetch-dest", -1);

	return (check_method_is(req, "GET") || check_method_is(req, "HEAD")) && i >= 0 &&
	    h2o_memis(req->headers.entries[i].value.base, req->headers.entries[i].value.len,
		H2O_STRLIT("document"));
}

/* Whether a browser says that another site's page sends the request.  Another port of the same host
 * is another origin of the same site. */
static bool
check_is_foreign(const h2o_req_t *req)
{
	for (ssize_t i = -1; (i = check_next(req, "origin", i)) >= 0;)
		if (!check_is_own(req->headers.entries[i].value, req->authority))
			return true;
	for (ssize_t i = -1; (i = check_next(req, "sec-fetch-site", i)) >= 0;) {
		h2o_iovec_t v = req->headers.entries[i].value;

		if (!h2o_memis(v.base, v.len, H2O_STRLIT("same-origin")) &&
		    !h2o_memis(v.base, v.len, H2O_STRLIT("none")) && !check_is_followed(req))
			return true;
	}
	return false;
}

static_assert(SQ_ADMIN_BODY_MAX == 16 << 10, "what a client is told");

unsigned
sq_admin_check(const h2o_req_t *req, const char *methods, const char **why)
{
	*why = "a request has one Host";
	if (!sq_h2o_one_host(req))
		return 400;
	*why = "the path does not take that method";
	if (!check_method(req, methods))
		return 405;
	*why = "another site's page can't ask here";
	if (sq_admin_credential(req) == NULL && check_is_foreign(req))
		return 403;
	*why = "a body has 16 KiB at the most";
	if (req->entity.len > SQ_ADMIN_BODY_MAX)
		return 413;
	*why = "the body is JSON: content-type " CHECK_JSON;
	if (check_method_is(req, "POST") && !check_type(req))
		return 415;
	return 200;
}
