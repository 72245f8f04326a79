/* Times of the workers' clock in records: as wall-clock, which outlives the process. */
#ifndef SQ_BROKER_WALL_H
#define SQ_BROKER_WALL_H

#include "broker/worker.h"
#include "core/clock.h"

/* From the workers' clock, which shows 'now_ms', and back; 0 stays 0: never. */
static inline uint64_t
sq_own_to_wall(uint64_t ms, uint64_t now_ms)
{
	return ms == 0 ? 0 : sq_clock_wall_ms() + (ms > now_ms ? ms - now_ms : 0);
}

static inline uint64_t
sq_own_from_wall(uint64_t wall_ms, uint64_t now_ms)
{
	uint64_t now_wall_ms = sq_clock_wall_ms();

	if (wall_ms == 0)
		return 0;
	return now_ms + (wall_ms > now_wall_ms ? wall_ms - now_wall_ms : 0);
}

/* The workers' clock, also where no worker runs yet. */
static inline uint64_t
sq_own_now_ms(void)
{
	return sq_worker_self() != NULL ? sq_worker_now_ms(sq_worker_self()) : sq_clock_ms();
}

#endif
