/* See broker/front/http/letters.h.
 *
 * A redrive is a deed (broker/deed/deed.h), as it is at the admin endpoint, and keeps to the same rate.
 * It outlives its request. */
#include "broker/front/http/letters.h"

#include <stdlib.h>
#include <string.h>

#include "broker/auth/acl/acl.h"
#include "broker/auth/identity/identity.h"
#include "broker/broker.h"
#include "broker/deed/answer.h"
#include "broker/deed/gate.h"
#include "broker/front/door/pending.h"
#include "broker/front/http/answer.h"
#include "broker/front/http/object.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/topic/topic.h"
#include "web/worker.h"

enum { TIME_MS = 600 }; /* of one request; what is left is the next one's */

/* Members of the body. */
enum { MEMBER_FILTER, MEMBER_REASON, MEMBER_TO, MEMBER_AFTER, MEMBER_MAX, MEMBERS };

enum { TEXTS = MEMBER_AFTER + 1 };

static const char *const member_names[] = {
    [MEMBER_FILTER] = "filter",
    [MEMBER_REASON] = "reason",
    [MEMBER_TO] = "to",
    [MEMBER_AFTER] = "after",
    [MEMBER_MAX] = "max",
    NULL,
};

struct redrive {
	struct sq_deed deed;
	struct sq_task task;
	struct sq_pending_req pending;
	struct sq_http_request request;
	const struct sq_identity *who; /* a reference */
	char *space;
	char *texts[TEXTS]; /* members; NULL: left out */
};

static void
redrive_free(struct redrive *r)
{
	for (unsigned i = 0; i < TEXTS; i++)
		free(r->texts[i]);
	free(r->space);
	sq_identity_unref(&r->who);
	free(r);
}

/* The answer. */

static const enum sq_http_problem of_ends[] = {
    [SQ_DEED_DONE] = SQ_HTTP_FAILED,
    [SQ_DEED_MISSING] = SQ_HTTP_NOT_FOUND,
    [SQ_DEED_DENIED] = SQ_HTTP_FORBIDDEN,
    [SQ_DEED_REFUSED] = SQ_HTTP_CONFLICT,
    [SQ_DEED_FAILED] = SQ_HTTP_BUSY,
};

static void
redrive_answer(struct redrive *r, h2o_req_t *req)
{
	struct sq_http_fault fault = {0};
	struct sq_buf body = {0};
	const char *why;

	if (sq_deed_answer_status(&r->deed, &why) == 200) {
		sq_deed_answer(&r->deed, &body);
		sq_http_answer(req, &r->request, 200, sq_buf_data(&body), sq_buf_len(&body));
	} else {
		(void)sq_http_fault_say(&fault, of_ends[r->deed.end], "%s", why);
		sq_http_answer_fault(req, &r->request, r->who, &fault);
	}
	sq_http_fault_fini(&fault);
	sq_buf_fini(&body);
}

/* On the connection's worker. */
static void
redrive_answered(struct sq_task *t)
{
	struct redrive *r = SQ_CONTAINER_OF(t, struct redrive, task);
	h2o_req_t *req = sq_pending_request(&r->pending);

	if (req != NULL)
		redrive_answer(r, req);
	sq_pending_end(&r->pending);
	redrive_free(r);
}

static void
redrive_done(struct sq_deed *d)
{
	struct redrive *r = SQ_CONTAINER_OF(d, struct redrive, deed);

	sq_deed_gate_end(r->request.front->cfg.redrives, d->until_ms - TIME_MS, d->n);
	if (d->end == SQ_DEED_DONE)
		SQ_INFO("deed", "dead-letters/redrive %s: %llu%s, by %s", r->space,
		    (unsigned long long)d->n, d->more ? " so far" : "",
		    r->who->name[0] != '\0' ? r->who->name : "somebody");
	r->task.run = redrive_answered;
	sq_worker_post_in(sq_conn_worker(r->pending.conn), SQ_TURN_ANSWER, &r->task);
}

/* Rights: to manage the letters, and to publish where they are to go. */

static struct sq_acl_subject *
redrive_subject(const struct redrive *r, const char *space)
{
	const struct sq_acl_who who = {.identity = r->who->name, .space = space, .own = true};
	struct sq_acl *acl = sq_broker_acl(r->request.front->broker);
	struct sq_acl_subject *subject = sq_acl_subject_new(acl, &who);

	sq_acl_unref(&acl);
	return subject;
}

/* Thread: a worker. */
static enum sq_deed_right
redrive_may(void *arg, const char *space, struct sq_bytes object)
{
	const struct redrive *r = arg;
	const char *to = r->texts[MEMBER_TO];
	struct sq_acl_subject *subject;
	struct sq_acl_verdict why;
	bool may;

	if (!sq_identity_has_space(r->who, space))
		return SQ_DEED_FOREIGN;
	subject = redrive_subject(r, space);
	may = sq_acl_may(subject, SQ_ACL_MANAGE, object, &why);
	if (may && to != NULL && subject != NULL)
		may = sq_acl_may_publish(subject, sq_bytes_of(to), &why);
	sq_acl_subject_free(&subject);
	return may ? SQ_DEED_MAY : SQ_DEED_MAY_NOT;
}

/* The request. */

static int
redrive_topics(struct redrive *r, struct sq_http_fault *fault)
{
	const struct sq_limits *limits = &r->request.front->cfg.limits;
	struct sq_bytes to = sq_bytes_of(r->texts[MEMBER_TO]),
			filter = sq_bytes_of(r->texts[MEMBER_FILTER]);
	const char *why = NULL;

	if (filter.p != NULL && sq_topic_filter_form(filter, false, &why) != SQ_OK)
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_TOPIC, "filter: %s", why);
	if (to.p == NULL)
		return SQ_OK;
	if (sq_topic_name_check_levels(to, limits->topic_levels, &why) == SQ_OK)
		why = sq_topic_closed(to);
	if (why != NULL)
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_TOPIC, "to: %s", why);
	return SQ_OK;
}

static int
redrive_body(struct redrive *r, struct sq_bytes body, uint64_t *max, struct sq_http_fault *fault)
{
	struct sq_json_token at[2 * MEMBERS + 2];
	struct sq_json_tokens t = {.at = at, .room = SQ_ARRAY_LEN(at), .depth = 1};
	uint32_t found[MEMBERS] = {0};

	if (body.len == 0)
		return SQ_OK;
	if (sq_http_object_read(&t, body, member_names, found, fault) != SQ_OK)
		return SQ_EINVAL;
	for (unsigned i = 0; i < TEXTS; i++)
		if (found[i] != 0 &&
		    sq_http_object_text(&t, found[i], member_names[i], &r->texts[i], fault) !=
			SQ_OK)
			return SQ_EINVAL;
	if (found[MEMBER_MAX] != 0 &&
	    sq_http_object_number(&t, found[MEMBER_MAX], "max", SQ_DEED_GATE_RATE, max, fault) !=
		SQ_OK)
		return SQ_EINVAL;
	return redrive_topics(r, fault);
}

static int
redrive_read(struct redrive *r, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	struct sq_deed *d = &r->deed;
	struct sq_bytes space;
	const char *after;

	*d = (struct sq_deed){.kind = SQ_DEED_REDRIVE, .most = SQ_DEED_GATE_RATE};
	if (sq_http_fields_space(sq_http_headers(req), req->headers.size, &space, fault) != SQ_OK ||
	    redrive_body(r, sq_http_body(req), &d->most, fault) != SQ_OK)
		return SQ_EINVAL;
	r->space = sq_xstrdup(route->names[0]);
	if (space.len > 0 && !sq_bytes_are(space, r->space))
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "sqmqos-space is another than the path's");
	if (d->most == 0)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "max must be at least 1");
	after = r->texts[MEMBER_AFTER];
	if (after != NULL && !sq_deed_place_read(after, &d->at))
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "after must be the \"next\" of an answer");
	return SQ_OK;
}

static void
redrive_begin(struct redrive *r, struct sq_conn *conn, h2o_req_t *req, uint64_t now_ms)
{
	struct sq_deed *d = &r->deed;

	d->space = r->space;
	d->filter = r->texts[MEMBER_FILTER];
	d->reason = r->texts[MEMBER_REASON];
	d->to = r->texts[MEMBER_TO];
	d->until_ms = now_ms + TIME_MS;
	d->may = redrive_may;
	d->arg = r;
	d->done = redrive_done;
	sq_pending_begin(&r->pending, conn, req, r->who);
	sq_deed_ask(r->request.front->broker, d);
}

void
sq_http_redrive(struct sq_http_request *request, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_http_route *route, const struct sq_identity *who)
{
	struct redrive *r = sq_xcalloc(1, sizeof *r);
	struct sq_http_fault fault = {0};
	uint64_t now_ms = sq_clock_ms();
	int rc;

	r->request = *request;
	r->who = sq_identity_ref(who);
	rc = redrive_read(r, req, route, &fault);
	if (rc == SQ_OK && redrive_may(r, r->space, sq_bytes_of(SQ_ACL_DEAD_QUEUE)) != SQ_DEED_MAY)
		rc = sq_http_fault_say(&fault, SQ_HTTP_FORBIDDEN,
		    "may not manage %s of that space, or not publish there", SQ_ACL_DEAD_QUEUE);
	if (rc == SQ_OK && !sq_deed_gate_begin(request->front->cfg.redrives, r->space, now_ms))
		rc = sq_http_fault_say(&fault, SQ_HTTP_RATE,
		    "dead letters are published again at %d a second at most, of one space after "
		    "the other",
		    SQ_DEED_GATE_RATE);
	if (rc == SQ_OK) {
		redrive_begin(r, conn, req, now_ms);
	} else {
		sq_http_answer_fault(req, request, who, &fault);
		redrive_free(r);
	}
	sq_http_fault_fini(&fault);
}
