/* See broker/front/http/about.h. */
#include "broker/front/http/about.h"

#include "broker/front/http/answer.h"
#include "broker/front/http/fields.h"
#include "broker/front/http/openapi.h"

static void
about_resource(struct sq_buf *out, enum sq_http_resource resource)
{
	const struct sq_http_resource_row *row = sq_http_resource_row(resource);

	sq_buf_printf(out, "{\"path\":\"%s\",\"methods\":\"", row->path);
	sq_http_route_allow(resource, out);
	sq_buf_printf(out, "\"}");
}

void
sq_http_about_api(struct sq_http_request *r, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_http_route *route, const struct sq_identity *who)
{
	const struct sq_http_front_cfg *cfg = &r->front->cfg;
	struct sq_buf out = {0};

	(void)conn, (void)route, (void)who;
	sq_buf_printf(&out, "{\"version\":\"" SQ_VERSION "\",\"resources\":[");
	for (unsigned i = 0; i < SQ_HTTP_RESOURCE_COUNT; i++) {
		sq_buf_append(&out, ",", i > 0);
		about_resource(&out, (enum sq_http_resource)i);
	}
	sq_buf_printf(&out,
	    "],\"limits\":{\"body\":%zu,\"packet\":%u,\"headers\":%u,\"key\":%u,\"topic-levels\":%"
	    "u,"
	    "\"qos\":%u,\"batch\":%u,\"wait\":%llu,\"rate\":",
	    cfg->max_body, cfg->max_packet, SQ_HTTP_HEADERS_MAX, SQ_HTTP_KEY_MAX,
	    cfg->limits.topic_levels,
	    cfg->limits.max_qos < 2 ? cfg->limits.max_qos : SQ_HTTP_ASSURED, cfg->max_batch,
	    (unsigned long long)cfg->max_wait_ms / 1000);
	if (cfg->rate > 0)
		sq_buf_printf(&out, "%llu}}\n", (unsigned long long)cfg->rate);
	else
		sq_buf_printf(&out, "null}}\n");
	sq_http_answer(req, r, 200, sq_buf_data(&out), sq_buf_len(&out));
	sq_buf_fini(&out);
}

void
sq_http_about_openapi(struct sq_http_request *r, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_http_route *route, const struct sq_identity *who)
{
	(void)conn, (void)route, (void)who;
	/* A peer that takes none of them may ask for a hundred at a time. */
	sq_http_answer_static(req, r, 200, sq_http_openapi, sq_http_openapi_len);
}
