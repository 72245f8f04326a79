/* Messages out of queues: handed out, settled, looked at. */
#include "broker/front/http/pull.h"

#include <string.h>

#include "broker/front/http/answer.h"
#include "broker/front/http/asked.h"
#include "broker/front/http/object.h"
#include "broker/front/http/pulled.h"
#include "broker/front/http/values.h"
#include "core/clock.h"
#include "core/mem.h"
#include "proto/cloudevents/cloudevents.h"
#include "proto/json/write.h"

enum {
	MAX_DEFAULT = 10,
	BYTES_DEFAULT = 1 << 20,
	BYTES_MAX = 64 << 20,
	PEEK_DEFAULT = 20,
};

static const struct sq_pulled *
pull_messages(const struct sq_http_ask *a)
{
	return (const void *)sq_buf_data(&a->call.out.queue.pulled);
}

/* Answers. */

struct pull_headers {
	h2o_req_t *req;
};

static void
pull_put(void *arg, const char *name, struct sq_bytes value)
{
	struct pull_headers *h = arg;

	name = h2o_strdup(&h->req->pool, name, SIZE_MAX).base; /* it is kept as it is */
	sq_http_answer_header(h->req, name, value);
}

static void
pull_answer_raw(struct sq_http_ask *a, h2o_req_t *req)
{
	const struct sq_pulled *p = pull_messages(a);
	struct sq_bytes payload = sq_image_payload(p->msg.image), type = sq_http_pulled_type(p);
	char *text = h2o_strdup(&req->pool, (const char *)type.p, type.len).base;

	sq_http_pulled_headers(p, pull_put, &(struct pull_headers){req});
	sq_http_answer_as(req, &a->request, 200, text, payload.p, payload.len);
}

static void
pull_answer_events(struct sq_http_ask *a, h2o_req_t *req)
{
	const struct sq_pulled *p = pull_messages(a);
	size_t n = sq_queue_out_pulled(&a->call.out.queue);
	struct sq_buf body = {0};

	for (size_t i = 0; i < n; i++) {
		sq_buf_u8(&body, i == 0 ? '[' : ',');
		sq_http_pulled_event(&p[i], &body);
	}
	sq_buf_printf(&body, n > 0 ? "]\n" : "[]\n");
	sq_http_answer_as(
	    req, &a->request, 200, SQ_CE_TYPE_BATCH, sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
}

static void
pull_write(const struct sq_http_ask *a, struct sq_buf *body)
{
	const struct sq_pulled *p = pull_messages(a);
	size_t n = sq_queue_out_pulled(&a->call.out.queue);

	sq_buf_printf(body, "{\"messages\":[");
	for (size_t i = 0; i < n; i++) {
		sq_buf_append(body, ",", i > 0);
		sq_http_pulled_json(&p[i], body);
	}
	sq_buf_u8(body, ']');
}

static void
pull_answer(struct sq_http_ask *a, h2o_req_t *req)
{
	struct sq_buf body = {0};

	if (sq_queue_out_pulled(&a->call.out.queue) == 0) {
		sq_http_answer_empty(req, &a->request, 204);
	} else if (a->form == SQ_HTTP_FORM_RAW) {
		pull_answer_raw(a, req);
	} else if (a->form == SQ_HTTP_FORM_EVENTS) {
		pull_answer_events(a, req);
	} else {
		pull_write(a, &body);
		sq_buf_printf(&body, "}\n");
		sq_http_answer(req, &a->request, 200, sq_buf_data(&body), sq_buf_len(&body));
	}
	sq_buf_fini(&body);
}

static void
pull_answer_peek(struct sq_http_ask *a, h2o_req_t *req)
{
	const struct sq_queue_out *o = &a->call.out.queue;
	size_t n = sq_queue_out_pulled(o);
	struct sq_buf body = {0};

	if (a->form == SQ_HTTP_FORM_EVENTS) {
		pull_answer_events(a, req);
		return;
	}
	pull_write(a, &body);
	if (o->more && n > 0)
		sq_buf_printf(&body, ",\"next\":\"%llu\"}\n",
		    (unsigned long long)pull_messages(a)[n - 1].seq);
	else
		sq_buf_printf(&body, ",\"next\":null}\n");
	sq_http_answer(req, &a->request, 200, sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
}

static bool
pull_lost(const struct sq_queue_out *o, unsigned i)
{
	return i < sq_buf_len(&o->lost) && ((const bool *)sq_buf_data(&o->lost))[i];
}

/* The leases that were lost: of a settle without messages. */
static unsigned
pull_write_lost(const struct sq_http_ask *a, struct sq_buf *body)
{
	const struct sq_http_settle *s = &a->said->settle;
	unsigned n = 0;

	for (unsigned i = 0; i < s->in.n; i++) {
		if (!pull_lost(&a->call.out.queue, i))
			continue;
		sq_buf_printf(body, "%s{\"lease\":", n++ == 0 ? "\"failed\":[" : ",");
		sq_json_put_string(body, s->in.entries[i].lease);
		sq_buf_printf(
		    body, ",\"type\":\"%s\"}", sq_http_problem_row(SQ_HTTP_LEASE_LOST)->slug);
	}
	sq_buf_append(body, "],", n > 0 ? 2 : 0);
	return n;
}

static void
pull_answer_settled(struct sq_http_ask *a, h2o_req_t *req)
{
	const struct sq_http_settle *s = &a->said->settle;
	const struct sq_queue_out *o = &a->call.out.queue;
	struct sq_buf body = {0};
	unsigned lost;

	sq_buf_u8(&body, '{');
	lost = pull_write_lost(a, &body);
	sq_buf_printf(&body, "\"settled\":%u", s->in.n - lost);
	for (unsigned i = 0; i < s->in.n_msgs && o->published != NULL; i++) {
		sq_buf_printf(&body, i == 0 ? ",\"published\":[" : ",");
		sq_http_published_write(&o->published[i], s->qos[i], &body);
	}
	sq_buf_append(&body, "]", s->in.n_msgs > 0 && o->published != NULL);
	sq_buf_printf(&body, "}\n");
	if (o->how == SQ_QUEUE_REPLAYED)
		sq_http_answer_header(req, "idempotency-replayed", sq_bytes_of("true"));
	sq_http_answer(
	    req, &a->request, lost > 0 ? 207 : 200, sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
}

/* The one lease of a short form. */
static void
pull_answer_lease(struct sq_http_ask *a, h2o_req_t *req)
{
	struct sq_http_fault fault = {0};

	if (a->call.out.queue.how != SQ_QUEUE_PARTLY && !pull_lost(&a->call.out.queue, 0)) {
		sq_http_answer_empty(req, &a->request, 204);
		return;
	}
	(void)sq_http_fault_say(&fault, SQ_HTTP_LEASE_LOST,
	    "the lease has ended, is another's, or is none of this broker's");
	sq_http_answer_fault(req, &a->request, a->who, &fault);
	sq_http_fault_fini(&fault);
}

/* Requests. */

/* Thread: any. */
static bool
pull_alive(struct sq_call *c)
{
	return sq_presence_here(&SQ_CONTAINER_OF(c, struct sq_http_ask, call)->presence);
}

/* The form of the answer, as Accept and ?raw say. */
static int
pull_form(struct sq_http_ask *a, const h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	const char *raw = route->keys[SQ_HTTP_QUERY_RAW];
	bool wants_raw = false, any = false, json = false, events = false;

	if (raw != NULL &&
	    sq_http_text_bool(sq_bytes_of(raw), sq_http_query_name(SQ_HTTP_QUERY_RAW), &wants_raw,
		fault) != SQ_OK)
		return SQ_EINVAL;
	for (size_t i = 0; i < req->headers.size; i++) {
		const h2o_header_t *h = &req->headers.entries[i];
		struct sq_bytes value = {(const unsigned char *)h->value.base, h->value.len};

		if (h->name != &H2O_TOKEN_ACCEPT->buf)
			continue;
		any = true;
		json |= sq_http_accepts(value);
		events |= sq_http_accepts_type(value, SQ_CE_TYPE_BATCH);
	}
	if (!wants_raw && any && !json && !events)
		return sq_http_fault_say(fault, SQ_HTTP_NOT_ACCEPTABLE,
		    "answers are application/json, " SQ_CE_TYPE_BATCH ", or with ?raw the payload");
	a->form = wants_raw ? SQ_HTTP_FORM_RAW : events ? SQ_HTTP_FORM_EVENTS : SQ_HTTP_FORM_JSON;
	return SQ_OK;
}

static int
pull_ack(struct sq_bytes text, bool *at_once, struct sq_http_fault *fault)
{
	*at_once = sq_bytes_are(text, "receive");
	if (*at_once || sq_bytes_are(text, "manual"))
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "ack must be manual or receive");
}

/* The settings of a receive: members of the body, and keys of the query. */
static const struct {
	const char *member;
	enum sq_http_query key;
} pull_settings[] = {
    {"max", SQ_HTTP_QUERY_MAX},
    {"wait", SQ_HTTP_QUERY_WAIT},
    {"lease", SQ_HTTP_QUERY_LEASE},
    {"maxBytes", SQ_HTTP_QUERY_MAX_BYTES},
    {"ack", SQ_HTTP_QUERY_ACK},
};

enum { PULL_SETTINGS = SQ_ARRAY_LEN(pull_settings) };

static int
pull_set(struct sq_queue_receive *in, enum sq_http_query key, const char *name,
    struct sq_bytes text, struct sq_http_fault *fault)
{
	uint64_t n;
	int rc;

	switch (key) {
	case SQ_HTTP_QUERY_MAX:
		rc = sq_http_text_number(text, name, SQ_RECEIVE_MAX, &n, fault);
		in->max = (uint32_t)n;
		if (rc == SQ_OK && n == 0)
			return sq_http_fault_say(
			    fault, SQ_HTTP_MALFORMED, "%s must be at least 1", name);
		return rc;
	case SQ_HTTP_QUERY_MAX_BYTES:
		return sq_http_text_number(text, name, BYTES_MAX, &in->max_bytes, fault);
	case SQ_HTTP_QUERY_WAIT:
		return sq_http_text_ms(text, name, &in->wait_ms, fault);
	case SQ_HTTP_QUERY_LEASE:
		rc = sq_http_text_ms(text, name, &in->lease_ms, fault);
		if (rc == SQ_OK &&
		    (in->lease_ms < SQ_LEASE_MIN_MS || in->lease_ms > SQ_LEASE_MAX_MS))
			return sq_http_fault_say(fault, SQ_HTTP_INVALID_PROPERTY,
			    "%s is %llu ms, 1s to 12h are possible", name,
			    (unsigned long long)in->lease_ms);
		return rc;
	default:
		return pull_ack(text, &in->at_once, fault);
	}
}

/* Reads the body, over which the query goes. */
static int
pull_body(struct sq_queue_receive *in, struct sq_bytes body, struct sq_http_fault *fault)
{
	const char *names[PULL_SETTINGS + 1] = {0};
	struct sq_json_token at[2 * PULL_SETTINGS + 2];
	struct sq_json_tokens t = {.at = at, .room = SQ_ARRAY_LEN(at), .depth = 1};
	uint32_t found[PULL_SETTINGS] = {0};

	for (unsigned i = 0; i < PULL_SETTINGS; i++)
		names[i] = pull_settings[i].member;
	if (body.len == 0)
		return SQ_OK;
	if (sq_http_object_read(&t, body, names, found, fault) != SQ_OK)
		return SQ_EINVAL;
	for (unsigned i = 0; i < PULL_SETTINGS; i++)
		if (found[i] != 0 &&
		    pull_set(in, pull_settings[i].key, names[i], sq_json_raw(&t, found[i]),
			fault) != SQ_OK)
			return SQ_EINVAL;
	return SQ_OK;
}

static int
pull_query(
    struct sq_queue_receive *in, const struct sq_http_route *route, struct sq_http_fault *fault)
{
	for (unsigned i = 0; i < PULL_SETTINGS; i++) {
		enum sq_http_query key = pull_settings[i].key;

		if (route->keys[key] != NULL &&
		    pull_set(in, key, sq_http_query_name(key), sq_bytes_of(route->keys[key]),
			fault) != SQ_OK)
			return SQ_EINVAL;
	}
	return SQ_OK;
}

int
sq_http_receive(struct sq_http_ask *a, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	uint64_t max_wait_ms = a->request.front->cfg.max_wait_ms;
	struct sq_queue_receive *in = &sq_http_ask_in(a)->in.receive;

	if (pull_form(a, req, route, fault) != SQ_OK)
		return SQ_EINVAL;
	sq_http_ask_in(a)->op = SQ_QUEUE_RECEIVE;
	in->max = a->form == SQ_HTTP_FORM_RAW ? 1 : MAX_DEFAULT;
	in->max_bytes = BYTES_DEFAULT;
	if (pull_body(in, sq_http_body(req), fault) != SQ_OK ||
	    pull_query(in, route, fault) != SQ_OK)
		return SQ_EINVAL;
	if (a->form == SQ_HTTP_FORM_RAW && in->max != 1)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "raw is for one message: max=1");
	if (in->wait_ms > max_wait_ms)
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_PROPERTY,
		    "wait is %llu ms, http.max-wait is %llu ms", (unsigned long long)in->wait_ms,
		    (unsigned long long)max_wait_ms);
	a->waits = in->wait_ms > 0;
	in->alive = a->waits ? pull_alive : NULL;
	a->answer = pull_answer;
	return SQ_OK;
}

int
sq_http_peek(struct sq_http_ask *a, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	const char *peek = route->keys[SQ_HTTP_QUERY_PEEK],
		   *after = route->keys[SQ_HTTP_QUERY_AFTER];
	struct sq_call_queue *in = sq_http_ask_in(a);
	uint64_t max = PEEK_DEFAULT;

	if (pull_form(a, req, route, fault) != SQ_OK ||
	    (peek != NULL &&
		sq_http_text_number(sq_bytes_of(peek), "peek", SQ_PEEK_MAX, &max, fault) !=
		    SQ_OK) ||
	    (after != NULL && after[0] != '\0' &&
		sq_http_text_number(sq_bytes_of(after), "after", UINT64_MAX / 16,
		    &in->in.peek.after, fault) != SQ_OK))
		return SQ_EINVAL;
	if (max == 0)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "peek must be at least 1");
	in->op = SQ_QUEUE_PEEK;
	in->in.peek.max = (uint32_t)max;
	a->answer = pull_answer_peek;
	return SQ_OK;
}

/* A copy of the body, which the call has views of. */
static struct sq_bytes
pull_keep(struct sq_http_ask *a, const h2o_req_t *req)
{
	struct sq_http_said *s = sq_http_ask_said(a);

	sq_buf_append(&s->body, req->entity.base, req->entity.len);
	return sq_buf_bytes(&s->body);
}

int
sq_http_settle(struct sq_http_ask *a, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	struct sq_http_front *front = a->request.front;
	struct sq_http_settle *s = &sq_http_ask_said(a)->settle;
	int rc = sq_http_settle_read(&front->bounds, pull_keep(a, req), front->cfg.max_batch,
	    (int64_t)sq_clock_wall_ms(), s, fault);

	(void)route;
	if (rc == SQ_OK && s->in.n_msgs > 0)
		rc = sq_http_take_rate(front, a->who, s->in.n_msgs, fault);
	sq_http_ask_in(a)->op = SQ_QUEUE_SETTLE;
	sq_http_ask_in(a)->in.settle = s->in;
	a->answer = pull_answer_settled;
	return rc;
}

int
sq_http_lease(struct sq_http_ask *a, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	static const enum sq_lease_end ends[SQ_HTTP_RESOURCE_COUNT] = {
	    [SQ_HTTP_RESOURCE_ACK] = SQ_LEASE_ACK,
	    [SQ_HTTP_RESOURCE_NACK] = SQ_LEASE_NACK,
	    [SQ_HTTP_RESOURCE_REJECT] = SQ_LEASE_REJECT,
	    [SQ_HTTP_RESOURCE_EXTEND] = SQ_LEASE_EXTEND,
	};
	const char *delay = route->keys[SQ_HTTP_QUERY_DELAY], *by = route->keys[SQ_HTTP_QUERY_BY];
	const char *untried = route->keys[SQ_HTTP_QUERY_UNTRIED];
	struct sq_http_said *s = sq_http_ask_said(a);
	struct sq_lease_entry *e = &s->entry;

	s->id = sq_xstrdup(route->names[0]);
	*e = (struct sq_lease_entry){.lease = sq_bytes_of(s->id), .end = ends[route->resource]};
	if ((delay != NULL &&
		sq_http_text_ms(sq_bytes_of(delay), "delay", &e->ms, fault) != SQ_OK) ||
	    (by != NULL && sq_http_text_ms(sq_bytes_of(by), "by", &e->ms, fault) != SQ_OK) ||
	    (untried != NULL &&
		sq_http_text_bool(sq_bytes_of(untried), "untried", &e->untried, fault) != SQ_OK))
		return SQ_EINVAL;
	e->timed = delay != NULL;
	if (sq_http_settle_entry(sq_http_body(req), e, fault) != SQ_OK)
		return SQ_EINVAL;
	sq_http_settle_one(e, &s->settle);
	sq_http_ask_in(a)->op = SQ_QUEUE_SETTLE;
	sq_http_ask_in(a)->in.settle = s->settle.in;
	a->answer = pull_answer_lease;
	return SQ_OK;
}
