/* The verbs that go on: top and tail. */
#include <string.h>

#include "cli/endpoint.h"
#include "cli/live/tail.h"
#include "cli/live/top.h"
#include "cli/print.h"
#include "cli/verbs.h"

enum {
	LIVE_INTERVAL_S = 2,
	LIVE_INTERVAL_MAX_S = 3600,
	LIVE_COUNT_MAX = 1000000000,
	LIVE_QUEUES_MAX = 10000,
};

static bool
top_by(const struct sq_options *o, struct sq_top_ask *ask)
{
	const char *by = o->value[SQ_OPTION_BY];

	ask->by_change = by != NULL && strcmp(by, "change") == 0;
	return by == NULL || ask->by_change || strcmp(by, "depth") == 0 ||
	    sq_say_usage("--by is depth or change, not ", by);
}

int
sq_run_top(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	uint64_t interval_s = LIVE_INTERVAL_S, count = 0, queues = 0;
	struct sq_top_ask ask = {
	    .space = o->value[SQ_OPTION_SPACE],
	    .json = sq_option_given(o, SQ_OPTION_JSON),
	};
	struct sq_buf out = {0}, err = {0};
	struct sq_tables tables;
	struct sq_remote *remote;
	int rc;

	if (!sq_option_number(o, SQ_OPTION_INTERVAL, 1, LIVE_INTERVAL_MAX_S, &interval_s) ||
	    !sq_option_number(o, SQ_OPTION_MESSAGES, 1, LIVE_COUNT_MAX, &count) ||
	    !sq_option_number(o, SQ_OPTION_LIMIT, 1, LIVE_QUEUES_MAX, &queues) || !top_by(o, &ask))
		return SQ_EXIT_USAGE;
	ask.interval_ms = interval_s * 1000;
	ask.count = count;
	ask.queues = queues;
	remote = sq_endpoint_open(o, &tables, &rc, &err);
	if (remote == NULL)
		return sq_print(&out, &err, rc, SQ_EXIT_ERROR);
	rc = sq_top(&tables, &ask, &err);
	sq_remote_close(&remote);
	return sq_print(&out, &err, rc == 0 ? SQ_EXIT_GOOD : SQ_EXIT_ERROR, SQ_EXIT_ERROR);
}

int
sq_run_tail(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	uint64_t count = 0;
	struct sq_tail_ask ask = {
	    .filter = r->operand,
	    .space = o->value[SQ_OPTION_SPACE],
	    .payloads = sq_option_given(o, SQ_OPTION_PAYLOAD),
	    .json = sq_option_given(o, SQ_OPTION_JSON),
	};
	struct sq_buf out = {0}, err = {0};
	struct sq_tables tables;
	struct sq_remote *remote;
	int rc;

	if (!sq_option_number(o, SQ_OPTION_MESSAGES, 1, LIVE_COUNT_MAX, &count))
		return SQ_EXIT_USAGE;
	ask.count = count;
	if (!sq_tail_good(&ask, &err)) {
		sq_say_usage_of(&err);
		return SQ_EXIT_USAGE;
	}
	remote = sq_endpoint_open(o, &tables, &rc, &err);
	if (remote == NULL)
		return sq_print(&out, &err, rc, SQ_EXIT_ERROR);
	rc = sq_tail(remote, &ask, &err);
	sq_remote_close(&remote);
	return sq_print(&out, &err, rc == 0 ? SQ_EXIT_GOOD : SQ_EXIT_ERROR, SQ_EXIT_ERROR);
}
