#include "broker/port/verdict.h"

#include <assert.h>

#include "proto/mqtt/reason.h"

#define VERDICT_ROW(symbol, http, mqtt, amqp, retryable, text) \
	[SQ_VERDICT_##symbol] = {#symbol, http, mqtt, retryable, amqp, text},

static const struct sq_verdict_row rows[] = {SQ_VERDICTS(VERDICT_ROW)};

const struct sq_verdict_row *
sq_verdict_row(enum sq_verdict v)
{
	assert(v < SQ_VERDICT_COUNT);
	return &rows[v];
}
