#include "broker/subscriber/pull_publish.h"

#include <assert.h>

#include "broker/publish/outcome.h"
#include "broker/subscriber/pull_settle.h"
#include "broker/subscriber/pull_together.h"
#include "broker/subscriber/pull_txn.h"
#include "broker/subscriber/requests.h"
#include "web/worker.h"

enum {
	REQUEST_BYTES = 64,   /* of the request's record */
	PUBLISHED_BYTES = 32, /* of each message, in the record of the request */
};

/* A call that is carried out. */
struct settling {
	struct sq_pull *pull;
	struct sq_call *call;
	struct sq_outcome_list outcomes;
	struct sq_pull_together together;
};

static void
settling_outcome(void *arg, struct sq_publish *p, uint8_t code, uint16_t i)
{
	struct settling *s = arg;

	sq_outcome_set(&s->outcomes, s->call, p, code, i);
	s->call->out.queue.culprit = i; /* counts where it was refused */
}

static bool
settling_lost(struct settling *s, uint16_t i)
{
	s->call->out.queue.how = SQ_QUEUE_LOST;
	s->call->out.queue.culprit = i;
	return false;
}

/* Whether all are leases of this queue and the caller. */
static bool
settling_read(struct settling *s)
{
	const struct sq_queue_settle *in = &s->call->in.queue.in.settle;
	struct sq_lease l;

	for (uint16_t i = 0; i < in->n; i++) {
		if (!sq_settle_lease(s->pull, s->call, &in->entries[i], &l))
			return settling_lost(s, i);
	}
	return true;
}

/* Whether all leases hold; says then what they may add to the transaction. */
static bool
settling_holds(struct settling *s)
{
	const struct sq_queue_settle *in = &s->call->in.queue.in.settle;
	struct sq_lease l;

	for (uint16_t i = 0; i < in->n; i++) {
		const struct sq_lease_entry *e = &in->entries[i];
		struct sq_pull_item *it = NULL;

		if (sq_settle_lease(s->pull, s->call, e, &l))
			it = sq_settle_find(s->pull, &l);
		if (it == NULL || !sq_dispatch_holds(&it->d, e->end == SQ_LEASE_ACK))
			return settling_lost(s, i);
		sq_pull_together_add(&s->together, it, e->end == SQ_LEASE_ACK);
	}
	return true;
}

/* The messages are in the transaction: the leases follow, and the record. */
static void
settling_taken(struct settling *s, struct sq_txn *txn, const struct sq_settled_name *name)
{
	const struct sq_queue_settle *in = &s->call->in.queue.in.settle;
	struct sq_lease l;

	for (uint16_t i = 0; i < in->n; i++) {
		bool read = sq_settle_lease(s->pull, s->call, &in->entries[i], &l);
		bool held = read &&
		    sq_settle_item(s->pull, sq_settle_find(s->pull, &l), &in->entries[i]);

		assert(held); /* as settling_holds() has said, in this turn */
	}
	sq_pull_together_settle(&s->together);
	sq_request_add(s->pull, txn, name, in, s->call->out.queue.published);
}

static void
settling_do(struct settling *s, const struct sq_settled_name *name)
{
	const struct sq_queue_settle *in = &s->call->in.queue.in.settle;
	struct sq_queue_out *out = &s->call->out.queue;
	struct sq_pull_txn *t = sq_pull_txn_whole(s->pull);
	enum sq_together_end end;

	s->together.items += 1;
	s->together.bytes += REQUEST_BYTES + (uint64_t)PUBLISHED_BYTES * in->n_msgs;
	sq_outcome_begin(s->call, in->n_msgs);
	end = sq_pull_together(&s->together, s->pull, t);
	if (end != SQ_TOGETHER_TAKEN)
		sq_outcome_refused(
		    &s->outcomes, s->call, in->n_msgs, out->culprit, end == SQ_TOGETHER_TOO_LARGE);
	out->published = sq_outcome_end(&s->outcomes, s->call);
	if (end == SQ_TOGETHER_TAKEN) {
		out->culprit = 0;
		settling_taken(s, &t->txn, name);
	} else {
		out->how = end == SQ_TOGETHER_REFUSED ? SQ_QUEUE_UNPUBLISHED : SQ_QUEUE_TOO_LARGE;
		sq_pull_txn_drop(s->pull);
	}
	sq_pull_answer(s->pull, s->call);
	sq_pull_commit(s->pull);
	sq_pull_together_end(&s->together);
}

/* Of one that was done before: leases that it made longer are so again, from now on.  False: it only
 * did that, and one is lost. */
static bool
settling_extends(struct settling *s)
{
	const struct sq_queue_settle *in = &s->call->in.queue.in.settle;
	bool ends = false;
	struct sq_lease l;

	for (uint16_t i = 0; i < in->n; i++)
		ends = ends || in->entries[i].end != SQ_LEASE_EXTEND;
	for (uint16_t i = 0; i < in->n; i++) {
		const struct sq_lease_entry *e = &in->entries[i];
		struct sq_pull_item *it = NULL;

		if (e->end == SQ_LEASE_EXTEND && sq_settle_lease(s->pull, s->call, e, &l))
			it = sq_settle_find(s->pull, &l);
		if ((it == NULL || !sq_settle_item(s->pull, it, e)) && !ends)
			return settling_lost(s, i);
	}
	return true;
}

/* Whether it is to be done now; otherwise its answer is set. */
static bool
settling_begins(struct settling *s, struct sq_settled_name *name)
{
	struct sq_queue_out *out = &s->call->out.queue;

	if (!settling_read(s))
		return false;
	if (!sq_request_name(s->pull, &s->call->in.queue.in.settle, name)) {
		out->how = SQ_QUEUE_INVALID;
		sq_buf_printf(&out->detail, "a lease is named twice");
		return false;
	}
	switch (sq_request_find(s->pull, name, s->call)) {
	case SQ_REQUEST_KNOWN:
		if (settling_extends(s))
			out->how = SQ_QUEUE_REPLAYED;
		return false;
	case SQ_REQUEST_OTHER:
		out->how = SQ_QUEUE_KEY_REUSED;
		return false;
	case SQ_REQUEST_NEW:
		break;
	}
	return settling_holds(s);
}

void
sq_settle_publish(struct sq_pull *p, struct sq_call *c)
{
	const struct sq_queue_settle *in = &c->in.queue.in.settle;
	struct settling s = {.pull = p, .call = c};
	struct sq_settled_name name;

	s.together = (struct sq_pull_together){.who = c->in.queue.who,
	    .msgs = in->msgs,
	    .wants = in->wants,
	    .n = in->n_msgs,
	    .outcome = settling_outcome,
	    .arg = &s};
	if (sq_broker_recovers(p->shard->broker, sq_worker_now_ms(p->shard->worker))) {
		c->retry_after_s = 1;
		sq_pull_refuse(c, SQ_VERDICT_RECOVERING, "sessions are on their way back");
		return;
	}
	if (settling_begins(&s, &name))
		settling_do(&s, &name);
	else
		sq_pull_answer(p, c);
	sq_outcome_fini(&s.outcomes);
}
