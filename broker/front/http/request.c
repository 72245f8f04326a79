/* A request: a publish with a response topic of the broker's, and the wait for the reply.
 *
 *   sq_replies_open() ─▶ sq_call ─┬─▶ published ──┐
 *                                 └─▶ reply, time ┴─▶ answer
 *
 * Both ends come on the connection's worker, in any order; the answer follows the second.  Who leaves
 * before has the wait closed at once. */
#include "broker/front/http/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/identity.h"
#include "broker/broker.h"
#include "broker/front/door/pending.h"
#include "broker/front/door/presence.h"
#include "broker/front/http/answer.h"
#include "broker/front/http/events.h"
#include "broker/front/http/mapping.h"
#include "broker/front/http/object.h"
#include "broker/front/http/pulled.h"
#include "broker/front/http/tenant.h"
#include "broker/front/http/values.h"
#include "broker/port/call.h"
#include "broker/publish/replies.h"
#include "core/clock.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	TIMEOUT_MS = 5000, /* where none is asked for */
	WAITING_MAX = 64,  /* of a connection */
};

struct request {
	struct sq_call call;
	struct sq_pending_req pending;
	struct sq_presence presence;
	struct sq_http_request request;
	const struct sq_identity *who; /* a reference */
	struct sq_msg msg;             /* a reference */
	struct sq_publish_want want;
	uint64_t timeout_ms;
	char space[SQ_KEY_PART_MAX + 1];
	char topic[SQ_REPLY_TOPIC_MAX]; /* of the reply */
	struct sq_reply_wait wait;
	struct sq_task left; /* who asked has left, and nothing else comes */
	bool called;         /* the call is out */
	bool waits;          /* for the end of 'wait' */
};

static void
request_free(struct request *r)
{
	sq_identity_unref(&r->who);
	sq_msg_unref(&r->msg);
	sq_msg_unref(&r->wait.msg);
	sq_buf_fini(&r->call.store);
	free(r);
}

/* The answer. */

static void
request_put(void *arg, const char *name, struct sq_bytes value)
{
	h2o_req_t *req = arg;

	sq_http_answer_header(req, h2o_strdup(&req->pool, name, SIZE_MAX).base, value);
}

static void
request_answer_reply(const struct request *r, h2o_req_t *req)
{
	const struct sq_pulled as = {.msg = r->wait.msg};
	struct sq_bytes payload = sq_image_payload(r->wait.msg.image);
	struct sq_bytes type = sq_http_pulled_type(&as);
	char *text = h2o_strdup(&req->pool, (const char *)type.p, type.len).base;
	char id[SQ_HTTP_ID_TEXT];

	sq_http_id(r->call.out.published->id, id);
	sq_http_answer_header(req, "sqmqos-id", sq_bytes_of(id));
	sq_http_pulled_said(&r->wait.msg, request_put, req);
	sq_http_answer_as(req, &r->request, 200, text, payload.p, payload.len);
}

/* The problem of a publish that did not go out; SQ_OK: it did. */
static int
request_published(const struct request *r, struct sq_http_fault *fault)
{
	const struct sq_call *c = &r->call;

	if (c->verdict != SQ_VERDICT_OK) {
		sq_http_fault_of_call(fault, c, r->who);
		return SQ_EINVAL;
	}
	switch ((enum sq_published_how)c->out.published->how) {
	case SQ_PUBLISHED_STORED:
	case SQ_PUBLISHED_ACCEPTED:
		return SQ_OK;
	case SQ_PUBLISHED_REPLAYED:
		return sq_http_fault_say(fault, SQ_HTTP_CONFLICT,
		    "the key is known: the request was published before, and its reply went to who "
		    "asked first");
	case SQ_PUBLISHED_NO_MATCH:
		return sq_http_fault_say(
		    fault, SQ_HTTP_NO_SUBSCRIBERS, "nobody has subscribed to the topic");
	default:
		sq_http_fault_of_published(fault, c->out.published);
		return SQ_EINVAL;
	}
}

static void
request_no_reply(const struct request *r, struct sq_http_fault *fault)
{
	if (r->wait.end == SQ_REPLY_DRAINING)
		(void)sq_http_fault_say(fault, SQ_HTTP_DRAINING,
		    "the request was published, and the broker ends before its reply");
	else
		(void)sq_http_fault_say(fault, SQ_HTTP_NO_REPLY,
		    "the request was published, and no reply has come within %llu ms",
		    (unsigned long long)r->timeout_ms);
}

static void
request_answer(const struct request *r, h2o_req_t *req)
{
	struct sq_http_fault fault = {0};

	if (request_published(r, &fault) == SQ_OK && r->wait.msg.image != NULL) {
		request_answer_reply(r, req);
		return;
	}
	if (sq_buf_len(&fault.detail) == 0)
		request_no_reply(r, &fault);
	sq_http_answer_fault(req, &r->request, r->who, &fault);
	sq_http_fault_fini(&fault);
}

/* Something has ended; with the last of it, the request. */
static void
request_step(struct request *r)
{
	h2o_req_t *req;

	if (r->called || r->waits)
		return;
	atomic_fetch_sub_explicit(&r->request.front->waiting, 1, memory_order_relaxed);
	req = sq_pending_request(&r->pending);
	if (req != NULL)
		request_answer(r, req);
	sq_pending_end(&r->pending);
	sq_presence_fini(&r->presence);
	request_free(r);
}

/* Waits for no reply any more; it may be on its way. */
static void
request_close(struct request *r)
{
	if (r->waits && sq_replies_close(&r->wait))
		r->waits = false;
}

static void
request_ended(struct sq_reply_wait *w)
{
	struct request *r = SQ_CONTAINER_OF(w, struct request, wait);

	r->waits = false;
	request_step(r);
}

static void
request_called(struct sq_task *t)
{
	struct request *r = SQ_CONTAINER_OF(t, struct request, call.task);
	struct sq_http_fault fault = {0};

	r->called = false;
	if (request_published(r, &fault) != SQ_OK)
		request_close(r);
	sq_http_fault_fini(&fault);
	request_step(r);
}

/* Thread: any worker. */
static void
request_done(struct sq_call *c)
{
	struct request *r = SQ_CONTAINER_OF(c, struct request, call);

	c->task.run = request_called;
	sq_worker_post_in(r->wait.worker, SQ_TURN_ANSWER, &c->task);
}

static void
request_left(struct sq_task *t)
{
	request_step(SQ_CONTAINER_OF(t, struct request, left));
}

/* Who asked has left. */
static void
request_gone(struct sq_pending_req *p)
{
	struct request *r = SQ_CONTAINER_OF(p, struct request, pending);
	bool waited = r->waits;

	request_close(r);
	if (waited && !r->waits && !r->called) {
		r->left.run = request_left;
		sq_worker_post_in(r->wait.worker, SQ_TURN_ANSWER, &r->left);
	}
}

static bool
request_alive(struct sq_reply_wait *w)
{
	return sq_presence_here(&SQ_CONTAINER_OF(w, struct request, wait)->presence);
}

/* What is refused before the broker is asked. */

static int
request_timeout(struct request *r, const struct sq_http_route *route, struct sq_http_fault *fault)
{
	uint64_t max_ms = r->request.front->cfg.max_wait_ms;
	const char *text = route->keys[SQ_HTTP_QUERY_TIMEOUT];

	r->timeout_ms = TIMEOUT_MS < max_ms ? TIMEOUT_MS : max_ms;
	if (text == NULL)
		return SQ_OK;
	if (sq_http_text_ms(sq_bytes_of(text), "timeout", &r->timeout_ms, fault) != SQ_OK)
		return SQ_EINVAL;
	if (r->timeout_ms > 0 && r->timeout_ms <= max_ms)
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_INVALID_PROPERTY,
	    "timeout is %llu ms, 1 ms to http.max-wait, %llu ms, are possible",
	    (unsigned long long)r->timeout_ms, (unsigned long long)max_ms);
}

/* What a request can't ask for. */
static int
request_agrees(const struct sq_http_fields *f, struct sq_http_fault *fault)
{
	const char *what = f->retain ? "sqmqos-retain"
	    : f->delay_s > 0         ? "a delay"
				     : "sqmqos-response-topic";

	if (!f->retain && f->delay_s == 0 && f->response_topic.len == 0)
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_INVALID_PROPERTY,
	    "a request waits for its reply: %s can't be asked for", what);
}

/* Reads the headers, and the event if there is one. */
static int
request_fields(struct request *r, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fields *f, struct sq_http_event *event, struct sq_http_fault *fault)
{
	struct sq_http_event_in in = {.headers = sq_http_headers(req),
	    .n = req->headers.size,
	    .body = sq_http_body(req),
	    .topic = route->topic,
	    .tmpl = r->request.front->cfg.events_topic,
	    .now_ms = (int64_t)sq_clock_wall_ms()};

	if (sq_ce_form(sq_http_header(req, "content-type")) == SQ_CE_BATCH)
		return sq_http_fault_say(
		    fault, SQ_HTTP_MEDIA_TYPE, "a request is one message, and no batch");
	if (sq_http_fields_read(in.headers, in.n, in.now_ms, f, fault) != SQ_OK ||
	    sq_http_event_read(&in, f, event, fault) != SQ_OK || request_agrees(f, fault) != SQ_OK)
		return SQ_EINVAL;
	if (sq_http_tenant(f->space, r->who, r->space, fault) != SQ_OK)
		return SQ_EINVAL;
	if (r->space[0] == '\0') /* his own, of one */
		memcpy(r->space, r->who->spaces[0], strlen(r->who->spaces[0]) + 1);
	return SQ_OK;
}

/* Begins to wait, and makes the message, which says where to. */
static int
request_message(struct request *r, struct sq_http_fields *f, const struct sq_http_event *event,
    struct sq_http_fault *fault)
{
	struct sq_http_front *front = r->request.front;

	r->wait.ends_ms = sq_worker_now_ms(r->wait.worker) + r->timeout_ms;
	if (sq_replies_open(sq_broker_replies(front->broker), &r->wait, r->space, r->topic) !=
	    SQ_OK)
		return sq_http_fault_say(fault, SQ_HTTP_TOO_MANY_WAITING,
		    "%d requests wait for replies on this worker", SQ_REPLIES_MAX);
	r->waits = true;
	f->response_topic = sq_bytes_of(r->topic);
	if (sq_buf_len(&f->correlation) == 0)
		sq_buf_append(&f->correlation, r->request.id, strlen(r->request.id));
	r->want.require_match = true;
	if (sq_http_message(&front->bounds, f, event->topic, event->payload, &r->msg, fault) !=
	    SQ_OK)
		return SQ_EINVAL;
	return sq_http_take_rate(front, r->who, 1, fault);
}

static int
request_read(struct request *r, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_http_route *route, struct sq_http_fault *fault)
{
	struct sq_http_fields f = {0};
	struct sq_http_event event = {0};
	int rc = SQ_EINVAL;

	if (sq_conn_waiting(conn) >= WAITING_MAX)
		return sq_http_fault_say(fault, SQ_HTTP_TOO_MANY_WAITING,
		    "%d requests of this connection wait already", WAITING_MAX);
	if (request_timeout(r, route, fault) == SQ_OK &&
	    request_fields(r, req, route, &f, &event, fault) == SQ_OK)
		rc = request_message(r, &f, &event, fault);
	sq_http_fields_fini(&f);
	sq_http_event_fini(&event);
	return rc;
}

static void
request_call(struct request *r, struct sq_conn *conn, h2o_req_t *req)
{
	struct sq_call *c = &r->call;

	c->kind = SQ_CALL_PUBLISH;
	c->done = request_done;
	c->verdict = SQ_VERDICT_OK;
	c->denied = SQ_DENIED_NONE;
	c->full = SQ_FULL_NOT;
	sq_list_init(&c->node);
	c->in.publish = (struct sq_call_publish){.who = r->who,
	    .worker = sq_worker_index(r->wait.worker),
	    .n = 1,
	    .space = r->space,
	    .msgs = &r->msg,
	    .wants = &r->want};
	r->called = true;
	sq_pending_wait(&r->pending, conn, req, r->who, &r->presence);
	r->pending.gone = request_gone;
	atomic_fetch_add_explicit(&r->request.front->waiting, 1, memory_order_relaxed);
	sq_broker_call(r->request.front->broker, c);
}

void
sq_http_request(struct sq_http_request *as, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_http_route *route, const struct sq_identity *who)
{
	struct request *r = sq_xcalloc(1, sizeof *r);
	struct sq_http_fault fault = {0};
	bool closed = true;

	r->request = *as;
	r->who = sq_identity_ref(who);
	r->wait.worker = sq_conn_worker(conn);
	r->wait.ended = request_ended;
	r->wait.alive = request_alive;
	if (request_read(r, conn, req, route, &fault) == SQ_OK) {
		request_call(r, conn, req);
	} else {
		if (r->waits)
			closed = sq_replies_close(&r->wait);
		assert(closed); /* nobody knows the topic */
		sq_http_answer_fault(req, as, who, &fault);
		request_free(r);
	}
	sq_http_fault_fini(&fault);
}
