#include "broker/engine/item.h"

const char *
sq_death_name(enum sq_death why)
{
	static const char *const names[] = {
	    [SQ_DEAD_EXPIRED] = "expired",
	    [SQ_DEAD_ATTEMPTS] = "attempts",
	    [SQ_DEAD_REJECTED] = "rejected",
	    [SQ_DEAD_UNFINISHED] = "unfinished",
	    [SQ_DEAD_OVERFLOW] = "overflow",
	    [SQ_DEAD_ABANDONED] = "abandoned",
	};

	return names[why];
}
