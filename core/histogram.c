#include "core/histogram.h"

static _Atomic unsigned lanes_given;
static _Thread_local unsigned lane_own; /* its number + 1; 0: none yet */

unsigned
sq_histogram_lane(void)
{
	if (lane_own == 0)
		lane_own = 1 +
		    atomic_fetch_add_explicit(&lanes_given, 1, memory_order_relaxed) %
			SQ_HISTOGRAM_LANES;
	return lane_own - 1;
}
