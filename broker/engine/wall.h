/* The workers' clock, also where no worker runs; core/wallclock.h brings it into records. */
#ifndef SQ_BROKER_ENGINE_WALL_H
#define SQ_BROKER_ENGINE_WALL_H

#include "web/worker.h"
#include "core/wallclock.h"

static inline uint64_t
sq_own_now_ms(void)
{
	return sq_worker_self() != NULL ? sq_worker_now_ms(sq_worker_self()) : sq_clock_ms();
}

#endif
