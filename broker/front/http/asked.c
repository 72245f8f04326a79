/* See broker/front/http/asked.h. */
#include "broker/front/http/asked.h"

#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/identity.h"
#include "broker/broker.h"
#include "broker/front/http/answer.h"
#include "broker/front/http/tenant.h"
#include "core/mem.h"
#include "web/worker.h"

enum { WAITING_MAX = 64 }; /* of a connection */

struct sq_http_said *
sq_http_ask_said(struct sq_http_ask *a)
{
	if (a->said == NULL)
		a->said = sq_xcalloc(1, sizeof *a->said);
	return a->said;
}

static void
said_free(struct sq_http_said *s)
{
	if (s == NULL)
		return;
	sq_http_settle_fini(&s->settle);
	sq_buf_fini(&s->body);
	if (s->declares)
		sq_declaration_fini(&s->decl);
	free(s->filter);
	free(s->tag);
	free(s->id);
	free(s);
}

static void
ask_free(struct sq_http_ask *a)
{
	if (a->call.verdict == SQ_VERDICT_OK)
		sq_queue_out_fini(&a->call.out.queue);
	if (a->waits)
		sq_presence_fini(&a->presence);
	sq_buf_fini(&a->call.store);
	said_free(a->said);
	for (unsigned i = 0; i < SQ_ARRAY_LEN(a->texts); i++)
		free(a->texts[i]);
	free(a->space);
	sq_identity_unref(&a->who);
	free(a);
}

static void
ask_refuse(struct sq_http_ask *a, h2o_req_t *req)
{
	struct sq_http_fault fault = {0};

	sq_http_fault_of_queue(&fault, &a->call, a->who);
	if (a->call.verdict == SQ_VERDICT_OK && a->said != NULL) {
		if (a->call.out.queue.how == SQ_QUEUE_LOST)
			sq_http_settle_at(&a->said->settle, a->call.out.queue.culprit, &fault);
		else if (a->call.out.queue.how == SQ_QUEUE_UNPUBLISHED)
			sq_http_fault_at(&fault, "publish", a->call.out.queue.culprit);
	}
	sq_http_answer_fault(req, &a->request, a->who, &fault);
	sq_http_fault_fini(&fault);
}

/* On the connection's worker, after the links of this turn were flushed. */
static void
ask_answered(struct sq_task *t)
{
	struct sq_http_ask *a = SQ_CONTAINER_OF(t, struct sq_http_ask, call.task);
	struct sq_http_front *front = a->request.front;
	h2o_req_t *req = sq_pending_request(&a->pending);

	if (a->waits)
		atomic_fetch_sub_explicit(&front->waiting, 1, memory_order_relaxed);
	if (req != NULL && a->call.verdict == SQ_VERDICT_OK &&
	    a->call.out.queue.how <= SQ_QUEUE_PARTLY)
		a->answer(a, req);
	else if (req != NULL)
		ask_refuse(a, req);
	sq_pending_end(&a->pending);
	ask_free(a);
}

static void
ask_done(struct sq_call *c)
{
	struct sq_http_ask *a = SQ_CONTAINER_OF(c, struct sq_http_ask, call);

	c->task.run = ask_answered;
	sq_worker_post_in(sq_conn_worker(a->pending.conn), SQ_TURN_ANSWER, &c->task);
}

static void
ask_begin(struct sq_http_ask *a, struct sq_conn *conn, h2o_req_t *req)
{
	struct sq_call *c = &a->call;

	c->kind = SQ_CALL_QUEUE;
	c->done = ask_done;
	c->verdict = SQ_VERDICT_OK;
	c->denied = SQ_DENIED_NONE;
	c->full = SQ_FULL_NOT;
	sq_list_init(&c->node);
	c->in.queue.who = a->who;
	c->in.queue.space = a->space;
	c->in.queue.worker = sq_worker_index(sq_conn_worker(conn));
	if (a->waits) {
		sq_pending_wait(&a->pending, conn, req, a->who, &a->presence);
		atomic_fetch_add_explicit(&a->request.front->waiting, 1, memory_order_relaxed);
	} else {
		sq_pending_begin(&a->pending, conn, req, a->who);
	}
	sq_broker_call(a->request.front->broker, c);
}

/* The space that the path names. */
static int
ask_path_space(struct sq_http_ask *a, const struct sq_http_route *route, struct sq_bytes named,
    struct sq_http_fault *fault)
{
	if (named.len > 0 && !sq_bytes_are(named, route->names[0]))
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "sqmqos-space is another than the path's");
	a->space = sq_xstrdup(route->names[0]);
	return SQ_OK;
}

static int
ask_space(struct sq_http_ask *a, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	char space[SQ_KEY_PART_MAX + 1];
	struct sq_bytes named;

	if (sq_http_fields_space(sq_http_headers(req), req->headers.size, &named, fault) != SQ_OK)
		return SQ_EINVAL;
	if (route->resource == SQ_HTTP_RESOURCE_LETTERS)
		return ask_path_space(a, route, named, fault);
	if (sq_http_tenant(named, a->who, space, fault) != SQ_OK)
		return SQ_EINVAL;
	if (space[0] != '\0')
		a->space = sq_xstrdup(space);
	return SQ_OK;
}

static int
ask_name(struct sq_http_ask *a, const struct sq_http_route *route, struct sq_http_fault *fault)
{
	const char *path = sq_http_resource_row(route->resource)->path;

	if (strstr(path, "/{queue}") == NULL)
		return SQ_OK;
	if (!sq_queue_name_good(sq_bytes_of(route->names[0])))
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED,
		    "the name of a queue is 1 to %d of A-Z a-z 0-9 . _ -", SQ_QUEUE_NAME_MAX);
	a->texts[0] = sq_xstrdup(route->names[0]);
	a->call.in.queue.name = a->texts[0];
	return SQ_OK;
}

static int
ask_waits(const struct sq_http_ask *a, const struct sq_conn *conn, struct sq_http_fault *fault)
{
	if (!a->waits || sq_conn_waiting(conn) < WAITING_MAX)
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_TOO_MANY_WAITING,
	    "%d requests of this connection wait already", WAITING_MAX);
}

void
sq_http_ask(struct sq_http_request *r, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_http_route *route, const struct sq_identity *who, sq_http_prepare *prepare)
{
	struct sq_http_ask *a = sq_xcalloc(1, sizeof *a);
	struct sq_http_fault fault = {0};

	a->request = *r;
	a->who = sq_identity_ref(who);
	if (ask_space(a, req, route, &fault) == SQ_OK && ask_name(a, route, &fault) == SQ_OK &&
	    prepare(a, req, route, &fault) == SQ_OK && ask_waits(a, conn, &fault) == SQ_OK) {
		ask_begin(a, conn, req);
	} else {
		a->waits = false;
		sq_http_answer_fault(req, r, who, &fault);
		ask_free(a);
	}
	sq_http_fault_fini(&fault);
}
