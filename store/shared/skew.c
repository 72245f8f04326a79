#include "store/shared/skew.h"

void
sq_skew_see(
    struct sq_skew *s, uint64_t now_ms, uint32_t time_s, uint64_t after_ms, uint64_t before_ms)
{
	int64_t low = (int64_t)time_s * 1000 - (int64_t)before_ms;
	int64_t high = (int64_t)time_s * 1000 + 999 - (int64_t)after_ms;

	if (low > high)
		return; /* this clock was set meanwhile */
	/* Bounds that exclude each other: a clock was set. */
	if (!s->known || now_ms - s->since_ms >= SQ_SKEW_KEEP_MS || low > s->high ||
	    high < s->low) {
		*s = (struct sq_skew){true, low, high, now_ms};
		return;
	}
	s->low = low > s->low ? low : s->low;
	s->high = high < s->high ? high : s->high;
}

int64_t
sq_skew_ms(const struct sq_skew *s, uint64_t now_ms)
{
	if (!s->known || now_ms - s->since_ms >= 2 * SQ_SKEW_KEEP_MS ||
	    (s->low <= 0 && s->high >= 0))
		return 0;
	return s->low > 0 ? s->low : s->high;
}
