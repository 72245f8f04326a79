/* See broker/auth/identity/reason.h. */
#include "broker/auth/identity/reason.h"

#include <assert.h>

static const struct {
	const char *name;
	unsigned status;
	const char *text;
} reasons[] = {
#define ROW(symbol, name, status, text) [SQ_AUTH_##symbol] = {name, status, text},
    SQ_AUTH_REASONS(ROW)
#undef ROW
};

const char *
sq_auth_reason_name(enum sq_auth_reason r)
{
	assert(r < SQ_AUTH_REASON_COUNT);
	return reasons[r].name;
}

const char *
sq_auth_reason_text(enum sq_auth_reason r)
{
	assert(r < SQ_AUTH_REASON_COUNT);
	return reasons[r].text;
}

unsigned
sq_auth_reason_status(enum sq_auth_reason r)
{
	assert(r < SQ_AUTH_REASON_COUNT);
	return reasons[r].status;
}
