/* The service: from a request to its resource's handler. */
#include "broker/front/http/front.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/front/http/about.h"
#include "broker/front/http/answer.h"
#include "broker/front/http/asked.h"
#include "broker/front/http/batch.h"
#include "broker/front/http/bridges.h"
#include "broker/front/http/elsewhere.h"
#include "broker/front/http/fields.h"
#include "broker/front/http/letters.h"
#include "broker/front/http/part.h"
#include "broker/front/http/publish.h"
#include "broker/front/http/pull.h"
#include "broker/front/http/queue.h"
#include "broker/front/http/request.h"
#include "broker/front/http/values.h"
#include "core/clock.h"
#include "core/mem.h"

#define WAITING_NAME "sqmqos_http_waiting"

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

/* What carries a resource's requests out; of those about named queues, what makes their calls. */
static const struct {
	sq_http_handler *handle;
	sq_http_prepare *prepare;
} handlers[] = {
    [SQ_HTTP_RESOURCE_API] = {.handle = sq_http_about_api},
    [SQ_HTTP_RESOURCE_OPENAPI] = {.handle = sq_http_about_openapi},
    [SQ_HTTP_RESOURCE_BATCH] = {.handle = sq_http_batch},
    [SQ_HTTP_RESOURCE_PUBLISH] = {.handle = sq_http_publish},
    [SQ_HTTP_RESOURCE_EVENTS] = {.handle = sq_http_publish},
    [SQ_HTTP_RESOURCE_REQUEST] = {.handle = sq_http_request},
    [SQ_HTTP_RESOURCE_QUEUES] = {.prepare = sq_http_queues},
    [SQ_HTTP_RESOURCE_QUEUE] = {.prepare = sq_http_queue},
    [SQ_HTTP_RESOURCE_BINDING] = {.prepare = sq_http_binding},
    [SQ_HTTP_RESOURCE_RECEIVE] = {.prepare = sq_http_receive},
    [SQ_HTTP_RESOURCE_SETTLE] = {.prepare = sq_http_settle},
    [SQ_HTTP_RESOURCE_PURGE] = {.prepare = sq_http_order},
    [SQ_HTTP_RESOURCE_PAUSE] = {.prepare = sq_http_order},
    [SQ_HTTP_RESOURCE_RESUME] = {.prepare = sq_http_order},
    [SQ_HTTP_RESOURCE_TEST] = {.prepare = sq_http_test},
    [SQ_HTTP_RESOURCE_MESSAGES] = {.prepare = sq_http_peek},
    [SQ_HTTP_RESOURCE_ACK] = {.prepare = sq_http_lease},
    [SQ_HTTP_RESOURCE_NACK] = {.prepare = sq_http_lease},
    [SQ_HTTP_RESOURCE_REJECT] = {.prepare = sq_http_lease},
    [SQ_HTTP_RESOURCE_EXTEND] = {.prepare = sq_http_lease},
    [SQ_HTTP_RESOURCE_LETTERS] = {.prepare = sq_http_letters},
    [SQ_HTTP_RESOURCE_REDRIVE] = {.handle = sq_http_redrive},
    [SQ_HTTP_RESOURCE_BRIDGES] = {.handle = sq_http_bridges},
    [SQ_HTTP_RESOURCE_BRIDGE] = {.handle = sq_http_bridges},
    [SQ_HTTP_RESOURCE_BRIDGE_PAUSE] = {.handle = sq_http_bridges},
    [SQ_HTTP_RESOURCE_BRIDGE_RESUME] = {.handle = sq_http_bridges},
};

static_assert(SQ_ARRAY_LEN(handlers) == SQ_HTTP_RESOURCE_COUNT, "each has one");

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

/* Whether the answer may be JSON; who hands messages out has other forms, too, and a reply any. */
static bool
front_accepts(const h2o_req_t *req, enum sq_http_resource resource)
{
	ssize_t i = h2o_find_header(&req->headers, H2O_TOKEN_ACCEPT, -1);

	if (i < 0 || resource == SQ_HTTP_RESOURCE_RECEIVE ||
	    resource == SQ_HTTP_RESOURCE_MESSAGES || resource == SQ_HTTP_RESOURCE_REQUEST)
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
front_check(const struct sq_http_front *f, const h2o_req_t *req, enum sq_http_resource resource,
    struct sq_http_fault *fault)
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
	if (!front_accepts(req, resource))
		return sq_http_fault_say(
		    fault, SQ_HTTP_NOT_ACCEPTABLE, "answers are application/json");
	return SQ_OK;
}

static void
front_carry_out(struct sq_http_request *r, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_http_route *route, const struct sq_identity *who)
{
	bool about = route->resource == SQ_HTTP_RESOURCE_API ||
	    route->resource == SQ_HTTP_RESOURCE_OPENAPI;

	if (!about && !atomic_load_explicit(&r->front->serves, memory_order_acquire))
		sq_http_elsewhere(r, conn, req, route, who);
	else if (handlers[route->resource].prepare != NULL)
		sq_http_ask(r, conn, req, route, who, handlers[route->resource].prepare);
	else
		handlers[route->resource].handle(r, conn, req, route, who);
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
	    front_check(f, req, route.resource, &fault) != SQ_OK) {
		sq_http_answer_fault(req, &r, who, &fault);
	} else {
		methods = sq_http_resource_row(route.resource)->methods;
		if (route.method == SQ_HTTP_HEAD && (methods & SQ_HTTP_GET) == 0)
			sq_http_answer_methods(req, &r);
		else
			front_carry_out(&r, conn, req, &route, who);
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
    [SQ_TURNED_IDENTITY_CONNS] = SQ_HTTP_RATE,
    [SQ_TURNED_TOO_LARGE] = SQ_HTTP_TOO_LARGE,
    [SQ_TURNED_HEADERS] = SQ_HTTP_HEADERS_TOO_LARGE,
    [SQ_TURNED_TRAILERS] = SQ_HTTP_MALFORMED,
};

static void
front_refuse(struct sq_service *s, h2o_req_t *req, enum sq_turned why)
{
	struct sq_http_request r;
	struct sq_http_route route;
	struct sq_http_fault fault = {0};

	(void)front_begin(front_of(s), req, &r, &route, &fault);
	if (why == SQ_TURNED_TOO_LARGE)
		(void)sq_http_fault_say(&fault, of_turned[why],
		    "the body has more than http.max-body, %zu bytes", front_of(s)->cfg.max_body);
	else
		(void)sq_http_fault_say(&fault, of_turned[why], "%s", sq_turned_text(why));
	sq_http_answer_fault(req, &r, NULL, &fault);
	sq_http_route_fini(&route);
	sq_http_fault_fini(&fault);
}

static void
front_serve(struct sq_service *s, struct sq_broker *broker)
{
	struct sq_http_front *f = front_of(s);

	f->broker = broker;
	atomic_store_explicit(&f->serves, true, memory_order_release);
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
	f->service.max_identity_conns = cfg->max_connections;
	f->cfg = *cfg;
	f->bounds = (struct sq_http_bounds){cfg->limits, cfg->max_packet};
	f->next = sq_random_u64(); /* ids of two runs differ */
	if (cfg->rate > 0)
		f->rate = sq_http_rate_new(cfg->rate);
	return &f->service;
}

void
sq_http_front_metrics(const struct sq_service *s, struct sq_buf *out)
{
	const struct sq_http_front *f = SQ_CONTAINER_OF(s, const struct sq_http_front, service);

	sq_http_counts_write(&f->counts, out);
	sq_metrics_head(out, WAITING_NAME, SQ_GAUGE,
	    "Requests that wait for messages of a queue, or for a reply.");
	sq_buf_printf(
	    out, WAITING_NAME " %u\n", atomic_load_explicit(&f->waiting, memory_order_relaxed));
}
