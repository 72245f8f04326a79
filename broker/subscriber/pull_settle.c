/* SETTLE: what became of messages, by their leases. */
#include "broker/subscriber/pull_settle.h"

#include "broker/group/group.h"
#include "broker/subscriber/pull_items.h"
#include "broker/subscriber/pull_run.h"
#include "broker/subscriber/pull_txn.h"
#include "web/worker.h"

bool
sq_settle_lease(const struct sq_pull *p, const struct sq_call *c, const struct sq_lease_entry *e,
    struct sq_lease *out)
{
	struct sq_lease_prover *prover = sq_pulls_prover(p->all, p->shard);

	return sq_lease_read(prover, c->in.queue.who, e->lease, out) && out->queue == p->group->id;
}

struct sq_pull_item *
sq_settle_find(const struct sq_pull *p, const struct sq_lease *l)
{
	struct sq_pull_item *it = sq_pull_item_find(p, l->seq);

	return it != NULL && sq_pull_item_holds(it, l) ? it : NULL;
}

static bool
settle_back(
    struct sq_pull *p, struct sq_pull_item *it, const struct sq_lease_entry *e, uint64_t now_ms)
{
	uint64_t ms = e->timed ? e->ms : 0;

	if (!e->untried) /* 0 would be as the settings say */
		return sq_dispatch_outcome(
		    p->dispatch, &it->d, SQ_DISPATCH_FAILED, e->timed && ms == 0 ? 1 : ms, now_ms);
	if (!sq_dispatch_outcome(p->dispatch, &it->d, SQ_DISPATCH_LATER, ms, now_ms))
		return false;
	sq_pull_item_free(p, it);
	return true;
}

static bool
settle_extend(struct sq_pull *p, struct sq_pull_item *it, uint64_t ms, uint64_t now_ms)
{
	if (ms < SQ_LEASE_MIN_MS)
		ms = SQ_LEASE_MIN_MS;
	if (ms > SQ_LEASE_MAX_MS)
		ms = SQ_LEASE_MAX_MS;
	if (!sq_dispatch_extend(p->dispatch, &it->d, now_ms + ms))
		return false;
	sq_pull_item_extend(p, it, ms);
	return true;
}

bool
sq_settle_item(struct sq_pull *p, struct sq_pull_item *it, const struct sq_lease_entry *e)
{
	uint64_t now_ms = sq_worker_now_ms(p->shard->worker);

	switch (e->end) {
	case SQ_LEASE_ACK:
		return sq_dispatch_outcome(p->dispatch, &it->d, SQ_DISPATCH_OK, 0, now_ms);
	case SQ_LEASE_NACK:
		return settle_back(p, it, e, now_ms);
	case SQ_LEASE_REJECT:
		return sq_dispatch_outcome(p->dispatch, &it->d, SQ_DISPATCH_NEVER, 0, now_ms);
	case SQ_LEASE_EXTEND:
		return settle_extend(p, it, e->ms, now_ms);
	}
	return false;
}

/* False: the lease was lost. */
static bool
settle_entry(struct sq_pull *p, const struct sq_call *c, const struct sq_lease_entry *e)
{
	struct sq_pull_item *it;
	struct sq_lease l;

	if (!sq_settle_lease(p, c, e, &l))
		return false;
	it = sq_settle_find(p, &l);
	if (it != NULL && it->d.state != SQ_DISPATCH_ENDED)
		return sq_settle_item(p, it, e);
	if (it != NULL) /* in this call, before */
		return e->end == SQ_LEASE_ACK && it->d.end == SQ_DISPATCH_DONE;
	return e->end == SQ_LEASE_ACK && sq_pull_acked(p, &l);
}

void
sq_settle_leases(struct sq_pull *p, struct sq_call *c)
{
	const struct sq_queue_settle *in = &c->in.queue.in.settle;
	struct sq_queue_out *out = &c->out.queue;

	for (uint16_t i = 0; i < in->n; i++) {
		bool lost = !settle_entry(p, c, &in->entries[i]);

		sq_buf_u8(&out->lost, lost);
		if (lost)
			out->how = SQ_QUEUE_PARTLY;
	}
}
