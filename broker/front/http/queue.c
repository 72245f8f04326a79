/* Queues: declared, shown, emptied. */
#include "broker/front/http/queue.h"

#include <stdlib.h>
#include <string.h>

#include "broker/front/http/answer.h"
#include "broker/front/http/asked.h"
#include "broker/front/http/info.h"
#include "broker/front/http/object.h"
#include "broker/front/http/values.h"
#include "core/mem.h"
#include "proto/json/write.h"

static const struct sq_queue_info *
queue_infos(const struct sq_http_ask *a)
{
	return (const void *)sq_buf_data(&a->call.out.queue.infos);
}

/* Answers. */

/* The queue as it is now. */
static void
queue_answer_info(struct sq_http_ask *a, h2o_req_t *req)
{
	const struct sq_queue_out *o = &a->call.out.queue;
	struct sq_buf body = {0};
	char tag[SQ_HTTP_ETAG_MAX];

	if (sq_queue_out_infos(o) > 0) {
		sq_http_info_json(queue_infos(a), &body);
		sq_http_info_etag(queue_infos(a)->revision, tag);
		sq_http_answer_header(req, "etag", sq_bytes_of(tag));
	}
	sq_buf_u8(&body, '\n');
	sq_http_answer(req, &a->request, o->how == SQ_QUEUE_CREATED ? 201 : 200, sq_buf_data(&body),
	    sq_buf_len(&body));
	sq_buf_fini(&body);
}

static void
queue_answer_list(struct sq_http_ask *a, h2o_req_t *req)
{
	const struct sq_queue_out *o = &a->call.out.queue;
	const struct sq_queue_info *infos = queue_infos(a);
	size_t n = sq_queue_out_infos(o);
	struct sq_buf body = {0};

	sq_buf_printf(&body, "{\"queues\":[");
	for (size_t i = 0; i < n; i++) {
		sq_buf_append(&body, ",", i > 0);
		sq_http_info_json(&infos[i], &body);
	}
	sq_buf_printf(&body, "],\"next\":");
	if (o->more && n > 0)
		sq_json_put_string(&body, sq_bytes_of(infos[n - 1].name));
	else
		sq_buf_printf(&body, "null");
	sq_buf_printf(&body, "}\n");
	sq_http_answer(req, &a->request, 200, sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
}

static void
queue_answer_nothing(struct sq_http_ask *a, h2o_req_t *req)
{
	sq_http_answer_empty(req, &a->request, 204);
}

static void
queue_answer_purged(struct sq_http_ask *a, h2o_req_t *req)
{
	struct sq_buf body = {0};

	sq_buf_printf(&body, "{\"purged\":%llu}\n", (unsigned long long)a->call.out.queue.n);
	sq_http_answer(req, &a->request, 200, sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
}

/* What came of the test of a push. */
static void
queue_answer_tested(struct sq_http_ask *a, h2o_req_t *req)
{
	const struct sq_queue_out *o = &a->call.out.queue;
	struct sq_buf body = {0};

	sq_http_info_tested(o, &body);
	sq_buf_u8(&body, '\n');
	sq_http_answer(req, &a->request, 200, sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
}

/* Requests. */

int
sq_http_queues(struct sq_http_ask *a, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	const char *after = route->keys[SQ_HTTP_QUERY_AFTER];

	(void)req, (void)fault;
	sq_http_ask_in(a)->op = SQ_QUEUE_LIST;
	if (after != NULL && after[0] != '\0')
		sq_http_ask_in(a)->in.after = a->texts[1] = sq_xstrdup(after);
	a->answer = queue_answer_list;
	return SQ_OK;
}

/* If-Match: a revision; 0: there is none (RFC 9110 §13.1.1). */
static uint64_t
queue_match(const h2o_req_t *req)
{
	struct sq_bytes text = sq_http_trim(sq_http_header(req, "if-match"));
	uint64_t revision = 0;

	if (sq_bytes_are(text, "*"))
		return SQ_REVISION_ANY;
	if (text.len > 0)
		sq_http_info_match(text, &revision);
	return revision;
}

/* A body that is to be a JSON object; the reader of declarations says what is wrong inside. */
static int
queue_json(struct sq_bytes body, struct sq_http_fault *fault)
{
	struct sq_json_tokens none = {0};
	struct sq_json_error err;

	if (sq_json_read(&none, body, &err) == SQ_OK)
		return SQ_OK;
	return sq_http_fault_say(
	    fault, SQ_HTTP_MALFORMED, "JSON, byte %zu: %s", err.offset, err.why);
}

static int
queue_declare(struct sq_http_ask *a, h2o_req_t *req, struct sq_http_fault *fault)
{
	struct sq_http_said *s = sq_http_ask_said(a);
	struct sq_queue_declare *in = &sq_http_ask_in(a)->in.declare;
	struct sq_bytes body = sq_http_body(req),
			never = sq_http_trim(sq_http_header(req, "if-none-match"));
	struct sq_buf why = {0};
	int rc = SQ_OK;

	sq_declaration_init(&s->decl);
	s->declares = true;
	if (never.len > 0 && !sq_bytes_are(never, "*"))
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "if-none-match of a queue is * or nothing");
	if (body.len > 0 && queue_json(body, fault) != SQ_OK)
		return SQ_EINVAL;
	if (body.len > 0)
		rc = sq_declaration_read_json(&s->decl, body, &why);
	if (rc == SQ_OK)
		rc = sq_declaration_check(&s->decl, &why);
	if (rc != SQ_OK)
		(void)sq_http_fault_say(fault, SQ_HTTP_INVALID_PROPERTY, "%.*s",
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	*in = (struct sq_queue_declare){
	    .decl = &s->decl, .must_be_new = never.len > 0, .if_revision = queue_match(req)};
	sq_http_ask_in(a)->op = SQ_QUEUE_DECLARE;
	return rc;
}

/* A merge patch (RFC 7396): the worker of the queue reads it over what is there. */
static int
queue_patch(struct sq_http_ask *a, h2o_req_t *req, struct sq_http_fault *fault)
{
	struct sq_http_said *s = sq_http_ask_said(a);
	struct sq_queue_declare *in = &sq_http_ask_in(a)->in.declare;
	struct sq_bytes body = sq_http_body(req);

	if (queue_json(body, fault) != SQ_OK)
		return SQ_EINVAL;
	sq_buf_append(&s->body, body.p, body.len);
	*in = (struct sq_queue_declare){.patch = {sq_buf_data(&s->body), sq_buf_len(&s->body)},
	    .if_revision = queue_match(req)};
	sq_http_ask_in(a)->op = SQ_QUEUE_PATCH;
	return SQ_OK;
}

static int
queue_remove(struct sq_http_ask *a, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	const char *with = route->keys[SQ_HTTP_QUERY_WITH_MESSAGES];
	struct sq_call_queue *in = sq_http_ask_in(a);

	in->op = SQ_QUEUE_DELETE;
	in->in.remove.if_revision = queue_match(req);
	a->answer = queue_answer_nothing;
	if (with == NULL)
		return SQ_OK;
	return sq_http_text_bool(sq_bytes_of(with), sq_http_query_name(SQ_HTTP_QUERY_WITH_MESSAGES),
	    &in->in.remove.with_messages, fault);
}

int
sq_http_queue(struct sq_http_ask *a, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	a->answer = queue_answer_info;
	if (route->method == SQ_HTTP_DELETE)
		return queue_remove(a, req, route, fault);
	if (route->keys[SQ_HTTP_QUERY_WITH_MESSAGES] != NULL)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "with-messages is for DELETE");
	if (route->method == SQ_HTTP_PUT)
		return queue_declare(a, req, fault);
	if (route->method == SQ_HTTP_PATCH)
		return queue_patch(a, req, fault);
	sq_http_ask_in(a)->op = SQ_QUEUE_GET;
	return SQ_OK;
}

int
sq_http_binding(struct sq_http_ask *a, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	struct sq_http_said *s = sq_http_ask_said(a);
	struct sq_declared_binding binding = {0};
	bool removes = route->method == SQ_HTTP_DELETE;
	int rc = removes ? SQ_OK : sq_http_info_binding(sq_http_body(req), &binding, fault);

	s->filter = binding.filter;
	s->tag = binding.tag;
	s->id = binding.id = sq_xstrdup(route->names[1]);
	sq_http_ask_in(a)->op = removes ? SQ_QUEUE_UNBIND : SQ_QUEUE_BIND;
	sq_http_ask_in(a)->in.bind.binding = binding;
	a->answer = removes ? queue_answer_nothing : queue_answer_info;
	return rc;
}

int
sq_http_order(struct sq_http_ask *a, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	(void)req, (void)fault;
	a->answer = queue_answer_nothing;
	if (route->resource == SQ_HTTP_RESOURCE_PAUSE) {
		sq_http_ask_in(a)->op = SQ_QUEUE_PAUSE;
	} else if (route->resource == SQ_HTTP_RESOURCE_RESUME) {
		sq_http_ask_in(a)->op = SQ_QUEUE_RESUME;
	} else {
		sq_http_ask_in(a)->op = SQ_QUEUE_PURGE;
		a->answer = queue_answer_purged;
	}
	return SQ_OK;
}

int
sq_http_test(struct sq_http_ask *a, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	(void)req, (void)route, (void)fault;
	sq_http_ask_in(a)->op = SQ_QUEUE_TEST;
	a->answer = queue_answer_tested;
	return SQ_OK;
}
