#include "broker/bridge/outward_priv.h"
#include "broker/bridge/told.h"
#include "broker/shard/shard.h"
#include "core/fault.h"
#include "web/worker.h"

enum {
	LATERS_MAX = 256, /* in a row, then it rests */
	REST_MS = 100,
};

static enum sq_taker_never
ended_why(enum sq_offer_never why)
{
	switch (why) {
	case SQ_OFFER_UNMAPPABLE:
		return SQ_NEVER_UNMAPPABLE;
	case SQ_OFFER_TOO_LARGE:
		return SQ_NEVER_TOO_LARGE;
	case SQ_OFFER_UNROUTABLE:
		return SQ_NEVER_UNROUTABLE;
	case SQ_OFFER_REFUSED:
		break;
	}
	return SQ_NEVER_REFUSED;
}

static void
ended_count(struct sq_outward *o, const struct sq_offer_end *end)
{
	static const enum sq_bridge_outcome as[] = {[SQ_OFFER_ACCEPTED] = SQ_BRIDGE_OK,
	    [SQ_OFFER_LATER] = SQ_BRIDGE_LATER,
	    [SQ_OFFER_FAILED] = SQ_BRIDGE_FAILED,
	    [SQ_OFFER_NEVER] = SQ_BRIDGE_DEAD};

	sq_bridge_tell(o->cfg.told, SQ_BRIDGE_OUT, as[end->how], 1);
	if (end->uncertain)
		atomic_fetch_add_explicit(&o->cfg.told->uncertain, 1, memory_order_relaxed);
	if (end->why != NULL && (end->how == SQ_OFFER_FAILED || end->how == SQ_OFFER_NEVER))
		sq_bridge_tell_error(o->cfg.told, SQ_BRIDGE_OUT, end->why);
	if (end->how == SQ_OFFER_ACCEPTED || end->how == SQ_OFFER_FAILED)
		sq_bridge_tell_tried(o->cfg.told, end->how == SQ_OFFER_ACCEPTED, end->why,
		    sq_worker_now_ms(o->cfg.shard->worker));
}

/* A forwarder that takes messages and hands all of them back at once gets none for a while. */
static void
ended_rest(struct sq_outward *o, enum sq_offer how)
{
	o->laters = how == SQ_OFFER_LATER ? o->laters + 1 : 0;
	if (o->laters < LATERS_MAX)
		return;
	o->laters = 0;
	o->held_until = sq_worker_now_ms(o->cfg.shard->worker) + REST_MS;
}

static void
ended_unsure(struct sq_outward *o, const struct sq_out_item *it, const struct sq_offer_end *end)
{
	bool again = end->how == SQ_OFFER_LATER || end->how == SQ_OFFER_FAILED;

	if (again ? end->uncertain : it->offered.again)
		sq_out_set_unsure(o, it->seq, again);
}

void
sq_out_ended(struct sq_outward *o, struct sq_out_item *it, const struct sq_offer_end *end)
{
	struct sq_taker_outcome outcome = {.seq = it->seq};
	bool ours = o->joined && it->epoch == o->epoch;

	SQ_FAULT_IF(end->how == SQ_OFFER_ACCEPTED, "broker-bridge-accepted");
	ended_count(o, end);
	ended_rest(o, end->how);
	switch (end->how) {
	case SQ_OFFER_ACCEPTED:
		outcome.how = SQ_DISPATCH_OK;
		break;
	case SQ_OFFER_LATER:
		outcome.how = SQ_DISPATCH_LATER;
		outcome.delay_ms = end->after_ms;
		break;
	case SQ_OFFER_FAILED:
		outcome.how = SQ_DISPATCH_FAILED;
		outcome.delay_ms = end->after_ms;
		break;
	case SQ_OFFER_NEVER:
		outcome.how = SQ_DISPATCH_NEVER;
		outcome.why = ended_why(end->never);
		break;
	}
	if (ours) {
		ended_unsure(o, it, end);
		sq_out_settle(o, &outcome,
		    end->how == SQ_OFFER_ACCEPTED || end->how == SQ_OFFER_LATER ? NULL : end->why);
	}
	sq_out_item_over(o, it);
	sq_out_later(o);
}
