/* Refused publishes whose client cannot be told; see refused.h. */
#include "sidecar/hold/refused.h"
#include "proto/link/retry.h"
#include "proto/mqtt/reason.h"

#include "sidecar/hold/refusals.h"
#include "sidecar/hold/hold_priv.h"

bool
sq_hold_hears(const struct sq_hold *hold, const struct sq_lane_outcome *o)
{
	return o->qos > 0 && (hold->version == SQ_MQTT_V5 || o->kind != SQ_ENTRY_MESSAGE);
}

void
sq_hold_publish_refused(struct sq_hold *hold, const struct sq_lane_outcome *o)
{
	bool waits = sq_hold_has_client(hold) && o->image_qos > 0 && !sq_hold_hears(hold, o) &&
	    sq_retry_passes(o->reason);
	struct sq_refusal_seen r = {.client = hold->client_id,
	    .what = "publish",
	    .then = !waits   ? NULL
		: o->qos > 0 ? "which MQTT 3.1.1 can't be told (it waits, and every "
			       "acknowledgement behind it)"
			     : "which nobody hears of (it waits, and all that follows it)",
	    .code = o->reason,
	    .refusal = o->refusal,
	    .text = o->text};

	if (o->own) /* its refusal has been logged already */
		return;
	if (hold->up.retry_ms == 0) /* a message that is tried again counts once */
		sq_holds_count(hold->holds, SQ_M_REFUSED_BROKER, 1);
	sq_refusals_note(hold->holds, &hold->up.refusals, &r);
}

/* Whether nothing has gone on for session.refused-max while messages of this client were
 * refused; then its connection has been ended. */
static bool
refused_for_long(struct sq_hold *hold, const struct sq_lane_outcome *o, uint64_t now_ms)
{
	uint64_t most_ms = hold->holds->cfg->refused_max_ms;

	if (hold->up.refused_ms == 0)
		hold->up.refused_ms = now_ms;
	if (most_ms == 0 || now_ms - hold->up.refused_ms < most_ms)
		return false;
	sq_holds_count(hold->holds, SQ_M_CLOSED_REFUSED, 1);
	sq_refusals_closed(hold->holds, hold->client_id, o->text);
	sq_hold_tell_ended(hold, SQ_HOLD_END_STUCK, o->text);
	return true;
}

bool
sq_hold_park_refused(
    struct sq_hold *hold, struct sq_lane_out *l, const struct sq_lane_outcome *o, uint64_t now_ms)
{
	if (!sq_retry_passes(o->reason)) {
		if (o->qos > 0)
			sq_hold_tell_ended(hold, SQ_HOLD_END_UNTOLD, o->text);
		return false;
	}
	if (refused_for_long(hold, o, now_ms))
		return false;
	sq_lane_out_hold(l);
	hold->up.retry_ms = sq_retry_next_ms(hold->up.retry_ms);
	sq_hold_retry_at(hold, now_ms + hold->up.retry_ms);
	sq_hold_wake(hold);
	return true;
}

void
sq_hold_refused_over(struct sq_hold *hold)
{
	hold->up.retry_ms = 0;
	hold->up.refused_ms = 0;
}

void
sq_hold_refused_anew(struct sq_hold *hold)
{
	hold->up.refused_ms = 0;
}

void
sq_hold_accepted(struct sq_hold *hold, const struct sq_outcomes *o)
{
	for (unsigned i = 0; i < o->n; i++) {
		if (!sq_mqtt_reason_failed(o->codes[i]))
			hold->up.refused_ms = 0;
	}
}

void
sq_hold_settled(struct sq_hold *hold, const struct sq_inbox_flight *f)
{
	struct sq_settlements body;

	if (sq_settlements_decode(sq_buf_data(&f->body), sq_buf_len(&f->body), &body) == 0 &&
	    body.entries.len > 0)
		hold->up.refused_ms = 0;
}
