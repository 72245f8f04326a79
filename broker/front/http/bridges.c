/* See broker/front/http/bridges.h. */
#include "broker/front/http/bridges.h"

#include <stdlib.h>

#include "broker/auth/identity/identity.h"
#include "broker/broker.h"
#include "broker/front/door/pending.h"
#include "broker/front/http/answer.h"
#include "broker/front/http/mapping.h"
#include "core/mem.h"
#include "web/worker.h"

/* A request about bridges, on its way to a call of the broker, and back. */
struct bridges_ask {
	struct sq_call call;
	struct sq_pending_req pending;
	struct sq_http_request request;
	const struct sq_identity *who; /* a reference */
	char *name;                    /* NULL: of all */
};

static void
ask_free(struct bridges_ask *a)
{
	if (a->call.verdict == SQ_VERDICT_OK)
		sq_bridge_answer_fini(&a->call.out.bridge);
	sq_identity_unref(&a->who);
	free(a->name);
	free(a);
}

static void
ask_show(struct bridges_ask *a, h2o_req_t *req)
{
	const struct sq_buf *json = &a->call.out.bridge.json;
	bool list = a->call.in.bridge.op == SQ_BRIDGE_LIST;
	struct sq_buf body = {0};

	sq_buf_printf(&body, "%s", list ? "{\"bridges\":[" : "");
	sq_buf_append(&body, sq_buf_data(json), sq_buf_len(json));
	sq_buf_printf(&body, "%s\n", list ? "]}" : "");
	sq_http_answer(req, &a->request, 200, sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
}

static void
ask_refuse(struct bridges_ask *a, h2o_req_t *req)
{
	const struct sq_bridge_answer *o = &a->call.out.bridge;
	struct sq_http_fault fault = {0};

	if (a->call.verdict != SQ_VERDICT_OK)
		sq_http_fault_of_call(&fault, &a->call, a->who);
	else
		(void)sq_http_fault_say(&fault,
		    o->how == SQ_BRIDGE_DENIED ? SQ_HTTP_FORBIDDEN : SQ_HTTP_NOT_FOUND, "%.*s",
		    (int)sq_buf_len(&o->detail), (const char *)sq_buf_data(&o->detail));
	sq_http_answer_fault(req, &a->request, a->who, &fault);
	sq_http_fault_fini(&fault);
}

/* On the connection's worker. */
static void
ask_answered(struct sq_task *t)
{
	struct bridges_ask *a = SQ_CONTAINER_OF(t, struct bridges_ask, call.task);
	enum sq_bridge_op op = a->call.in.bridge.op;
	h2o_req_t *req = sq_pending_request(&a->pending);

	if (req != NULL &&
	    (a->call.verdict != SQ_VERDICT_OK || a->call.out.bridge.how != SQ_BRIDGE_DONE))
		ask_refuse(a, req);
	else if (req != NULL && (op == SQ_BRIDGE_PAUSE || op == SQ_BRIDGE_RESUME))
		sq_http_answer_empty(req, &a->request, 204);
	else if (req != NULL)
		ask_show(a, req);
	sq_pending_end(&a->pending);
	ask_free(a);
}

static void
ask_done(struct sq_call *c)
{
	const struct bridges_ask *a = SQ_CONTAINER_OF(c, struct bridges_ask, call);

	c->task.run = ask_answered;
	sq_worker_post_in(sq_conn_worker(a->pending.conn), SQ_TURN_ANSWER, &c->task);
}

static enum sq_bridge_op
ask_op(const struct sq_http_route *route)
{
	switch (route->resource) {
	case SQ_HTTP_RESOURCE_BRIDGE:
		return SQ_BRIDGE_GET;
	case SQ_HTTP_RESOURCE_BRIDGE_PAUSE:
		return SQ_BRIDGE_PAUSE;
	case SQ_HTTP_RESOURCE_BRIDGE_RESUME:
		return SQ_BRIDGE_RESUME;
	default:
		return SQ_BRIDGE_LIST;
	}
}

void
sq_http_bridges(struct sq_http_request *r, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_http_route *route, const struct sq_identity *who)
{
	struct bridges_ask *a = sq_xcalloc(1, sizeof *a);
	struct sq_call *c = &a->call;

	a->request = *r;
	a->who = sq_identity_ref(who);
	if (route->names[0] != NULL)
		a->name = sq_xstrdup(route->names[0]);
	c->kind = SQ_CALL_BRIDGE;
	c->done = ask_done;
	c->verdict = SQ_VERDICT_OK;
	c->denied = SQ_DENIED_NONE;
	c->full = SQ_FULL_NOT;
	sq_list_init(&c->node);
	c->in.bridge = (struct sq_call_bridge){.who = a->who,
	    .name = a->name,
	    .op = ask_op(route),
	    .worker = sq_worker_index(sq_conn_worker(conn))};
	sq_pending_begin(&a->pending, conn, req, a->who);
	sq_broker_call(r->front->broker, c);
}
