/* The workers' clock, also on threads where no worker runs.  core/wallclock.h turns its times into
 * those that are stored. */
#ifndef SQ_BROKER_ENGINE_NOW_H
#define SQ_BROKER_ENGINE_NOW_H

#include "core/clock.h"
#include "web/worker.h"

/* In ms.  Thread: any. */
static inline uint64_t
sq_engine_now_ms(void)
{
	return sq_worker_self() != NULL ? sq_worker_now_ms(sq_worker_self()) : sq_clock_ms();
}

#endif
