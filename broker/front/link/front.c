/* The service's life, and the way of a request to its handler. */
#include "broker/front/link/front.h"

#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/allowed.h"
#include "broker/front/door/elsewhere.h"
#include "broker/front/link/answer.h"
#include "broker/front/link/away.h"
#include "broker/front/link/calls.h"
#include "broker/front/link/deliveries.h"
#include "broker/front/link/route.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/link/frame.h"
#include "web/crew.h"
#include "web/reply.h"

enum { FRONT_LOOK_MS = 1000 /* between two looks at calls and bundle */ };

static struct sq_link_front *
front_of(struct sq_service *s)
{
	return SQ_CONTAINER_OF(s, struct sq_link_front, service);
}

static void
front_refuse(const struct sq_link_part *p, h2o_req_t *req, unsigned status, const char *allow,
    const char *detail)
{
	sq_link_count(p, SQ_M_BAD_REQUESTS, 1);
	if (allow != NULL)
		h2o_add_header(
		    &req->pool, &req->res.headers, H2O_TOKEN_ALLOW, NULL, allow, strlen(allow));
	sq_answer_problem(req, status, detail);
}

/* Whom sidecars are to trust. */
static void
front_answer_trust(const struct sq_link_part *p, struct sq_conn *c, h2o_req_t *req)
{
	struct sq_bytes text = sq_bundle_text(p->bundle);

	if (text.len == 0) {
		sq_answer_problem(req, 404, "this broker serves no bundle");
		return;
	}
	sq_conn_welcome(c);
	sq_reply_send(req, 200, "application/pem-certificate-chain", text.p, text.len);
}

/* Whether the request is for the broker that owns, and that is another. */
static bool
front_is_elsewhere(
    const struct sq_link_part *p, const struct sq_route *route, struct sq_place *place)
{
	bool begins = route->kind == SQ_ROUTE_DELIVERIES || route->kind == SQ_ROUTE_ATTACH,
	     serves = sq_link_serves(p->front);

	if (route->kind == SQ_ROUTE_TRUST || (serves && !begins))
		return false;
	*place = sq_elsewhere_place(p->front->cfg.place);
	return !serves || (place->shared && !place->here);
}

static void
front_route(struct sq_link_part *p, struct sq_conn *c, h2o_req_t *req,
    const struct sq_identity *who, const struct sq_proof *proof)
{
	struct sq_route route;
	struct sq_place place;
	unsigned status;

	status = sq_route_find(
	    (struct sq_bytes){(const unsigned char *)req->input.method.base, req->input.method.len},
	    (struct sq_bytes){(const unsigned char *)req->input.path.base, req->input.path.len},
	    &route);
	if (status == 0 && req->version < 0x200)
		status = 505;
	if (status != 0)
		front_refuse(p, req, status, route.allow, status == 505 ? NULL : route.detail);
	else if (front_is_elsewhere(p, &route, &place))
		sq_away_answer(p, c, req, &route, &place, who, proof);
	else if (route.kind == SQ_ROUTE_DELIVERIES)
		sq_deliveries_open(p, c, req, route.link, who);
	else if (route.kind == SQ_ROUTE_TRUST)
		front_answer_trust(p, c, req);
	else
		sq_calls_start(p, c, req, &route, who);
}

static void
front_request(struct sq_service *s, struct sq_conn *c, h2o_req_t *req,
    const struct sq_identity *who, const struct sq_proof *proof)
{
	struct sq_conn_hold *hold;

	front_route(sq_link_part_of(front_of(s), c), c, req, who, proof);
	hold = proof != NULL ? sq_conn_hold_of(c, s) : NULL;
	if (hold != NULL && sq_allowed_again(hold->who, who) == SQ_DENIED_NONE)
		sq_conn_hold_prove(hold, proof);
}

static void
front_turn_away(struct sq_service *s, h2o_req_t *req, enum sq_turned why)
{
	(void)s;
	sq_answer_problem(
	    req, sq_turned_status(why), why == SQ_TURNED_BUSY ? sq_turned_text(why) : NULL);
}

/* Takes up a bundle that was replaced. */
static void
part_look_at_bundle(struct sq_link_part *p)
{
	if (!sq_bundle_refresh(p->bundle))
		return;
	if (sq_worker_index(p->worker) == 0)
		SQ_INFO("front", "tls.bundle-file: %s read again; the links are told",
		    p->front->cfg.bundle_file);
	sq_deliveries_trust(p);
}

static void
front_tick(struct sq_service *s, unsigned worker, uint64_t now_ms)
{
	struct sq_link_part *p = &front_of(s)->parts[worker];

	sq_away_tick(p, now_ms);
	sq_deliveries_tick(p, now_ms);
	if (now_ms < p->second_ms)
		return;
	p->second_ms = now_ms + FRONT_LOOK_MS;
	sq_calls_rest(p);
	part_look_at_bundle(p);
	sq_deliveries_look_at_standby(p);
}

static void
front_serve(struct sq_service *s, struct sq_broker *broker)
{
	struct sq_link_front *f = front_of(s);

	f->broker = broker;
	atomic_store_explicit(&f->serves, true, memory_order_release);
}

static void
front_free(struct sq_service *s)
{
	struct sq_link_front *f = front_of(s);

	for (unsigned i = 0; i < f->n_parts; i++) {
		sq_bundle_free(&f->parts[i].bundle);
		sq_calls_fini(&f->parts[i]);
	}
	sq_htab_fini(&f->links);
	pthread_mutex_destroy(&f->lock);
	free(f->parts);
	free(f);
}

static const char *const front_paths[] = {"/v1/sessions/", "/v1/links/", "/v1/trust/", NULL};

static const struct sq_service_ops front_ops = {
    .name = "link",
    .paths = front_paths,
    .serve = front_serve,
    .request = front_request,
    .refuse = front_turn_away,
    .tick = front_tick,
    .moved = sq_deliveries_moved,
    .ended = sq_deliveries_ended,
    .free = front_free,
};

static void
front_part(struct sq_link_front *f, unsigned i)
{
	struct sq_link_part *p = &f->parts[i];

	p->front = f;
	p->worker = sq_crew_workers(f->cfg.crew)[i];
	p->bundle = sq_bundle_new(f->cfg.bundle_file);
	sq_list_init(&p->streams);
	sq_list_init(&p->kept);
	sq_list_init(&p->calls.spare);
}

struct sq_service *
sq_link_front_open(const struct sq_link_front_cfg *cfg)
{
	struct sq_link_front *f = sq_xcalloc(1, sizeof *f);

	f->service.ops = &front_ops;
	f->service.body_max = (size_t)cfg->max_packet + 3 * SQ_BODY_SLACK +
	    (size_t)cfg->max_inflight * SQ_OPEN_ID_SIZE;
	f->cfg = *cfg;
	if (f->cfg.heartbeat_ms == 0)
		f->cfg.heartbeat_ms = SQ_HEARTBEAT_MS;
	f->n_parts = sq_crew_size(cfg->crew);
	f->parts = sq_xcalloc(f->n_parts, sizeof *f->parts);
	for (unsigned i = 0; i < f->n_parts; i++)
		front_part(f, i);
	pthread_mutex_init(&f->lock, NULL);
	return &f->service;
}
