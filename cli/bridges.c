/* The verbs of bridges over HTTP: bridges ls, show, pause, resume. */
#include <string.h>

#include "cli/api/bridges.h"
#include "cli/asks.h"
#include "cli/view/safe.h"

static int
bridges_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	const struct sq_run *r = arg;
	const char *verb = r->verb->verb;
	bool json = sq_option_given(r->options, SQ_OPTION_JSON);
	int rc;

	if (strcmp(verb, "ls") == 0)
		return sq_api_bridges_list(api, json, out, err);
	if (strcmp(verb, "show") == 0)
		return sq_api_bridges_show(api, r->operand, json, out, err);
	rc = sq_api_bridges_order(api, r->operand, verb, err);
	if (rc == SQ_OK) {
		sq_buf_printf(out, "%sd bridge ", verb);
		sq_safe(out, r->operand, strlen(r->operand));
		sq_buf_u8(out, '\n');
	}
	return rc;
}

int
sq_run_bridges(const struct sq_run *r)
{
	return sq_asks_run(r, bridges_ask, (void *)r);
}
