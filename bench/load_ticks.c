/* What happens in a run, told as it happens: for what is done to the brokers meanwhile. */
#include "bench/load.h"

#include <inttypes.h>
#include <stdio.h>

static const uint64_t MS = 1000000;

void
sq_load_tick_acked(struct sq_load *l, uint64_t stamp)
{
	l->tick.acked++;
	if (l->now > stamp && l->now - stamp > l->tick.longest)
		l->tick.longest = l->now - stamp;
}

/* Since when the oldest message is due that is not acknowledged; now: there is none. */
static uint64_t
tick_oldest(const struct sq_load *l)
{
	uint64_t oldest = l->now, due;

	for (unsigned i = 0; i < l->o.publishers; i++) {
		const struct sq_load_pub *p = &l->pub[i];

		for (uint32_t k = 0; k < p->nslots && p->unacked > 0; k++)
			if (p->slot[k].waits_for != 0 && p->slot[k].stamp < oldest)
				oldest = p->slot[k].stamp;
		due = p->due > 0 ? sq_load_pub_time(l, i, p->sent) : l->now;
		if (due < oldest)
			oldest = due;
	}
	return oldest;
}

void
sq_load_tick(struct sq_load *l)
{
	if (l->o.tick_ms == 0 || l->now < l->tick.due || l->phase < SQ_LOAD_WARMUP ||
	    l->phase > SQ_LOAD_DRAIN)
		return;
	printf("{\"at\": %.6f, \"acked\": %" PRIu64 ", \"longest\": %.6f, \"oldest\": %.6f}\n",
	    (double)l->now / 1e9, l->tick.acked, (double)l->tick.longest / 1e9,
	    (double)(l->now - tick_oldest(l)) / 1e9);
	fflush(stdout);
	l->tick = (struct sq_load_tick){.due = l->now + l->o.tick_ms * MS};
}
