#include "broker/front/link/status.h"

#include "broker/front/link/body.h"

/* Of a session for which there is no room, on a link of version 1. */
static unsigned
status_full_untold(enum sq_full full)
{
	return sq_verdict_row(full == SQ_FULL_STORE ? SQ_VERDICT_NO_STORE : SQ_VERDICT_BUSY)->http;
}

unsigned
sq_status_of(const struct sq_call *c, unsigned version)
{
	if (c->verdict == SQ_VERDICT_OK)
		return sq_body_answers(c) ? 200 : 204;
	if (c->verdict == SQ_VERDICT_FULL && version < 2)
		return status_full_untold(c->full);
	return sq_verdict_row(c->verdict)->http;
}

enum sq_conflict
sq_status_conflict(enum sq_verdict v)
{
	switch (v) {
	case SQ_VERDICT_EPOCH:
		return SQ_CONFLICT_EPOCH;
	case SQ_VERDICT_RUN:
		return SQ_CONFLICT_RUN;
	case SQ_VERDICT_GAP:
		return SQ_CONFLICT_GAP;
	case SQ_VERDICT_SUPERSEDED:
		return SQ_CONFLICT_SUPERSEDED;
	default:
		return SQ_CONFLICT_NONE;
	}
}
