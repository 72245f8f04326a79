/* The service: from a request to its resource's handler. */
#include "broker/front/http/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/front/http/about.h"
#include "broker/front/http/answer.h"
#include "broker/front/http/fields.h"
#include "broker/front/http/part.h"
#include "broker/front/http/publish.h"
#include "broker/front/http/values.h"
#include "core/clock.h"
#include "core/mem.h"

enum {
	BODY_SLACK = 64 << 10, /* above http.max-body, so that it is us who answer */
	SWEEP_MS = 1000,
};

static struct sq_http_front *
front_of(struct sq_service *s)
{
	return SQ_CONTAINER_OF(s, struct sq_http_front, service);
}

static struct sq_bytes
front_bytes(h2o_iovec_t v)
{
	return (struct sq_bytes){(const unsigned char *)v.base, v.len};
}

static sq_http_handler *const handlers[] = {
    [SQ_HTTP_RESOURCE_API] = sq_http_about_api,
    [SQ_HTTP_RESOURCE_OPENAPI] = sq_http_about_openapi,
    [SQ_HTTP_RESOURCE_PUBLISH] = sq_http_publish,
    [SQ_HTTP_RESOURCE_EVENTS] = sq_http_publish,
};

/* Begins a request: its id, its start, and the resource as far as there is one. */
static int
front_begin(struct sq_http_front *f, const h2o_req_t *req, struct sq_http_request *r,
    struct sq_http_route *route, struct sq_http_fault *fault)
{
	uint64_t n = atomic_fetch_add_explicit(&f->next, 1, memory_order_relaxed);
	int rc = sq_http_route_find(
	    front_bytes(req->input.method), front_bytes(req->input.path), route, fault);

	*r = (struct sq_http_request){
	    .front = f, .resource = route->resource, .since_us = sq_clock_us()};
	(void)snprintf(r->id, sizeof r->id, "%016llx", (unsigned long long)n);
	return rc;
}

static bool
front_accepts(const h2o_req_t *req)
{
	ssize_t i = h2o_find_header(&req->headers, H2O_TOKEN_ACCEPT, -1);

	if (i < 0)
		return true;
	for (; i >= 0; i = h2o_find_header(&req->headers, H2O_TOKEN_ACCEPT, i))
		if (sq_http_accepts(front_bytes(req->headers.entries[i].value)))
			return true;
	return false;
}

static size_t
front_headers_size(const h2o_req_t *req)
{
	size_t size = 0;

	for (size_t i = 0; i < req->headers.size; i++)
		size += req->headers.entries[i].name->len + req->headers.entries[i].value.len;
	return size;
}

/* What holds for requests of all resources. */
static int
front_check(const struct sq_http_front *f, const h2o_req_t *req, struct sq_http_fault *fault)
{
	size_t headers = front_headers_size(req);

	if (headers > SQ_HTTP_HEADERS_MAX)
		return sq_http_fault_say(fault, SQ_HTTP_HEADERS_TOO_LARGE,
		    "the headers have %zu bytes, at most %d are taken", headers,
		    SQ_HTTP_HEADERS_MAX);
	if (req->entity.len > f->cfg.max_body)
		return sq_http_fault_say(fault, SQ_HTTP_TOO_LARGE,
		    "the body has %zu bytes, http.max-body is %zu", req->entity.len,
		    f->cfg.max_body);
	if (!front_accepts(req))
		return sq_http_fault_say(
		    fault, SQ_HTTP_NOT_ACCEPTABLE, "answers are application/json");
	return SQ_OK;
}

static void
front_request(struct sq_service *s, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_identity *who, const struct sq_proof *proof)
{
	struct sq_http_front *f = front_of(s);
	struct sq_http_request r;
	struct sq_http_route route;
	struct sq_http_fault fault = {0};
	unsigned methods;

	(void)proof;
	if (front_begin(f, req, &r, &route, &fault) != SQ_OK ||
	    front_check(f, req, &fault) != SQ_OK) {
		sq_http_answer_fault(req, &r, who, &fault);
	} else {
		methods = sq_http_resource_row(route.resource)->methods;
		if (route.method == SQ_HTTP_HEAD && (methods & SQ_HTTP_GET) == 0)
			sq_http_answer_methods(req, &r);
		else
			handlers[route.resource](&r, conn, req, &route, who);
	}
	sq_http_route_fini(&route);
	sq_http_fault_fini(&fault);
}

/* OPTIONS needs no credential: browsers send none with a preflight. */
static bool
front_greet(struct sq_service *s, struct sq_conn *conn, h2o_req_t *req)
{
	struct sq_http_request r;
	struct sq_http_route route;
	struct sq_http_fault fault = {0};

	(void)conn;
	if (!h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("OPTIONS")))
		return false;
	if (front_begin(front_of(s), req, &r, &route, &fault) == SQ_OK)
		sq_http_answer_methods(req, &r);
	else
		sq_http_answer_fault(req, &r, NULL, &fault);
	sq_http_route_fini(&route);
	sq_http_fault_fini(&fault);
	return true;
}

static const enum sq_http_problem of_turned[] = {
    [SQ_TURNED_CREDENTIAL] = SQ_HTTP_UNAUTHORIZED,
    [SQ_TURNED_AUTH_AWAY] = SQ_HTTP_BUSY,
    [SQ_TURNED_BUSY] = SQ_HTTP_RATE,
    [SQ_TURNED_IDENTITY_BUSY] = SQ_HTTP_RATE,
};

static void
front_refuse(struct sq_service *s, h2o_req_t *req, enum sq_turned why)
{
	struct sq_http_request r;
	struct sq_http_route route;
	struct sq_http_fault fault = {0};

	(void)front_begin(front_of(s), req, &r, &route, &fault);
	(void)sq_http_fault_say(&fault, of_turned[why], "%s", sq_turned_text(why));
	sq_http_answer_fault(req, &r, NULL, &fault);
	sq_http_route_fini(&route);
	sq_http_fault_fini(&fault);
}

static void
front_serve(struct sq_service *s, struct sq_broker *broker)
{
	front_of(s)->broker = broker;
}

static void
front_tick(struct sq_service *s, unsigned worker, uint64_t now_ms)
{
	struct sq_http_front *f = front_of(s);

	if (worker != 0 || f->rate == NULL || now_ms < f->sweep_ms)
		return;
	f->sweep_ms = now_ms + SWEEP_MS;
	sq_http_rate_sweep(f->rate, sq_clock_ms());
}

static void
front_free(struct sq_service *s)
{
	struct sq_http_front *f = front_of(s);

	sq_http_rate_free(&f->rate);
	free(f);
}

static const char *const front_paths[] = {"/v1", NULL};

static const struct sq_service_ops front_ops = {
    .name = "http",
    .paths = front_paths,
    .serve = front_serve,
    .greet = front_greet,
    .request = front_request,
    .refuse = front_refuse,
    .tick = front_tick,
    .free = front_free,
};

struct sq_service *
sq_http_front_open(const struct sq_http_front_cfg *cfg)
{
	struct sq_http_front *f = sq_xcalloc(1, sizeof *f);

	f->service.ops = &front_ops;
	f->service.body_max = cfg->max_body + BODY_SLACK;
	f->service.plain = true;
	f->service.idle_ms = cfg->idle_ms;
	f->service.max_running = cfg->max_requests;
	f->service.max_identity_running = cfg->max_identity;
	f->cfg = *cfg;
	f->next = sq_random_u64(); /* ids of two runs differ */
	if (cfg->rate > 0)
		f->rate = sq_http_rate_new(cfg->rate);
	return &f->service;
}

void
sq_http_front_metrics(const struct sq_service *s, struct sq_buf *out)
{
	sq_http_counts_write(&SQ_CONTAINER_OF(s, const struct sq_http_front, service)->counts, out);
}
