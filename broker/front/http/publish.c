/* A publish: a request on its way to a call of the broker, and back.
 *
 * The call outlives its request (broker/front/door/pending.h).  Its answer is given in SQ_TURN_ANSWER,
 * as that of a link. */
#include "broker/front/http/publish.h"

#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/identity.h"
#include "broker/broker.h"
#include "broker/front/door/pending.h"
#include "broker/front/http/answer.h"
#include "broker/front/http/batch.h"
#include "broker/front/http/events.h"
#include "broker/front/http/mapping.h"
#include "broker/front/http/tenant.h"
#include "broker/port/call.h"
#include "core/clock.h"
#include "core/mem.h"
#include "web/worker.h"

struct publish {
	struct sq_call call;
	struct sq_pending_req pending;
	struct sq_http_request request;
	const struct sq_identity *who; /* a reference */
	struct sq_msg msg;             /* a reference */
	struct sq_publish_want want;
	unsigned qos;
	char space[SQ_KEY_PART_MAX + 1]; /* empty: the caller's own */
};

static void
publish_free(struct publish *p)
{
	sq_identity_unref(&p->who);
	sq_msg_unref(&p->msg);
	sq_buf_fini(&p->call.store);
	free(p);
}

/* The answer. */

static void
publish_answer_good(const struct publish *p, h2o_req_t *req, const struct sq_published *got,
    const struct sq_http_outcome *o)
{
	struct sq_buf body = {0};

	sq_http_published_write(got, p->qos, &body);
	sq_buf_u8(&body, '\n');
	if (got->how == SQ_PUBLISHED_REPLAYED)
		h2o_add_header_by_str(&req->pool, &req->res.headers,
		    H2O_STRLIT("idempotency-replayed"), 0, NULL, H2O_STRLIT("true"));
	sq_http_answer(req, &p->request, o->status, sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
}

static void
publish_answer(const struct publish *p, h2o_req_t *req)
{
	const struct sq_call *c = &p->call;
	const struct sq_http_outcome *o = NULL;
	struct sq_http_fault fault = {0};

	if (c->verdict == SQ_VERDICT_OK)
		o = sq_http_outcome(c->out.published->how);
	if (o != NULL) {
		publish_answer_good(p, req, c->out.published, o);
		return;
	}
	if (c->verdict == SQ_VERDICT_OK)
		sq_http_fault_of_published(&fault, c->out.published);
	else
		sq_http_fault_of_call(&fault, c, p->who);
	sq_http_answer_fault(req, &p->request, p->who, &fault);
	sq_http_fault_fini(&fault);
}

/* On the connection's worker, after the links of this turn were flushed. */
static void
publish_answered(struct sq_task *t)
{
	struct publish *p = SQ_CONTAINER_OF(t, struct publish, call.task);
	h2o_req_t *req = sq_pending_request(&p->pending);

	if (req != NULL)
		publish_answer(p, req);
	sq_pending_end(&p->pending);
	publish_free(p);
}

static void
publish_done(struct sq_call *c)
{
	struct publish *p = SQ_CONTAINER_OF(c, struct publish, call);

	c->task.run = publish_answered;
	sq_worker_post_in(sq_conn_worker(p->pending.conn), SQ_TURN_ANSWER, &c->task);
}

/* What is refused before the broker is asked. */

/* Reads the headers, and the event if there is one. */
static int
publish_fields(const struct publish *p, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fields *f, struct sq_http_event *event, struct sq_http_fault *fault)
{
	struct sq_http_event_in in = {.headers = sq_http_headers(req),
	    .n = req->headers.size,
	    .body = {(const unsigned char *)req->entity.base, req->entity.len},
	    .topic = route->topic,
	    .tmpl = p->request.front->cfg.events_topic,
	    .now_ms = (int64_t)sq_clock_wall_ms()};

	if (route->keys[SQ_HTTP_QUERY_ATOMIC] != NULL)
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "atomic is for a batch; this is one message");
	if (sq_http_fields_read(in.headers, in.n, in.now_ms, f, fault) != SQ_OK)
		return SQ_EINVAL;
	return sq_http_event_read(&in, f, event, fault);
}

/* Makes the message of 'p', or says what is wrong. */
static int
publish_read(struct publish *p, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	struct sq_http_front *front = p->request.front;
	struct sq_http_fields f = {0};
	struct sq_http_event event = {0};
	int rc = publish_fields(p, req, route, &f, &event, fault);

	if (rc == SQ_OK)
		rc = sq_http_message(
		    &front->bounds, &f, event.topic, event.payload, &p->msg, fault);
	if (rc == SQ_OK)
		rc = sq_http_tenant(f.space, p->who, p->space, fault);
	p->want.require_match = f.require_match;
	p->qos = f.qos;
	sq_http_fields_fini(&f);
	sq_http_event_fini(&event);
	return rc == SQ_OK ? sq_http_take_rate(front, p->who, 1, fault) : rc;
}

static void
publish_call(struct publish *p, struct sq_conn *conn, h2o_req_t *req)
{
	struct sq_call *c = &p->call;

	c->kind = SQ_CALL_PUBLISH;
	c->done = publish_done;
	c->verdict = SQ_VERDICT_OK;
	c->denied = SQ_DENIED_NONE;
	c->full = SQ_FULL_NOT;
	sq_list_init(&c->node);
	c->in.publish = (struct sq_call_publish){.who = p->who,
	    .worker = sq_worker_index(sq_conn_worker(conn)),
	    .n = 1,
	    .space = p->space[0] != '\0' ? p->space : NULL,
	    .msgs = &p->msg,
	    .wants = &p->want};
	sq_pending_begin(&p->pending, conn, req, p->who);
	sq_broker_call(p->request.front->broker, c);
}

void
sq_http_publish(struct sq_http_request *r, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_http_route *route, const struct sq_identity *who)
{
	struct publish *p;
	struct sq_http_fault fault = {0};

	if (sq_ce_form(sq_http_header(req, "content-type")) == SQ_CE_BATCH) {
		sq_http_batch(r, conn, req, route, who);
		return;
	}
	p = sq_xcalloc(1, sizeof *p);
	p->request = *r;
	p->who = sq_identity_ref(who);
	if (publish_read(p, req, route, &fault) == SQ_OK) {
		publish_call(p, conn, req);
	} else {
		sq_http_answer_fault(req, r, who, &fault);
		publish_free(p);
	}
	sq_http_fault_fini(&fault);
}
