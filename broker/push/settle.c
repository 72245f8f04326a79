#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/push/outcomes.h"
#include "broker/push/push_priv.h"
#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/mem.h"
#include "web/worker.h"

enum {
	AGAIN_MS = 200,             /* until a settlement that had no room is tried again */
	BUSY_MS = 1000,             /* of a target that is busy and says no time, at first */
	BUSY_MAX_MS = 60000,        /* and at most */
	AFTER_MAX_MS = 3600 * 1000, /* of Retry-After; above it the queue is paused */
};

static void
settle_hand(struct sq_push_request *r)
{
	struct sq_push *p = r->push;

	if (!p->joined) { /* the queue has all its messages back */
		sq_push_request_over(r);
		return;
	}
	r->settlement.outcomes = r->taken.outcomes;
	r->settlement.n = r->taken.n;
	sq_push_request_set(r, SQ_PUSH_SETTLING);
	sq_taker_settle(&p->taker, &r->settlement);
}

void
sq_push_untried(struct sq_push_request *r, uint64_t delay_ms)
{
	for (size_t i = 0; i < r->taken.n; i++)
		r->taken.outcomes[i] = (struct sq_taker_outcome){
		    .seq = r->taken.v[i].seq, .how = SQ_DISPATCH_LATER, .delay_ms = delay_ms};
	settle_hand(r);
}

void
sq_push_unmapped(struct sq_push_request *r, size_t culprit, const struct sq_buf *why)
{
	assert(culprit < r->taken.n);
	r->judged = (struct sq_push_judged){.verdict = SQ_PUSH_NEVER};
	snprintf(r->judged.detail, sizeof r->judged.detail, "%.*s", (int)sq_buf_len(why),
	    (const char *)sq_buf_data(why));
	for (size_t i = 0; i < r->taken.n; i++)
		r->taken.outcomes[i] = (struct sq_taker_outcome){.seq = r->taken.v[i].seq,
		    .how = i == culprit ? SQ_DISPATCH_NEVER : SQ_DISPATCH_LATER,
		    .why = SQ_NEVER_UNMAPPABLE,
		    .detail = r->judged.detail};
	sq_push_tell_end(r->push, &r->judged, 0);
	settle_hand(r);
}

static void
settle_tell_breaker(struct sq_push_request *r, uint64_t now_ms)
{
	const struct sq_push_conf *c = r->conf;
	uint64_t until_ms = now_ms;
	int now = -1;

	if (!r->judged.unseen)
		now = sq_breaker_tell(
		    c->breaker, &c->breaker_cfg, r->judged.healthy, r->probe, now_ms);
	else if (r->probe)
		sq_breaker_unprobed(c->breaker);
	r->probe = false;
	if (now == SQ_BREAKER_OPEN && !sq_breaker_may(c->breaker, now_ms, &until_ms))
		SQ_WARN(r->push->scope, "%s fails (%s): nothing is pushed there for %llu ms",
		    c->origin, r->judged.detail, (unsigned long long)(until_ms - now_ms));
	else if (now == SQ_BREAKER_CLOSED)
		SQ_INFO(r->push->scope, "%s works again", c->origin);
}

/* A message of the batch that the answer names. */
static void
settle_failed(void *arg, size_t i)
{
	bool *failed = arg;

	failed[i] = true;
}

/* Reads a partial failure; 'failed' has room for each message. */
static void
settle_partly(struct sq_push_request *r, bool *failed)
{
	struct sq_bytes body = {sq_buf_data(&r->trip.out.answer), sq_buf_len(&r->trip.out.answer)};
	struct sq_bytes ids = {sq_buf_data(&r->message.ids), sq_buf_len(&r->message.ids)};
	int err = sq_push_failures(body, ids, r->taken.n, settle_failed, failed);

	if (err == SQ_ENOTFOUND)
		r->judged.verdict = SQ_PUSH_OK;
	else
		snprintf(r->judged.detail, sizeof r->judged.detail, "%s",
		    err == SQ_OK ? "a failure of the batch" : "batchItemFailures that do not read");
	if (err == SQ_EINVAL)
		memset(failed, true, r->taken.n);
}

static void
settle_outcomes(struct sq_push_request *r)
{
	const struct sq_push_conf *c = r->conf;
	struct sq_push_ended in = {.push = &c->decl->push,
	    .lanes = c->decl->order != SQ_ORDER_NONE,
	    .taken = r->taken.v,
	    .n = r->taken.n,
	    .judged = &r->judged,
	    .now_ms = sq_clock_wall_ms(),
	    .random = c->decl->push.retry.jitter ? sq_hash_u64(sq_clock_us()) : 0};
	bool *failed = NULL;

	if (r->judged.verdict == SQ_PUSH_PARTLY) {
		failed = sq_xcalloc(r->taken.n, sizeof *failed);
		settle_partly(r, failed);
		in.failed = failed;
	}
	sq_push_outcomes(&in, r->taken.outcomes);
	free(failed);
}

/* The target is busy: nothing goes for a while. */
static void
settle_busy(struct sq_push_request *r, uint64_t now_ms)
{
	struct sq_push *p = r->push;
	uint64_t after_ms = r->judged.after_ms;

	if (after_ms == 0) {
		after_ms = (uint64_t)BUSY_MS << (p->holds.busy < 6 ? p->holds.busy : 6);
		after_ms = after_ms < BUSY_MAX_MS ? after_ms : BUSY_MAX_MS;
	}
	if (p->holds.until_ms <= now_ms) /* of requests that were out together one counts */
		p->holds.busy++;
	if (after_ms > AFTER_MAX_MS) {
		r->judged.verdict = SQ_PUSH_PAUSE;
		snprintf(r->judged.detail, sizeof r->judged.detail, "status %u, retry-after %llu s",
		    r->trip.out.status, (unsigned long long)(after_ms / 1000));
	} else {
		sq_push_hold(p, now_ms + after_ms);
	}
}

static void
settle_pause(struct sq_push *p, const char *why)
{
	char text[SQ_PAUSE_WHY_MAX + 1];

	if (p->s == NULL || p->paused)
		return;
	snprintf(text, sizeof text, "push: %.150s", why);
	SQ_WARN(p->scope, "paused: %s", why);
	sq_subscriber_pause(p->s, text); /* declared() follows */
}

/* The target has not been asked, or is not waited for: it is no attempt. */
static void
settle_unsent(struct sq_push_request *r)
{
	struct sq_push *p = r->push;

	if (r->probe)
		sq_breaker_unprobed(r->conf->breaker);
	r->probe = false;
	if (r->trip.out.end == SQ_OUT_CROWDED) {
		r->judged = sq_push_judge(&r->conf->decl->push, &r->trip.out, 0);
		sq_push_tell_end(p, &r->judged, 0);
	} else {
		atomic_fetch_add_explicit(
		    &p->told.requests[SQ_PUSH_COUNT_CANCELLED], 1, memory_order_relaxed);
	}
	sq_push_untried(r, 0);
	p->changed(p);
}

void
sq_push_answered(struct sq_push_trip *t)
{
	struct sq_push_request *r = SQ_CONTAINER_OF(t, struct sq_push_request, trip);
	struct sq_push *p = r->push;
	uint64_t now_ms = sq_worker_now_ms(p->part->worker);
	char why[sizeof r->judged.detail];
	bool pauses;

	if (r->trip.out.end == SQ_OUT_CANCELLED || r->trip.out.end == SQ_OUT_CROWDED) {
		settle_unsent(r);
		return;
	}
	SQ_FAULT_IF(r->trip.out.end == SQ_OUT_ANSWERED, "broker-push-answered");
	r->judged = sq_push_judge(
	    &r->conf->decl->push, &r->trip.out, (int64_t)(sq_clock_wall_ms() / 1000));
	sq_metric_observe(&p->broker->metrics, SQ_H_PUSH, r->trip.out.took_us);
	settle_tell_breaker(r, now_ms);
	if (r->judged.verdict == SQ_PUSH_LATER)
		settle_busy(r, now_ms);
	else
		p->holds.busy = 0;
	settle_outcomes(r);
	if (r->judged.verdict == SQ_PUSH_OK && sq_push_wants_reply(&r->conf->decl->push))
		sq_push_reply_put(r);
	sq_buf_wipe(&r->trip.out.answer); /* a reply is a copy, and may wait for long */
	sq_push_tell_end(
	    p, &r->judged, r->trip.out.end == SQ_OUT_ANSWERED ? r->trip.out.status : 0);
	pauses = r->judged.verdict == SQ_PUSH_PAUSE;
	memcpy(why, r->judged.detail, sizeof why);
	settle_hand(r);
	if (pauses)
		settle_pause(p, why);
	p->changed(p);
}

void
sq_push_settled(struct sq_taker *t, struct sq_taker_settlement *s)
{
	struct sq_push *p = SQ_CONTAINER_OF(t, struct sq_push, taker);
	struct sq_push_request *r = SQ_CONTAINER_OF(s, struct sq_push_request, settlement);

	if (s->end == SQ_TAKER_BUSY && p->joined) {
		r->again_ms = sq_worker_now_ms(p->part->worker) + AGAIN_MS;
		p->holds.blocked += !r->blocked;
		r->blocked = true;
		sq_push_request_set(r, SQ_PUSH_AGAIN);
		if (p->holds.look_ms > r->again_ms)
			p->holds.look_ms = r->again_ms;
		return;
	}
	if (s->end == SQ_TAKER_REFUSED)
		SQ_WARN(p->scope, "a reply was refused: %s", s->why);
	sq_push_request_over(r);
	p->changed(p);
}

void
sq_push_settle_again(struct sq_push *p, uint64_t now_ms)
{
	SQ_LIST_FOR_EACH_SAFE(r, &p->at[SQ_PUSH_AGAIN].list, struct sq_push_request, node) {
		if (r->again_ms <= now_ms)
			settle_hand(r);
		else if (p->holds.look_ms > r->again_ms)
			p->holds.look_ms = r->again_ms;
	}
}
