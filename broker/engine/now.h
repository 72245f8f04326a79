/* The workers' clock, on every thread. core/wallclock.h converts its times into stored ones. */
#ifndef SQ_BROKER_ENGINE_NOW_H
#define SQ_BROKER_ENGINE_NOW_H

#include "core/clock.h"
#include "web/worker.h"

/* The present time in ms.  Thread: any. */
static inline uint64_t
sq_engine_now_ms(void)
{
	return sq_worker_self() != NULL ? sq_worker_now_ms(sq_worker_self()) : sq_clock_ms();
}

#endif
