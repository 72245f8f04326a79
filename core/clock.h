/* The clocks of the programs.  Pure modules have none: the time is an argument of theirs.
 * Thread: any. */
#ifndef SQ_CORE_CLOCK_H
#define SQ_CORE_CLOCK_H

#include <stdint.h>

uint64_t sq_clock_ms(void); /* CLOCK_MONOTONIC */
uint64_t sq_clock_us(void); /* CLOCK_MONOTONIC */
/* CLOCK_REALTIME since 1970, for times that outlive the process; the clock may jump. */
uint64_t sq_clock_wall_ms(void);
uint64_t sq_clock_wall_us(void); /* the same clock */
/* Seconds on CLOCK_REALTIME until 'end_s' (since 1970), negative after it.  0 stays 0: no end. */
int64_t sq_clock_left_s(int64_t end_s);
/* Random 64 bits from the kernel, never 0: runs, instances, incarnations. */
uint64_t sq_random_u64(void);

#endif
