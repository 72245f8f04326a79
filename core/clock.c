/* Clocks and randomness of the kernel. */
#include "core/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

uint64_t
sq_clock_us(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
		abort(); /* only on a wrong argument */
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t
sq_clock_ms(void)
{
	return sq_clock_us() / 1000u;
}

uint64_t
sq_clock_wall_us(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		abort(); /* only on a wrong argument */
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t
sq_clock_wall_ms(void)
{
	return sq_clock_wall_us() / 1000u;
}

int64_t
sq_clock_left_s(int64_t end_s)
{
	return end_s != 0 ? end_s - (int64_t)(sq_clock_wall_ms() / 1000) : 0;
}

uint64_t
sq_random_u64(void)
{
	uint64_t v = 0;

	while (v == 0) {
		ssize_t n = getrandom(&v, sizeof v, 0);

		if (n < 0 && errno != EINTR)
			abort(); /* without it no id is unique and no key secret */
		if (n != (ssize_t)sizeof v)
			v = 0;
	}
	return v;
}
