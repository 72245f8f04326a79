#include "broker/session/dispatch.h"

#include <assert.h>

#include "broker/session/attach.h"
#include "broker/session/denied.h"
#include "broker/session/enforce.h"
#include "broker/session/life.h"
#include "broker/session/session.h"
#include "broker/session/subscribe.h"
#include "web/worker.h"

static void
dispatch_again(struct sq_session *s, struct sq_call *c)
{
	switch (c->kind) {
	case SQ_CALL_MESSAGES:
		sq_batch_offer(s, c);
		break;
	case SQ_CALL_SUBSCRIPTIONS:
		sq_subscribe_offer(s, c);
		break;
	case SQ_CALL_DETACH:
		sq_session_detach(s, c);
		break;
	case SQ_CALL_ATTACH:
	case SQ_CALL_SETTLEMENTS:
	case SQ_CALL_PUBLISH:
	case SQ_CALL_QUEUE:
	case SQ_CALL_BRIDGE:
		assert(false); /* these never wait here */
	}
}

/* Goes through those that wait now, once. */
static void
dispatch_pass(struct sq_session *s)
{
	uint64_t epoch = s->at.epoch;
	struct sq_list old;

	sq_list_init(&old);
	sq_list_splice(&old, &s->waiting);
	SQ_LIST_FOR_EACH_SAFE(c, &old, struct sq_call, node) {
		sq_list_remove(&c->node);
		if (s->at.epoch != epoch)
			sq_call_refuse(c, SQ_VERDICT_EPOCH);
		else
			dispatch_again(s, c);
	}
}

/* Grows with all that is admitted, and with each answer. */
static uint64_t
dispatch_progress(const struct sq_session *s)
{
	return s->in.lanes[0].last + s->in.lanes[1].last + s->order.in.mark + s->order.in.answered;
}

/* Goes through the waiting calls, as long as that leads anywhere. */
static void
dispatch_retry(struct sq_session *s)
{
	uint64_t epoch = s->at.epoch, before;

	sq_session_pin(s); /* a detach may end it */
	do {
		before = dispatch_progress(s);
		dispatch_pass(s);
	} while (
	    s->at.epoch == epoch && !sq_list_empty(&s->waiting) && dispatch_progress(s) != before);
	sq_session_unpin(s);
}

static void
dispatch_ran(struct sq_session *s)
{
	if (s->state == SQ_SESSION_FENCING) {
		if (s->uses.running == 0 && s->at.attaching != NULL)
			sq_attach_finish(s);
	} else if (!sq_list_empty(&s->waiting)) {
		dispatch_retry(s);
	}
}

const struct sq_session_hooks sq_sessions_hooks = {.ran = dispatch_ran,
    .failed = sq_session_link_lost,
    .flow = sq_deliver_run,
    .pass = sq_deliver_pass,
    .soon = sq_deliver_soon};

/* The answer to the session's PUT has arrived. */
static void
dispatch_used(struct sq_session *s)
{
	bool first = !s->at.present;

	sq_attachment_used(&s->at);
	if (first && s->id.durable)
		sq_persist_changed(s);
	if (s->kept == SQ_KEPT_WANTED)
		sq_kept_used(s);
}

/* The session with the call's epoch and key; NULL: the call has been refused. */
static struct sq_session *
dispatch_session(struct sq_shard *sh, struct sq_call *c)
{
	struct sq_session *s = sq_session_find_epoch(sh, c->epoch);
	enum sq_verdict why = SQ_VERDICT_EPOCH;

	if (s != NULL && s->state == SQ_SESSION_ATTACHED && s->at.outlet == c->outlet &&
	    sq_key_is(c->key, s->id.key)) {
		dispatch_used(s);
		return s;
	}
	s = sq_session_find(sh, c->key);
	for (size_t i = 0; s != NULL && c->epoch != 0 && i < SQ_SUPERSEDED_MAX; i++) {
		if (s->at.superseded[i].epoch == c->epoch)
			why = SQ_VERDICT_SUPERSEDED;
	}
	sq_call_refuse(c, why);
	return NULL;
}

/* A call that may bring others on, which came too early. */
static void
dispatch_offer(
    struct sq_session *s, struct sq_call *c, void (*offer)(struct sq_session *, struct sq_call *))
{
	bool waits = !sq_list_empty(&s->waiting);

	offer(s, c);
	if (waits)
		dispatch_retry(s);
}

static void
dispatch_run(struct sq_session *s, struct sq_call *c)
{
	switch (c->kind) {
	case SQ_CALL_MESSAGES:
		dispatch_offer(s, c, sq_batch_offer);
		break;
	case SQ_CALL_SETTLEMENTS:
		sq_settle_call(s, c);
		break;
	case SQ_CALL_SUBSCRIPTIONS:
		dispatch_offer(s, c, sq_subscribe_offer);
		break;
	case SQ_CALL_DETACH:
		sq_session_detach(s, c);
		break;
	case SQ_CALL_ATTACH:
	case SQ_CALL_PUBLISH:
	case SQ_CALL_QUEUE:
	case SQ_CALL_BRIDGE:
		assert(false); /* these have no session */
	}
}

/* Whether its front could decode it; else it is refused. */
static bool
dispatch_reads(struct sq_call *c)
{
	static const char *const details[] = {
	    [SQ_CALL_ATTACH] = "malformed attach",
	    [SQ_CALL_MESSAGES] = "malformed batch",
	    [SQ_CALL_SETTLEMENTS] = "malformed settlements",
	    [SQ_CALL_SUBSCRIPTIONS] = "malformed subscriptions",
	    [SQ_CALL_DETACH] = "malformed detach",
	};

	if (!c->malformed)
		return true;
	sq_call_answer(c, SQ_VERDICT_MALFORMED, details[c->kind]);
	return false;
}

void
sq_sessions_call(struct sq_shard *sh, struct sq_call *c, bool draining)
{
	struct sq_broker *b = sh->broker;
	struct sq_session *s;

	assert(sq_worker_self() == sh->worker);
	if (sq_denied_key(b, c))
		return;
	if (draining && (c->kind == SQ_CALL_ATTACH || c->kind == SQ_CALL_MESSAGES)) {
		c->retry_after_s = 1;
		sq_call_answer(c, SQ_VERDICT_DRAINING, "draining");
		return;
	}
	if (c->kind == SQ_CALL_MESSAGES && sq_broker_recovers(b, sq_worker_now_ms(sh->worker))) {
		c->retry_after_s = 1;
		sq_call_answer(c, SQ_VERDICT_RECOVERING, "sessions are on their way back");
		return;
	}
	if (c->kind == SQ_CALL_ATTACH) {
		sq_broker_attaches(b, sq_worker_now_ms(sh->worker));
		if (dispatch_reads(c))
			sq_attach_call(sh, c, &sq_sessions_hooks);
		return;
	}
	s = dispatch_session(sh, c);
	if (s != NULL && dispatch_reads(c))
		dispatch_run(s, c);
}

void
sq_sessions_outlet_lost(struct sq_shard *sh, struct sq_outlet *outlet)
{
	struct sq_session *s;

	while ((s = sq_linked_first(sh, outlet)) != NULL)
		sq_session_link_lost(s);
}

void
sq_sessions_tick(struct sq_shard *sh, uint64_t now_ms)
{
	struct sq_heap_node *node;

	while ((node = sq_heap_pop(&sh->sessions->timers, now_ms)) != NULL)
		sq_session_timer(node->owner, node);
	sq_enforce_tick(sh);
}

void
sq_sessions_stop(struct sq_shard *sh)
{
	SQ_LIST_FOR_EACH_SAFE(s, &sh->sessions->all, struct sq_session, id.node) {
		if (s->at.attaching != NULL)
			sq_session_link_lost(s);
		sq_session_close(s);
	}
}

bool
sq_sessions_idle(const struct sq_shard *sh)
{
	SQ_LIST_FOR_EACH(s, &sh->sessions->all, struct sq_session, id.node) {
		if (s->uses.running > 0 || (s->state == SQ_SESSION_ATTACHED && !sq_deliver_idle(s)))
			return false;
	}
	return true;
}
