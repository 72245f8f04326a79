#include "broker/front/link/away.h"

#include <string.h>

#include "broker/front/door/elsewhere.h"
#include "broker/front/link/answer.h"
#include "broker/front/link/deliveries.h"
#include "web/reply.h"

/* Whether an owner is known that the peer does not know, by the epoch. */
static bool
away_news(const struct sq_route *route, const struct sq_place *place)
{
	return place->owner[0] != '\0' && !place->here && place->epoch > route->epoch;
}

/* A request that is kept; in its pool, so that it ends with it. */
struct away {
	struct sq_list node; /* of its worker */
	struct sq_link_part *part;
	struct sq_conn *conn;
	h2o_req_t *req;
	struct sq_route route; /* but its key */
	const struct sq_identity *who;
	bool proven;
	struct sq_proof proof;
	uint64_t until_ms;
};

/* Tells a peer which broker to go to; one of a version that can't be told, or while that is not known, to
 * come again, or to try another. */
static void
away_tell(const struct sq_link_part *p, h2o_req_t *req, const struct sq_route *route,
    const struct sq_place *place)
{
	bool told = route->kind != SQ_ROUTE_DELIVERIES || route->has_space;

	sq_elsewhere_headers(req, place);
	if (!place->shared || place->here || place->owner[0] == '\0' || !told) {
		sq_link_count(p, SQ_M_REDIRECTS_AWAY, 1);
		sq_reply_header(req, H2O_TOKEN_RETRY_AFTER, "1");
		sq_answer_problem(req, 503, "another broker owns the state");
		return;
	}
	sq_link_count(p, SQ_M_REDIRECTS, 1);
	sq_answer_problem(req, 421, NULL);
}

static void
away_count(struct sq_link_part *p, int by)
{
	p->n_kept += (unsigned)by;
	sq_link_count(p, SQ_M_LINKS_TO_COME, by);
}

static void
away_dispose(void *at)
{
	struct away *a = at;

	if (!sq_list_empty(&a->node)) {
		sq_list_remove(&a->node);
		away_count(a->part, -1);
	}
	sq_identity_unref(&a->who);
}

void
sq_away_answer(struct sq_link_part *p, struct sq_conn *c, h2o_req_t *req,
    const struct sq_route *route, const struct sq_place *place, const struct sq_identity *who,
    const struct sq_proof *proof)
{
	struct away *a;

	sq_conn_welcome(c); /* it may wait here until this broker owns */
	if (route->wait_s == 0 || !place->shared || away_news(route, place) ||
	    sq_link_serves(p->front) || sq_conn_leaving(c) || p->n_kept >= SQ_AWAY_KEPT_MAX) {
		away_tell(p, req, route, place);
		return;
	}
	a = h2o_mem_alloc_shared(&req->pool, sizeof *a, away_dispose);
	*a = (struct away){.part = p,
	    .conn = c,
	    .req = req,
	    .route = *route,
	    .who = sq_identity_ref(who),
	    .proven = proof != NULL,
	    .until_ms = sq_worker_now_ms(p->worker) + route->wait_s * UINT64_C(1000)};
	a->route.key = (struct sq_bytes){0};
	if (proof != NULL)
		a->proof = *proof;
	sq_list_push_back(&p->kept, &a->node);
	away_count(p, 1);
}

/* This broker serves by now. */
static void
away_open(struct away *a)
{
	struct sq_link_part *p = a->part;
	struct sq_conn *c = a->conn;
	struct sq_conn_hold *hold;

	sq_deliveries_open(p, c, a->req, a->route.link, a->who);
	hold = sq_conn_hold_of(c, &p->front->service);
	if (a->proven && hold != NULL && hold->who == a->who)
		sq_conn_hold_prove(hold, &a->proof);
}

void
sq_away_tick(struct sq_link_part *p, uint64_t now_ms)
{
	bool serves = sq_link_serves(p->front);
	struct sq_list kept;
	struct sq_place place;
	struct away *a;

	if (sq_list_empty(&p->kept))
		return;
	place = sq_elsewhere_place(p->front->cfg.place);
	serves = serves && place.here;
	sq_list_init(&kept);
	sq_list_splice(&kept, &p->kept);
	while ((a = SQ_LIST_FIRST(&kept, struct away, node)) != NULL) {
		sq_list_remove(&a->node);
		if (!serves && now_ms < a->until_ms && !sq_conn_leaving(a->conn) &&
		    !away_news(&a->route, &place)) {
			sq_list_push_back(&p->kept, &a->node);
			continue;
		}
		away_count(p, -1);
		if (serves)
			away_open(a);
		else
			away_tell(p, a->req, &a->route, &place);
	}
}
