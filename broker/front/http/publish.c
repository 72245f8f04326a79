/* A publish: a request on its way to a call of the broker, and back.
 *
 * The call outlives its request (broker/front/door/pending.h).  Its answer is given in SQ_TURN_ANSWER,
 * as that of a link. */
#include "broker/front/http/publish.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/identity.h"
#include "broker/broker.h"
#include "broker/front/door/pending.h"
#include "broker/front/http/answer.h"
#include "broker/front/http/events.h"
#include "broker/front/http/mapping.h"
#include "broker/port/call.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proto/topic/tags.h"
#include "proto/topic/topic.h"
#include "web/worker.h"

/* The space of callers who may name any, and name none: a sidecar's, too. */
#define SPACE_UNSAID "default"

enum {
	ID_SIZE = 16,     /* bytes of a message's id */
	ID_TEXT = 27,     /* in base32, and a NUL */
	PACKET_HEAD = 16, /* bytes of an MQTT packet besides topic, properties and payload */
};

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

/* RFC 4648, in lower case, without padding. */
static void
publish_id(const unsigned char id[ID_SIZE], char out[ID_TEXT])
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned bits = 0, value = 0;
	size_t n = 0;

	for (size_t i = 0; i < ID_SIZE; i++) {
		value = value << 8 | id[i];
		for (bits += 8; bits >= 5; bits -= 5)
			out[n++] = digits[value >> (bits - 5) & 31];
	}
	out[n++] = digits[value << (5 - bits) & 31];
	out[n] = '\0';
	assert(n == ID_TEXT - 1);
}

static void
publish_answer_good(const struct publish *p, h2o_req_t *req, const struct sq_published *got,
    const struct sq_http_outcome *o)
{
	struct sq_buf body = {0};
	char id[ID_TEXT];

	publish_id(got->id, id);
	sq_buf_printf(&body, "{\"id\":\"%s\",\"outcome\":\"%s\",\"matched\":%u,\"qos\":%u}\n", id,
	    o->word, got->matched, p->qos);
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

static int
publish_check_topic(
    const struct sq_limits *limits, struct sq_bytes name, struct sq_http_fault *fault)
{
	const char *why = NULL;

	if (sq_topic_name_check_levels(name, limits->topic_levels, &why) != SQ_OK)
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_TOPIC, "%s", why);
	why = sq_topic_closed(name);
	if (why != NULL)
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_TOPIC, "%s", why);
	if ((limits->off & SQ_OFF_CONTROL) != 0 && !sq_utf8_plain(name.p, name.len))
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_TOPIC,
		    "control characters are refused (mqtt.control-characters)");
	return SQ_OK;
}

static int
publish_check_features(
    const struct sq_limits *limits, const struct sq_http_fields *f, struct sq_http_fault *fault)
{
	struct sq_tags tags;

	if ((f->qos == SQ_HTTP_ASSURED ? 2 : f->qos) > limits->max_qos)
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_PROPERTY,
		    "QoS %u is above mqtt.max-qos, %u", f->qos, limits->max_qos);
	if (f->retain && (limits->off & SQ_OFF_RETAIN) != 0)
		return sq_http_fault_say(
		    fault, SQ_HTTP_INVALID_PROPERTY, "retained messages are off (mqtt.retain)");
	if (!sq_tags_read((struct sq_bytes){sq_buf_data(&f->user), sq_buf_len(&f->user)}, &tags))
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_PROPERTY,
		    "the message has more than %d different tags", SQ_TAGS_MAX);
	return SQ_OK;
}

/* The space that the headers name, or the identity's only one. */
static int
publish_space(const struct sq_http_fields *f, const struct sq_identity *who,
    char out[SQ_KEY_PART_MAX + 1], struct sq_http_fault *fault)
{
	if (f->space.len > SQ_KEY_PART_MAX)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED,
		    "sqmqos-space is longer than %d bytes", SQ_KEY_PART_MAX);
	if (f->space.len == 0 && who->n_spaces > 1)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED,
		    "%s has several spaces: sqmqos-space must name one", who->name);
	if (f->space.len > 0)
		memcpy(out, f->space.p, f->space.len);
	out[f->space.len] = '\0';
	if (f->space.len == 0 && who->n_spaces == 0)
		strcpy(out, SPACE_UNSAID);
	return SQ_OK;
}

/* Whether it fits into the packet that subscribers may get. */
static int
publish_check_size(uint32_t max, const struct sq_msg *msg, struct sq_http_fault *fault)
{
	size_t size = sq_image_size(msg->image) - SQ_MSG_HEADER + PACKET_HEAD;

	if (size <= max)
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_TOO_LARGE,
	    "the message has %zu bytes as an MQTT packet, limits.max-packet is %u", size, max);
}

static int
publish_check_rate(
    struct sq_http_front *front, const struct sq_identity *who, struct sq_http_fault *fault)
{
	if (front->rate == NULL || sq_http_rate_take(front->rate, who->id, 1, sq_clock_ms()))
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_RATE,
	    "above http.rate, %llu publishes of an identity in a second",
	    (unsigned long long)front->cfg.rate);
}

/* The headers of the request, in its pool. */
static const struct sq_http_header *
publish_headers(h2o_req_t *req)
{
	struct sq_http_header *out = h2o_mem_alloc_pool(
	    &req->pool, (req->headers.size + 1) * sizeof *out);

	for (size_t i = 0; i < req->headers.size; i++) {
		const h2o_header_t *h = &req->headers.entries[i];

		out[i].name = (struct sq_bytes){(const unsigned char *)h->name->base, h->name->len};
		out[i].value = (struct sq_bytes){
		    (const unsigned char *)h->value.base, h->value.len};
	}
	return out;
}

/* Reads the headers, and the event if there is one. */
static int
publish_fields(const struct publish *p, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fields *f, struct sq_http_event *event, struct sq_http_fault *fault)
{
	struct sq_http_event_in in = {.headers = publish_headers(req),
	    .n = req->headers.size,
	    .body = {(const unsigned char *)req->entity.base, req->entity.len},
	    .topic = route->topic,
	    .tmpl = p->request.front->cfg.events_topic,
	    .now_ms = (int64_t)sq_clock_wall_ms()};

	if (route->topic == NULL && route->resource == SQ_HTTP_RESOURCE_PUBLISH)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED,
		    "the path has no topic: /v1/publish/{topic}, or ?topic=");
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
	const struct sq_limits *limits = &front->cfg.limits;
	struct sq_http_fields f = {0};
	struct sq_http_event event = {0};
	int rc = publish_fields(p, req, route, &f, &event, fault);

	if (rc == SQ_OK && (rc = publish_check_topic(limits, event.topic, fault)) == SQ_OK &&
	    (rc = publish_check_features(limits, &f, fault)) == SQ_OK &&
	    (rc = publish_space(&f, p->who, p->space, fault)) == SQ_OK) {
		p->msg = sq_http_fields_message(&f, event.topic, event.payload);
		p->want.require_match = f.require_match;
		p->qos = f.qos;
		rc = publish_check_size(front->cfg.max_packet, &p->msg, fault);
	}
	sq_http_fields_fini(&f);
	sq_http_event_fini(&event);
	return rc == SQ_OK ? publish_check_rate(front, p->who, fault) : rc;
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
	struct publish *p = sq_xcalloc(1, sizeof *p);
	struct sq_http_fault fault = {0};

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
