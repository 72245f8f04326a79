#include "cli/api/bridges.h"

#include <jansson.h>
#include <stdlib.h>

#include "cli/api/shown.h"
#include "core/percent.h"

/* Asks for "/v1/bridges/BRIDGE" and 'rest' behind it; bridge NULL: "/v1/bridges". */
static int
bridges_ask(struct sq_api *api, const char *method, const char *bridge, const char *rest,
    struct sq_api_answer *got, struct sq_buf *err)
{
	struct sq_api_request r = {.method = method};
	struct sq_buf path = {0};
	int rc;

	sq_buf_printf(&path, "/v1/bridges%s", bridge != NULL ? "/" : "");
	if (bridge != NULL)
		sq_percent_put(&path, bridge);
	sq_buf_printf(&path, "%s%c", rest, 0);
	r.path = (char *)sq_buf_data(&path);
	rc = sq_api_ask(api, &r, got, err);
	sq_buf_fini(&path);
	return rc;
}

static int
bridges_strange(struct sq_buf *err)
{
	sq_buf_printf(err, "the answer has no bridges; is it a broker's HTTP API?");
	return SQ_EINVAL;
}

static void
list_print(const json_t *all, struct sq_buf *out)
{
	static const struct sq_shown_column columns[] = {{"NAME", "name", false},
	    {"SPACE", "space", false}, {"KIND", "kind", false}, {"PAUSED", "paused", false},
	    {"OUT", "out.up", false}, {"IN FLIGHT", "out.inFlight", true},
	    {"SENT", "out.messages.ok", true}, {"FAILED", "out.messages.failed", true},
	    {"IN", "in.up", false}, {"CAME", "in.messages.ok", true}, {"OUT WHY", "out.why", false},
	    {"IN WHY", "in.why", false}};

	sq_shown_list(all, columns, sizeof columns / sizeof columns[0], out);
}

int
sq_api_bridges_list(struct sq_api *api, bool json, struct sq_buf *out, struct sq_buf *err)
{
	struct sq_api_answer got;
	json_t *answer = NULL, *all;
	int rc = bridges_ask(api, "GET", NULL, "", &got, err);
	char *text;

	if (rc != SQ_OK)
		return rc;
	answer = sq_shown_parse(got.body);
	all = json_object_get(answer, "bridges");
	if (!json_is_array(all)) {
		rc = bridges_strange(err);
	} else if (json) {
		text = json_dumps(all, JSON_INDENT(1));
		sq_buf_printf(out, "%s\n", text);
		free(text);
	} else {
		list_print(all, out);
	}
	json_decref(answer);
	return rc;
}

int
sq_api_bridges_show(
    struct sq_api *api, const char *bridge, bool json, struct sq_buf *out, struct sq_buf *err)
{
	struct sq_api_answer got;
	json_t *shown = NULL;
	int rc = bridges_ask(api, "GET", bridge, "", &got, err);

	if (rc == SQ_OK && json) {
		sq_buf_append(out, got.body.p, got.body.len);
	} else if (rc == SQ_OK) {
		shown = sq_shown_parse(got.body);
		if (json_is_object(shown))
			sq_shown_object(shown, out);
		else
			rc = bridges_strange(err);
	}
	json_decref(shown);
	return rc;
}

int
sq_api_bridges_order(struct sq_api *api, const char *bridge, const char *what, struct sq_buf *err)
{
	struct sq_api_answer got;
	struct sq_buf rest = {0};
	int rc;

	sq_buf_printf(&rest, "/%s%c", what, 0);
	rc = bridges_ask(api, "POST", bridge, (char *)sq_buf_data(&rest), &got, err);
	sq_buf_fini(&rest);
	return rc;
}
