#include "broker/session/life.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/engine/record.h"
#include "broker/group/watch.h"
#include "broker/session/background_txn.h"
#include "broker/session/call_txn.h"
#include "broker/session/demand.h"
#include "broker/session/linked.h"
#include "broker/session/session.h"
#include "broker/session/subscription.h"
#include "broker/shard/pace.h"
#include "broker/shard/source.h"
#include "broker/shard/sys_counts.h"
#include "web/worker.h"

/* After a lost link: a sidecar that lives is back by then.  What its clients had
 * from groups goes to other members, long before the grace ends. */
enum { RETURN_MS = 2000 };

void
sq_session_enter(struct sq_session *s, enum sq_session_state to)
{
	assert(sq_worker_self() == s->shard->worker);
	sq_session_set_state(s, to);
	if (to == SQ_SESSION_DETACHED)
		sq_subscriptions_unsay(s);
	sq_members_attend(s, sq_session_attends(s));
}

void
sq_session_open(struct sq_session *s, struct sq_txn *txn)
{
	const struct sq_broker *b = s->shard->broker;
	char *name = sq_record_queue_name(s->id.key, s->id.incarnation);
	struct sq_queue_cfg q = {
	    .name = name, /* after a clean start the key's old queue may still be on its way out */
	    .owner = s->shard->worker,
	    .max_msgs = b->cfg.queue_max_msgs,
	    .max_bytes = b->cfg.queue_max_bytes,
	    .overflow = s->id.durable ? SQ_OVERFLOW_REJECT_PUBLISH : SQ_OVERFLOW_DROP_NEW,
	    .yields = SQ_YIELD_LONELY,
	    .durable = s->id.durable,
	    .account = s->id.durable && sq_persist_engine(b) ? sq_tenant_account(s->id.tenant)
							     : NULL,
	    .memory = sq_tenant_account(s->id.tenant),
	    .dead = b->burial->item,
	    .arg = s->sink.source,
	    .dropped = sq_sys_counts_dropped(b->sys_counts, s->id.tenant),
	};

	sq_session_opened(s, b->engine->ops->queue.open(b->engine, txn, &q));
	free(name);
	sq_members_attend(s, sq_session_attends(s));
	if (s->id.durable)
		sq_watch_add(s->shard->broker->watch, &s->sink, true);
	sq_deliver_init(s);
}

static void
session_refuse_waiting(struct sq_session *s, enum sq_verdict why)
{
	SQ_LIST_FOR_EACH_SAFE(c, &s->waiting, struct sq_call, node) {
		sq_list_remove(&c->node);
		sq_call_refuse(c, why);
	}
}

void
sq_session_unattach(struct sq_session *s, enum sq_verdict why)
{
	if (s->at.epoch == 0)
		return;
	sq_htab_remove(&s->shard->sessions->by_epoch, &s->at.by_epoch);
	sq_linked_leave(s);
	sq_attachment_end(&s->at);
	session_refuse_waiting(s, why);
	sq_order_end(s);
	sq_members_stop(s);
	sq_demand_end(s);
	sq_window_unattach(&s->window);
	sq_return_pending(s, SQ_RETURN_ALL);
}

/* The client is gone for good: its will is due now or after its delay, and the
 * session waits for its expiry or ends.  What is stored of that goes into 'txn', or,
 * if it is NULL, into one of its own. */
static void
session_client_gone(struct sq_session *s, uint32_t waited_s, struct sq_txn *txn)
{
	uint64_t now_ms = sq_worker_now_ms(s->shard->worker);

	if (s->will.delay_s <= waited_s || s->life.expiry_s == 0)
		sq_will_publish(s);
	else
		sq_will_later(s, s->will.delay_s - waited_s);
	if (s->life.expiry_s <= waited_s) {
		sq_session_end(s,
		    s->life.expiry_s == 0 ? SQ_ENDING_SESSION_ENDED : SQ_ENDING_SESSION_EXPIRED,
		    txn);
		return;
	}
	sq_session_enter(s, SQ_SESSION_DETACHED);
	sq_return_open(s, SQ_RETURN_GROUPS, txn);
	if (s->life.expiry_s != UINT32_MAX)
		sq_session_set_timer(s, now_ms + (s->life.expiry_s - waited_s) * UINT64_C(1000));
	else
		sq_session_stop_timer(s);
	if (s->stored.base && txn != NULL)
		sq_persist_base(s, txn);
	else
		sq_persist_changed(s);
}

void
sq_session_set_expiry(struct sq_session *s, uint32_t wanted_s)
{
	uint64_t max_s = s->shard->broker->cfg.session_expiry_max_s;

	s->life.expiry_s = wanted_s > max_s ? (uint32_t)max_s : wanted_s;
}

void
sq_session_set_timer(struct sq_session *s, uint64_t due_ms)
{
	sq_heap_set(&s->shard->sessions->timers, &s->life.timer, due_ms);
}

void
sq_session_stop_timer(struct sq_session *s)
{
	sq_heap_remove(&s->shard->sessions->timers, &s->life.timer);
}

void
sq_session_link_lost(struct sq_session *s)
{
	uint64_t now_ms = sq_worker_now_ms(s->shard->worker);
	uint64_t grace_ms = s->shard->broker->cfg.grace_ms;
	struct sq_call *attaching = sq_attachment_unwait(&s->at);

	sq_linked_leave(s);
	sq_session_unattach(s, SQ_VERDICT_EPOCH);
	sq_session_enter(s, SQ_SESSION_GRACE);
	s->life.grace_ms = now_ms + grace_ms;
	sq_session_set_timer(s, now_ms + (grace_ms < RETURN_MS ? grace_ms : RETURN_MS));
	if (attaching != NULL)
		sq_call_refuse(attaching, SQ_VERDICT_EPOCH);
}

void
sq_session_detach(struct sq_session *s, struct sq_call *c)
{
	const struct sq_detach *d = &c->in.detach;
	struct sq_call_txn *op;

	for (int lane = 0; lane < SQ_LANES; lane++) {
		if (s->in.lanes[lane].done < d->last[lane] || s->uses.running > 0) {
			sq_list_push_back(&s->waiting, &c->node);
			return;
		}
	}
	sq_session_set_expiry(s, d->expiry_s);
	if (!d->will)
		sq_will_drop(s);
	sq_attachment_left(&s->at, (d->flags & SQ_DETACH_QUIET) == 0);
	sq_session_unattach(s, SQ_VERDICT_EPOCH);
	op = sq_call_txn_new(s, c);
	session_client_gone(s, 0, op->parts.txn);
	sq_call_txn_commit(op);
}

void
sq_session_timer(struct sq_session *s, struct sq_heap_node *which)
{
	if (which == &s->will.timer) {
		sq_will_publish(s);
	} else if (s->state == SQ_SESSION_GRACE && s->life.grace_ms > which->due) {
		sq_return_open(s, SQ_RETURN_GROUPS, NULL);
		sq_session_set_timer(s, s->life.grace_ms);
	} else if (s->state == SQ_SESSION_GRACE) {
		session_client_gone(s, (uint32_t)(s->shard->broker->cfg.grace_ms / 1000), NULL);
	} else if (s->state == SQ_SESSION_DETACHED) {
		sq_session_end(s, SQ_ENDING_SESSION_EXPIRED, NULL);
	}
}

/* Nobody finds it any more, and nothing comes to it. */
static void
session_leave(struct sq_session *s)
{
	struct sq_shard *sh = s->shard;

	assert(s->state != SQ_SESSION_DEAD);
	sq_batch_cut(s);
	sq_watch_remove(s->shard->broker->watch, &s->sink);
	sq_linked_leave(s);
	sq_session_unattach(s, SQ_VERDICT_EPOCH);
	sq_session_enter(s, SQ_SESSION_DEAD);
	sq_session_stop_timer(s);
	sq_session_unlist(s);
	sq_pace_end(sh, &s->sink);
	sq_share_give(sq_tenant_account(s->id.tenant), SQ_SHARE_SESSIONS, 1);
	sq_count(sh->broker, SQ_M_SESSIONS, -1);
	if (!s->id.internal)
		sq_sys_add(s->id.sys, SQ_SYS_TOTAL, -1);
}

/* Ends the session's queue; the ending counts the messages left in it. */
static void
session_end_queue(struct sq_session *s, enum sq_ending_why why, struct sq_txn *txn)
{
	struct sq_broker *b = s->shard->broker;
	struct sq_ending_cfg cfg = {
	    .queue = s->sink.queue,
	    .source = s->sink.source,
	    .owner = s->shard->worker,
	    .name = s->id.key,
	    .number = s->id.incarnation,
	    .why = why,
	    .stored = s->id.durable && sq_persist_engine(b),
	};

	if (b->engine->ops->queue.empty(s->sink.queue)) {
		b->engine->ops->queue.delete(txn, s->sink.queue);
		return;
	}
	(void)sq_ending_begin(b, &cfg, txn);
	sq_session_queue_gone(s);
}

void
sq_session_end(struct sq_session *s, enum sq_ending_why why, struct sq_txn *txn)
{
	const struct sq_engine_ops *ops = s->sink.engine->ops;
	struct sq_background_txn *background = NULL;

	sq_will_publish(s);
	if (why == SQ_ENDING_SESSION_EXPIRED && !s->id.internal)
		sq_sys_add(s->id.sys, SQ_SYS_EXPIRED, 1);
	session_leave(s);
	if (txn == NULL && sq_persist_engine(s->shard->broker))
		txn = sq_background_txn(s, &background);
	sq_subscriptions_drop(s, txn);
	ops->consumer.cancel(&s->flow.consumer);
	sq_return_open(s, SQ_RETURN_ALL, txn);
	sq_persist_end(s, txn);
	session_end_queue(s, why, txn);
	sq_background_commit(&background);
	sq_session_unpin(s);
}

void
sq_session_evict(
    struct sq_session *s, uint8_t reason, const char *text, enum sq_verdict why, struct sq_txn *txn)
{
	struct sq_call *attaching;

	if (s->state == SQ_SESSION_ATTACHED)
		sq_outlet_detached(s->at.outlet, s->at.epoch, reason, text);
	attaching = sq_attachment_unwait(&s->at);
	if (attaching != NULL)
		sq_call_refuse(attaching, why);
	sq_session_end(s, SQ_ENDING_SESSION_ENDED, txn);
}

void
sq_session_close(struct sq_session *s)
{
	const struct sq_engine_ops *ops = s->sink.engine->ops;
	bool stays = s->id.durable && sq_persist_engine(s->shard->broker);

	sq_will_drop(s); /* the broker goes, not the client */
	session_leave(s);
	sq_subscriptions_drop(s, NULL);
	sq_return_open(s, SQ_RETURN_CLOSE, NULL);
	ops->consumer.cancel(&s->flow.consumer);
	if (stays)
		ops->queue.close(s->sink.queue);
	else
		ops->queue.delete(NULL, s->sink.queue);
	sq_session_unpin(s);
}
