/* The clocks of the shells; pure modules get the time as an argument. */
#ifndef SQ_CORE_CLOCK_H
#define SQ_CORE_CLOCK_H

#include <stdint.h>

uint64_t sq_clock_ms(void); /* CLOCK_MONOTONIC */
uint64_t sq_clock_us(void); /* CLOCK_MONOTONIC */
/* CLOCK_REALTIME since 1970, for what outlives the process; it may jump. */
uint64_t sq_clock_wall_ms(void);
/* Seconds on that clock until 'end_s' since 1970, negative behind it.  0 stays 0: there is no end. */
int64_t sq_clock_left_s(int64_t end_s);
/* Random 64 bits from the kernel, never 0: runs, instances, incarnations. */
uint64_t sq_random_u64(void);

#endif
