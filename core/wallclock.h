/* Conversion of times between a monotonic clock and the wall clock, for stored times, which outlive
 * the process.  The wall clock may be set while it runs, so a conversion uses the present time of
 * both clocks. */
#ifndef SQ_CORE_WALLCLOCK_H
#define SQ_CORE_WALLCLOCK_H

#include "core/clock.h"

/* Milliseconds by which the wall clock is ahead of a monotonic clock that shows 'now_ms'. */
static inline int64_t
sq_wallclock_ahead(uint64_t now_ms)
{
	return (int64_t)(sq_clock_wall_ms() - now_ms);
}

/* The time 'ms' of a clock that shows 'now_ms', on a clock that shows 'other_ms'. */
static inline uint64_t
sq_wallclock_move(uint64_t ms, uint64_t now_ms, uint64_t other_ms)
{
	if (ms == 0)
		return 0;
	if (ms >= now_ms)
		return ms - now_ms > UINT64_MAX - other_ms ? UINT64_MAX : other_ms + (ms - now_ms);
	return now_ms - ms < other_ms ? other_ms - (now_ms - ms) : 1;
}

/* The wall-clock time of 'ms' on a monotonic clock that shows 'now_ms'.  0 stays 0: never, and
 * nothing else becomes it. */
static inline uint64_t
sq_wallclock_from_mono(uint64_t ms, uint64_t now_ms)
{
	return ms != 0 ? sq_wallclock_move(ms, now_ms, sq_clock_wall_ms()) : 0;
}

/* The time on the monotonic clock of a wall-clock time.  0 stays 0. */
static inline uint64_t
sq_wallclock_to_mono(uint64_t wall_ms, uint64_t now_ms)
{
	return wall_ms != 0 ? sq_wallclock_move(wall_ms, sq_clock_wall_ms(), now_ms) : 0;
}

#endif
