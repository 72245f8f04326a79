#include "proto/topic/sys_value.h"

#include <stdio.h>
#include <string.h>

const struct sq_sys_told sq_sys_untold = {.changed = true};

bool
sq_sys_filter(struct sq_bytes filter)
{
	return filter.len >= 5 && memcmp(filter.p, "$SYS/", 5) == 0;
}

void
sq_sys_text(char out[SQ_SYS_TEXT_MAX], enum sq_sys_kind kind, int64_t value)
{
	if (kind == SQ_SYS_VERSION)
		snprintf(out, SQ_SYS_TEXT_MAX, "sqmqos version %s", SQ_VERSION);
	else
		snprintf(out, SQ_SYS_TEXT_MAX, kind == SQ_SYS_SECONDS ? "%lld seconds" : "%lld",
		    (long long)value);
}

void
sq_sys_told_one(struct sq_sys_told *t, int64_t now, bool only)
{
	if (only)
		*t = (struct sq_sys_told){.last = now};
	t->changed |= now != t->last;
}

bool
sq_sys_tell_all(struct sq_sys_told *t, int64_t now)
{
	bool due = t->changed || now != t->last;

	*t = (struct sq_sys_told){.last = now};
	return due;
}
