#include "broker/push/rate.h"

enum { FULL_MS = 200 };

static uint64_t
rate_full(const struct sq_rate *r)
{
	uint64_t most = (uint64_t)r->n * FULL_MS;

	return most > r->per_ms ? most : r->per_ms;
}

void
sq_rate_set(struct sq_rate *r, uint32_t n, uint32_t per_ms, uint64_t now_ms)
{
	if (r->n == n && r->per_ms == per_ms)
		return;
	*r = (struct sq_rate){.n = n, .per_ms = per_ms, .at_ms = now_ms};
	r->credit = rate_full(r);
}

uint32_t
sq_rate_may(struct sq_rate *r, uint64_t now_ms)
{
	uint64_t full = rate_full(r), since = now_ms > r->at_ms ? now_ms - r->at_ms : 0;

	if (r->n == 0)
		return UINT32_MAX;
	r->at_ms = now_ms > r->at_ms ? now_ms : r->at_ms;
	/* Of a long time no more than fills it, so that nothing overflows. */
	if (since > full / r->n)
		since = full / r->n + 1;
	r->credit += since * r->n;
	if (r->credit > full)
		r->credit = full;
	return (uint32_t)(r->credit / r->per_ms);
}

void
sq_rate_take(struct sq_rate *r)
{
	if (r->n != 0)
		r->credit -= r->credit < r->per_ms ? r->credit : r->per_ms;
}

uint64_t
sq_rate_next_ms(const struct sq_rate *r)
{
	if (r->n == 0 || r->credit >= r->per_ms)
		return r->at_ms;
	return r->at_ms + (r->per_ms - r->credit + r->n - 1) / r->n;
}
