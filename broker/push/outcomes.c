#include "broker/push/outcomes.h"

uint64_t
sq_push_retry_ms(const struct sq_dispatch_retry *retry, uint32_t attempt, uint64_t random)
{
	uint64_t ms = retry->first_ms, most = retry->max_ms > 0 ? retry->max_ms : UINT64_MAX;
	unsigned factor = retry->factor > 0 ? retry->factor : 1;

	if (ms == 0)
		return 0;
	for (uint32_t i = 1; i < attempt && factor > 1 && ms < most; i++)
		ms = ms > most / factor ? most : ms * factor;
	if (ms > most)
		ms = most;
	if (retry->jitter)
		ms -= random % (ms / 2 + 1);
	return ms > 0 ? ms : 1;
}

/* What becomes of a message that has failed. */
static struct sq_taker_outcome
outcome_failed(const struct sq_push_ended *in, const struct sq_taken *t)
{
	const struct sq_declared_push *push = in->push;
	struct sq_taker_outcome o = {.seq = t->seq, .how = SQ_DISPATCH_FAILED};
	bool old = push->for_ms > 0 && t->arrived_ms > 0 && in->now_ms > t->arrived_ms &&
	    in->now_ms - t->arrived_ms >= push->for_ms;

	o.delay_ms = sq_push_retry_ms(&push->retry, t->attempt, in->random ^ t->seq);
	o.last = old || (push->attempts > 0 && t->attempt >= push->attempts);
	o.more = push->attempts > 0 && !o.last;
	o.detail = in->judged->detail;
	return o;
}

/* Whether an earlier message of the same lane has failed. */
static bool
outcome_behind(const struct sq_push_ended *in, const struct sq_taker_outcome *out, size_t i)
{
	if (!in->lanes)
		return false;
	for (size_t j = 0; j < i; j++) {
		if (out[j].how == SQ_DISPATCH_FAILED && in->taken[j].lane == in->taken[i].lane)
			return true;
	}
	return false;
}

static enum sq_dispatch_outcome
outcome_of(const struct sq_push_ended *in, size_t i)
{
	switch (in->judged->verdict) {
	case SQ_PUSH_OK:
		return SQ_DISPATCH_OK;
	case SQ_PUSH_PARTLY:
		return in->failed[i] ? SQ_DISPATCH_FAILED : SQ_DISPATCH_OK;
	case SQ_PUSH_FAILED:
		return SQ_DISPATCH_FAILED;
	case SQ_PUSH_NEVER:
		return SQ_DISPATCH_NEVER;
	case SQ_PUSH_LATER:
	case SQ_PUSH_PAUSE:
		return SQ_DISPATCH_LATER;
	}
	return SQ_DISPATCH_LATER;
}

void
sq_push_outcomes(const struct sq_push_ended *in, struct sq_taker_outcome *out)
{
	bool some = false; /* have failed */

	for (size_t i = 0; i < in->n; i++) {
		enum sq_dispatch_outcome how = outcome_of(in, i);

		out[i] = (struct sq_taker_outcome){.seq = in->taken[i].seq,
		    .how = how,
		    .why = in->judged->why,
		    .detail = in->judged->detail};
		if (some && outcome_behind(in, out, i))
			out[i].how = SQ_DISPATCH_LATER;
		else if (how == SQ_DISPATCH_FAILED)
			out[i] = outcome_failed(in, &in->taken[i]);
		some = some || out[i].how == SQ_DISPATCH_FAILED;
	}
}
