/* See broker/front/http/batch.h.
 *
 * Entries that do not read are never handed over; of a batch that is to be atomic nothing is, then.
 * The call outlives its request, as that of publish.c. */
#include "broker/front/http/batch.h"

#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/identity.h"
#include "broker/broker.h"
#include "broker/front/door/pending.h"
#include "broker/front/http/answer.h"
#include "broker/front/http/entries.h"
#include "broker/front/http/mapping.h"
#include "broker/front/http/object.h"
#include "broker/front/http/tenant.h"
#include "broker/port/call.h"
#include "core/clock.h"
#include "core/mem.h"
#include "web/worker.h"

struct batch {
	struct sq_call call;
	struct sq_pending_req pending;
	struct sq_http_request request;
	const struct sq_identity *who; /* a reference */
	struct sq_http_entries entries;
	bool atomic;
	char space[SQ_KEY_PART_MAX + 1]; /* empty: the caller's own */
};

static void
batch_free(struct batch *b)
{
	sq_identity_unref(&b->who);
	sq_http_entries_fini(&b->entries);
	sq_buf_fini(&b->call.store);
	free(b);
}

/* The answer. */

/* What became of the entries. */
struct batch_outcomes {
	struct sq_buf list; /* JSON objects with commas between them */
	size_t taken;
	struct sq_http_fault worst; /* of those that were refused; its status is the highest */
	bool any_refused;
};

/* Notes a fault, whose detail it takes over. */
static void
batch_note(struct batch_outcomes *o, struct sq_http_fault *f, size_t i)
{
	unsigned status = sq_http_problem_row(f->problem)->status;

	sq_http_fault_at(f, NULL, i);
	sq_http_refused_write(f, &o->list);
	if (o->any_refused && sq_http_problem_row(o->worst.problem)->status >= status)
		return;
	o->any_refused = true;
	sq_http_fault_fini(&o->worst);
	o->worst = *f;
	f->detail = (struct sq_buf){0};
}

/* 'published' is of the entries that were handed over; NULL: none was. */
static void
batch_outcomes(struct batch *b, const struct sq_published *published, struct batch_outcomes *o)
{
	struct sq_http_entries *e = &b->entries;

	for (size_t i = 0, at = 0; i < e->n; i++) {
		struct sq_http_fault fault = {0};
		const struct sq_published *p = e->rc[i] == SQ_OK && published != NULL
		    ? &published[at++]
		    : NULL;

		sq_buf_append(&o->list, ",", i > 0);
		if (p != NULL && sq_http_outcome((enum sq_published_how)p->how) != NULL) {
			sq_http_published_write(p, e->qos[i], &o->list);
			o->taken++;
			continue;
		}
		if (p != NULL)
			sq_http_fault_of_published(&fault, p);
		else
			fault = e->faults[i];
		if (p == NULL)
			e->faults[i] = (struct sq_http_fault){0};
		batch_note(o, &fault, i);
		sq_http_fault_fini(&fault);
	}
}

static void
batch_answer_outcomes(struct batch *b, h2o_req_t *req, const struct sq_published *published)
{
	struct batch_outcomes o = {0};
	struct sq_buf body = {0};
	size_t n = b->entries.n;

	batch_outcomes(b, published, &o);
	sq_buf_printf(&body, "%s\"taken\":%zu,\"refused\":%zu,\"outcomes\":[",
	    o.taken > 0 ? "{" : ",", o.taken, n - o.taken);
	sq_buf_append(&body, sq_buf_data(&o.list), sq_buf_len(&o.list));
	if (o.taken > 0) {
		sq_buf_printf(&body, "]}\n");
		sq_http_answer(req, &b->request, o.taken == n ? 200 : 207, sq_buf_data(&body),
		    sq_buf_len(&body));
	} else {
		sq_buf_u8(&body, ']');
		sq_http_answer_fault_more(req, &b->request, b->who, &o.worst, &body);
	}
	sq_buf_fini(&body);
	sq_buf_fini(&o.list);
	sq_http_fault_fini(&o.worst);
}

/* An atomic one of which nothing was done, because of entry 'i'. */
static void
batch_answer_culprit(struct batch *b, h2o_req_t *req, size_t i, const struct sq_http_fault *cause)
{
	struct sq_http_fault fault = {0};
	struct sq_buf more = {0};

	(void)sq_http_fault_say(&fault, SQ_HTTP_CONFLICT,
	    "nothing was published: entry %zu is refused: %.*s", i, (int)sq_buf_len(&cause->detail),
	    (const char *)sq_buf_data(&cause->detail));
	sq_http_fault_at(&fault, NULL, i);
	sq_buf_printf(&more, ",\"cause\":{");
	sq_http_fault_write_short(cause, &more);
	sq_buf_u8(&more, '}');
	sq_http_answer_fault_more(req, &b->request, b->who, &fault, &more);
	sq_buf_fini(&more);
	sq_http_fault_fini(&fault);
}

/* Whether it was to be atomic, and is not done: answers with the entry because of which. */
static bool
batch_refused(struct batch *b, h2o_req_t *req)
{
	for (size_t i = 0; b->atomic && i < b->entries.n; i++) {
		const struct sq_published *p = &b->call.out.published[i];
		struct sq_http_fault cause = {0};

		if (p->how == SQ_PUBLISHED_NOT ||
		    sq_http_outcome((enum sq_published_how)p->how) != NULL)
			continue;
		sq_http_fault_of_published(&cause, p);
		if (p->how == SQ_PUBLISHED_TOO_LARGE) {
			sq_http_fault_at(&cause, NULL, i);
			sq_http_answer_fault(req, &b->request, b->who, &cause);
		} else {
			batch_answer_culprit(b, req, i, &cause);
		}
		sq_http_fault_fini(&cause);
		return true;
	}
	return false;
}

static void
batch_answer(struct batch *b, h2o_req_t *req)
{
	struct sq_http_fault fault = {0};

	if (b->call.verdict != SQ_VERDICT_OK) {
		sq_http_fault_of_call(&fault, &b->call, b->who);
		sq_http_answer_fault(req, &b->request, b->who, &fault);
		sq_http_fault_fini(&fault);
	} else if (!batch_refused(b, req)) {
		batch_answer_outcomes(b, req, b->call.out.published);
	}
}

/* On the connection's worker, after the links of this turn were flushed. */
static void
batch_answered(struct sq_task *t)
{
	struct batch *b = SQ_CONTAINER_OF(t, struct batch, call.task);
	h2o_req_t *req = sq_pending_request(&b->pending);

	if (req != NULL)
		batch_answer(b, req);
	sq_pending_end(&b->pending);
	batch_free(b);
}

static void
batch_done(struct sq_call *c)
{
	struct batch *b = SQ_CONTAINER_OF(c, struct batch, call);

	c->task.run = batch_answered;
	sq_worker_post_in(sq_conn_worker(b->pending.conn), SQ_TURN_ANSWER, &c->task);
}

/* The request. */

static int
batch_atomic(struct batch *b, const struct sq_http_route *route, struct sq_http_fault *fault)
{
	const char *atomic = route->keys[SQ_HTTP_QUERY_ATOMIC];

	if (atomic == NULL)
		return SQ_OK;
	return sq_http_text_bool(sq_bytes_of(atomic), "atomic", &b->atomic, fault);
}

/* The headers of events go for each of them; other entries have members, and no headers. */
static int
batch_headers(const struct sq_http_event_in *in, enum sq_http_batch_form form,
    struct sq_bytes *space, struct sq_http_fault *fault)
{
	struct sq_http_fields f = {0};
	int rc;

	if (form != SQ_HTTP_BATCH_EVENTS)
		return sq_http_fields_space(in->headers, in->n, space, fault);
	rc = sq_http_fields_read(in->headers, in->n, in->now_ms, &f, fault);
	*space = f.space;
	if (rc == SQ_OK && sq_buf_len(&f.key) > 0)
		rc = sq_http_fault_say(fault, SQ_HTTP_MALFORMED,
		    "idempotency-key is of one message; with sqmqos-qos: 3 each event's source and "
		    "id are its key");
	sq_http_fields_fini(&f);
	return rc;
}

static int
batch_read(
    struct batch *b, h2o_req_t *req, const struct sq_http_route *route, struct sq_http_fault *fault)
{
	struct sq_http_front *front = b->request.front;
	struct sq_http_event_in in = {.headers = sq_http_headers(req),
	    .n = req->headers.size,
	    .body = sq_http_body(req),
	    .topic = route->topic,
	    .tmpl = front->cfg.events_topic,
	    .now_ms = (int64_t)sq_clock_wall_ms()};
	enum sq_http_batch_form form = sq_http_batch_form(
	    sq_http_header(req, "content-type"), in.body);
	struct sq_bytes space = {0};

	if (batch_atomic(b, route, fault) != SQ_OK ||
	    batch_headers(&in, form, &space, fault) != SQ_OK ||
	    sq_http_tenant(space, b->who, b->space, fault) != SQ_OK ||
	    sq_http_entries_read(
		&front->bounds, form, &in, front->cfg.max_batch, &b->entries, fault) != SQ_OK)
		return SQ_EINVAL;
	return sq_http_take_rate(front, b->who, b->entries.n, fault);
}

static void
batch_call(struct batch *b, struct sq_conn *conn, h2o_req_t *req)
{
	struct sq_call *c = &b->call;

	c->kind = SQ_CALL_PUBLISH;
	c->done = batch_done;
	c->verdict = SQ_VERDICT_OK;
	c->denied = SQ_DENIED_NONE;
	c->full = SQ_FULL_NOT;
	sq_list_init(&c->node);
	c->in.publish = (struct sq_call_publish){.who = b->who,
	    .worker = sq_worker_index(sq_conn_worker(conn)),
	    .n = (uint16_t)b->entries.n_msgs,
	    .space = b->space[0] != '\0' ? b->space : NULL,
	    .msgs = b->entries.msgs,
	    .wants = b->entries.wants,
	    .atomic = b->atomic};
	sq_pending_begin(&b->pending, conn, req, b->who);
	sq_broker_call(b->request.front->broker, c);
}

/* Answers at once what need not be asked for; false: it must be. */
static bool
batch_answer_early(struct batch *b, h2o_req_t *req)
{
	const struct sq_http_entries *e = &b->entries;
	size_t i = 0;

	if (e->n_msgs == e->n || (!b->atomic && e->n_msgs > 0))
		return false;
	while (b->atomic && e->rc[i] == SQ_OK)
		i++;
	if (b->atomic)
		batch_answer_culprit(b, req, i, &e->faults[i]);
	else
		batch_answer_outcomes(b, req, NULL);
	return true;
}

void
sq_http_batch(struct sq_http_request *r, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_http_route *route, const struct sq_identity *who)
{
	struct batch *b = sq_xcalloc(1, sizeof *b);
	struct sq_http_fault fault = {0};

	b->request = *r;
	b->who = sq_identity_ref(who);
	if (batch_read(b, req, route, &fault) != SQ_OK) {
		sq_http_answer_fault(req, r, who, &fault);
		batch_free(b);
	} else if (batch_answer_early(b, req)) {
		batch_free(b);
	} else {
		batch_call(b, conn, req);
	}
	sq_http_fault_fini(&fault);
}
