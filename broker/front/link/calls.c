/* Requests that the broker carries out.
 *
 * A call outlives its request, which is a pending one (broker/front/door/pending.h).  Answers are
 * given in SQ_TURN_ANSWER, after this turn's puts to links (SQ_TURN_FLUSH).
 *
 * Nobody waits for the answer to a batch of QoS 0, so while a link has little to do such answers wait
 * for the next ones: docs/link.md, "Gathering". */
#include "broker/front/link/calls.h"

#include <stdlib.h>

#include "broker/broker.h"
#include "broker/front/door/pending.h"
#include "broker/front/link/answer.h"
#include "broker/front/link/body.h"
#include "broker/front/link/deliveries.h"
#include "broker/front/link/status.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/memory.h"

enum {
	CALLS_PER_CONN = 256, /* resets don't count against h2o's 100 streams */
	CALLS_SPARE = 256,
	CALLS_FEW = 50,    /* in a second: spare ones are not worth their memory */
	CALLS_KEEP = 4096, /* capacity kept of a spare call's store, and for bodies of answers */
	/* The most that is withheld: answers of a link, those of one epoch, bytes of a batch. */
	WITHHELD_MAX = 8,
	WITHHELD_EPOCH = 2,
	WITHHELD_BODY = 1024,
	WITHHELD_MS = 4,
};

struct front_call {
	struct sq_call call;
	struct sq_key key;
	struct sq_pending_req pending;
	struct sq_link_part *part;
	unsigned version; /* of the link */
};

static const enum sq_call_kind call_kinds[] = {
    [SQ_ROUTE_ATTACH] = SQ_CALL_ATTACH,
    [SQ_ROUTE_MESSAGES] = SQ_CALL_MESSAGES,
    [SQ_ROUTE_SETTLEMENTS] = SQ_CALL_SETTLEMENTS,
    [SQ_ROUTE_SUBSCRIPTIONS] = SQ_CALL_SUBSCRIPTIONS,
    [SQ_ROUTE_DETACH] = SQ_CALL_DETACH,
};

static struct front_call *
calls_take(struct sq_link_part *p)
{
	struct front_call *fc;

	if (sq_list_empty(&p->calls.spare))
		return sq_xcalloc(1, sizeof *fc);
	fc = SQ_CONTAINER_OF(
	    SQ_LIST_FIRST(&p->calls.spare, struct sq_call, node), struct front_call, call);
	sq_list_remove(&fc->call.node);
	p->calls.n_spare--;
	return fc;
}

static void
calls_give(struct sq_link_part *p, struct front_call *fc)
{
	struct sq_call *c = &fc->call;

	sq_outlet_unref(&c->outlet);
	sq_block_unref(&c->body);
	if (p->calls.n_spare == CALLS_SPARE) {
		sq_buf_fini(&c->store);
		free(fc);
		return;
	}
	sq_buf_drain(&c->store, sq_buf_len(&c->store));
	sq_buf_trim(&c->store, CALLS_KEEP);
	sq_list_push_front(&p->calls.spare, &c->node);
	p->calls.n_spare++;
}

void
sq_calls_fini(struct sq_link_part *p)
{
	while (!sq_list_empty(&p->calls.spare)) {
		struct front_call *fc = calls_take(p);

		sq_buf_fini(&fc->call.store);
		free(fc);
	}
	sq_buf_fini(&p->calls.body);
}

void
sq_calls_rest(struct sq_link_part *p)
{
	struct sq_calls *calls = &p->calls;
	bool idle = calls->started - calls->seen <= CALLS_FEW;

	calls->seen = calls->started;
	if (idle && !calls->rests) {
		sq_calls_fini(p);
		(void)sq_memory_allocator_trim();
	}
	calls->rests = idle;
}

static void
calls_answer_now(struct front_call *fc)
{
	struct sq_call *c = &fc->call;
	struct sq_link_part *p = fc->part;
	h2o_req_t *req = sq_pending_request(&fc->pending);

	if (sq_status_conflict(c->verdict) != SQ_CONFLICT_NONE)
		sq_link_count(p, SQ_M_CONFLICTS, 1);
	if (c->verdict == SQ_VERDICT_MALFORMED || c->verdict == SQ_VERDICT_DENIED)
		sq_link_count(p, SQ_M_BAD_REQUESTS, 1);
	if (req != NULL) {
		sq_answer_call(req, c, fc->version, &p->calls.body);
		sq_buf_trim(&p->calls.body, CALLS_KEEP);
	}
	sq_pending_end(&fc->pending);
	calls_give(p, fc);
}

/* Answers all that is withheld on the link. */
static void
calls_answer_withheld(struct sq_link_withheld *w)
{
	struct sq_list calls;
	struct sq_call *c;

	if (w->n == 0)
		return;
	sq_worker_alarm_off(&w->alarm);
	w->n = 0;
	sq_list_init(&calls);
	sq_list_splice(&calls, &w->calls);
	while ((c = SQ_LIST_FIRST(&calls, struct sq_call, node)) != NULL) {
		sq_list_remove(&c->node);
		calls_answer_now(SQ_CONTAINER_OF(c, struct front_call, call)); /* it may free 'w' */
	}
}

static void
calls_alarm(struct sq_alarm *a)
{
	calls_answer_withheld(SQ_CONTAINER_OF(a, struct sq_link_withheld, alarm));
}

/* Whether the answer waits for others: it is one to a small batch of QoS 0, and batches come one by
 * one. */
static bool
calls_withhold(struct sq_link_withheld *w, struct sq_call *c, uint64_t now_ms)
{
	unsigned same = 0;
	bool burst;

	if (c->kind != SQ_CALL_MESSAGES || c->verdict != SQ_VERDICT_OK || c->in.batch.lane != 0)
		return false;
	burst = w->batch_ms == now_ms;
	w->batch_ms = now_ms;
	SQ_LIST_FOR_EACH(other, &w->calls, struct sq_call, node)
		same += other->epoch == c->epoch;
	if (burst || w->n == WITHHELD_MAX || same == WITHHELD_EPOCH ||
	    c->body->size > WITHHELD_BODY || !sq_outlet_open(c->outlet))
		return false;
	sq_list_push_back(&w->calls, &c->node);
	if (w->n++ == 0) {
		w->alarm.run = calls_alarm;
		sq_worker_alarm(&w->alarm, now_ms + WITHHELD_MS);
	}
	return true;
}

/* On the connection's worker, after the links of this turn were flushed. */
static void
calls_answer(struct sq_task *t)
{
	struct front_call *fc = SQ_CONTAINER_OF(t, struct front_call, call.task);
	struct sq_link_withheld *w = sq_link_withheld(fc->call.outlet);

	if (calls_withhold(w, &fc->call, sq_worker_now_ms(fc->part->worker)))
		return;
	calls_answer_withheld(w);
	calls_answer_now(fc);
}

static void
calls_done(struct sq_call *c)
{
	struct front_call *fc = SQ_CONTAINER_OF(c, struct front_call, call);

	c->task.run = calls_answer;
	sq_worker_post_in(fc->part->worker, SQ_TURN_ANSWER, &c->task);
}

static void
calls_refuse(const struct sq_link_part *p, h2o_req_t *req, unsigned status, const char *detail)
{
	if (status == 400 || status == 413)
		sq_link_count(p, SQ_M_BAD_REQUESTS, 1);
	sq_answer_problem(req, status, detail);
}

/* Without its link a session is not attached here. */
static void
calls_unlinked(struct sq_link_part *p, h2o_req_t *req, enum sq_route_kind kind)
{
	struct sq_call answer = {.verdict = SQ_VERDICT_EPOCH};

	if (kind == SQ_ROUTE_ATTACH) {
		calls_refuse(p, req, 410, NULL);
		return;
	}
	sq_link_count(p, SQ_M_CONFLICTS, 1);
	sq_answer_call(req, &answer, SQ_LINK_VERSION_MIN, &p->calls.body);
}

/* Answers, if there is something to deny: the request has a token of its own, not its
 * link's. */
static bool
calls_denied(
    const struct sq_link_part *p, h2o_req_t *req, enum sq_denied why, const struct sq_identity *who)
{
	if (why == SQ_DENIED_NONE)
		return false;
	SQ_WARN("auth", "refused with 403, %s: it came with another token than its link",
	    sq_denied_text(why, who));
	sq_link_count(p, SQ_M_DENIED(why), 1);
	sq_link_count(p, SQ_M_BAD_REQUESTS, 1);
	sq_answer_denied(req, why, sq_denied_text(why, who));
	return true;
}

/* The maximum size of a body.  An entry of a Subscriptions is larger than in the client's packet,
 * and a PUT lists the client's unfinished deliveries. */
static size_t
calls_body_max(const struct sq_link_front_cfg *cfg, enum sq_route_kind kind)
{
	size_t max = (size_t)cfg->max_packet + SQ_BODY_SLACK;

	if (kind == SQ_ROUTE_SUBSCRIPTIONS)
		max += 3 * SQ_BODY_SLACK / 2;
	else if (kind == SQ_ROUTE_ATTACH)
		max += (size_t)cfg->max_inflight * SQ_OPEN_ID_SIZE;
	return max;
}

/* Whether the connection's link may be asked this; else refuses. */
static bool
calls_allowed(struct sq_link_part *p, const struct sq_conn *c, h2o_req_t *req,
    const struct sq_route *r, const struct sq_conn_hold *hold, const struct sq_identity *who)
{
	if (hold == NULL) {
		calls_unlinked(p, req, r->kind);
		return false;
	}
	if (calls_denied(p, req, sq_allowed_again(hold->who, who), who))
		return false;
	if (req->entity.len > calls_body_max(&p->front->cfg, r->kind)) {
		calls_refuse(p, req, 413, NULL);
		return false;
	}
	if (sq_conn_running(c) >= CALLS_PER_CONN) {
		h2o_add_header(
		    &req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, H2O_STRLIT("1"));
		calls_refuse(p, req, 429, "too many requests of this connection are not done");
		return false;
	}
	return true;
}

/* Whether an attach reads and is of that link; else refuses. */
static bool
calls_attaches(
    const struct sq_link_part *p, h2o_req_t *req, const struct sq_call *c, const struct sq_link *l)
{
	if (c->malformed)
		calls_refuse(p, req, 400, "malformed attach");
	else if (c->in.attach.link != sq_link_id(l))
		calls_refuse(p, req, 410, NULL);
	else
		return true;
	return false;
}

/* Makes the request's call, or refuses. */
static bool
calls_make(struct front_call *fc, h2o_req_t *req, const struct sq_route *r, struct sq_link *l)
{
	struct sq_call *c = &fc->call;

	fc->version = sq_link_version(l);
	c->kind = call_kinds[r->kind];
	c->done = calls_done;
	c->epoch = r->epoch;
	c->outlet = sq_outlet_ref(sq_link_outlet(l));
	c->body = sq_block_copy(req->entity.base, req->entity.len);
	c->verdict = SQ_VERDICT_OK;
	c->last = 0;
	c->retry_after_s = 0;
	c->full = SQ_FULL_NOT;
	c->denied = SQ_DENIED_NONE;
	c->detail = NULL;
	sq_list_init(&c->node);
	sq_body_decode(c, fc->version);
	if (c->kind == SQ_CALL_ATTACH && !calls_attaches(fc->part, req, c, l))
		return false;
	if (sq_key_decode(r->key, &fc->key) != SQ_OK) {
		calls_refuse(fc->part, req, 400, "malformed session key");
		return false;
	}
	c->key = &fc->key;
	c->key_hash = sq_key_hash(&fc->key);
	return true;
}

void
sq_calls_start(struct sq_link_part *p, struct sq_conn *conn, h2o_req_t *req,
    const struct sq_route *r, const struct sq_identity *who)
{
	const struct sq_conn_hold *hold = sq_conn_hold_of(conn, &p->front->service);
	struct front_call *fc;

	if (!calls_allowed(p, conn, req, r, hold, who))
		return;
	fc = calls_take(p);
	fc->part = p;
	if (!calls_make(fc, req, r, sq_deliveries_link(hold))) {
		calls_give(p, fc);
		return;
	}
	sq_pending_begin(&fc->pending, conn, req, NULL);
	p->calls.started++;
	sq_link_count(p, SQ_M_REQUESTS, 1);
	sq_broker_call(p->front->broker, &fc->call);
}
