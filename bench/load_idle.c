/* Clients that connect and then do nothing: what does each of them cost? */
#include "bench/load.h"

#include <stdio.h>
#include <sys/epoll.h>

static const uint64_t SETTLE = 500000000;

/* Turns until 'end' (0: for ever) or a signal. */
static bool
idle_pass(struct sq_load *l, uint64_t end)
{
	while (!sq_load_interrupted() && (end == 0 || l->now < end))
		if (!sq_load_turn(l))
			return false;
	return true;
}

int
sq_load_idle_run(struct sq_load *l)
{
	double hold = l->o.hold_s;

	sq_load_pids_before(l);
	while (l->phase == SQ_LOAD_SETUP)
		if (!sq_load_step(l) || !sq_load_turn(l))
			return 3;
	if (!idle_pass(l, l->now + SETTLE))
		return 3;
	sq_load_pids_after(l);
	sq_load_report_idle(l);
	if (!idle_pass(l, hold < 0 ? 0 : l->now + (uint64_t)(hold * 1e9) + 1))
		return 3;
	return 0;
}
