/* See broker/front/http/elsewhere.h. */
#include "broker/front/http/elsewhere.h"

#include <string.h>

#include "broker/front/door/elsewhere.h"
#include "broker/front/door/service.h"
#include "broker/front/http/answer.h"
#include "broker/metrics/metrics.h"

/* Writes the owner's URL of the request's target. */
static void
elsewhere_url(const h2o_req_t *req, const struct sq_place *place, unsigned port, struct sq_buf *out)
{
	size_t host = strlen(place->owner);
	const char *colon = strrchr(place->owner, ':');

	sq_buf_printf(out, "%.*s://", (int)req->scheme->name.len, req->scheme->name.base);
	if (port != 0 && colon != NULL)
		host = (size_t)(colon - place->owner);
	sq_buf_append(out, place->owner, host);
	if (port != 0)
		sq_buf_printf(out, ":%u", port);
	sq_buf_append(out, req->input.path.base, req->input.path.len);
}

static void
elsewhere_redirect(h2o_req_t *req, const struct sq_http_request *r, const struct sq_place *place)
{
	struct sq_buf url = {0};

	elsewhere_url(req, place, r->front->cfg.owner_port, &url);
	sq_http_answer_header(req, "location", sq_buf_bytes(&url));
	sq_buf_fini(&url);
	sq_http_answer_empty(req, r, 307);
}

void
sq_http_elsewhere(struct sq_http_request *r, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_http_route *route, const struct sq_identity *who)
{
	struct sq_place place = sq_elsewhere_place(r->front->cfg.place);
	struct sq_http_fault fault = {0};
	bool known = place.shared && !place.here && place.owner[0] != '\0';

	sq_metric_add(r->front->cfg.metrics, known ? SQ_M_REDIRECTS : SQ_M_REDIRECTS_AWAY, 1);
	sq_elsewhere_headers(req, &place);
	if (known) /* what spreads connections over brokers may lead the next one there */
		sq_conn_leave(conn, req);
	if (known && route->redirect) {
		elsewhere_redirect(req, r, &place);
		return;
	}
	(void)sq_http_fault_say(&fault, SQ_HTTP_ELSEWHERE,
	    known ? "sqmqos-owner says which broker" : "which broker will is not known yet");
	sq_http_answer_fault(req, r, who, &fault);
	sq_http_fault_fini(&fault);
}
