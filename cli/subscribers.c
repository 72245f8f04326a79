/* The verbs of subscribers over HTTP: queues set, push test; and request. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/api/publish.h"
#include "cli/api/queues.h"
#include "cli/asks.h"
#include "cli/print.h"
#include "cli/view/safe.h"

enum { REQUEST_TIMEOUT_S = 5, REQUEST_TIMEOUT_MAX_S = 3600 };

/* ---- queues set ---- */

struct set {
	const struct sq_run *run;
	json_t *patch;
};

static int
set_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	const struct set *s = arg;
	bool json = sq_option_given(s->run->options, SQ_OPTION_JSON);
	long status;
	int rc = sq_api_queue(
	    api, "PATCH", s->run->operand, "", s->patch, &status, json ? out : NULL, err);

	if (rc == SQ_OK && !json) {
		sq_buf_printf(out, "changed queue ");
		sq_safe(out, s->run->operand, strlen(s->run->operand));
		sq_buf_u8(out, '\n');
	}
	return rc;
}

int
sq_run_set(const struct sq_run *r)
{
	struct set s = {r, json_object()};
	struct sq_buf err = {0};
	int code = SQ_EXIT_USAGE;
	size_t i = 0;

	while (i < r->n_more && sq_api_queue_set(s.patch, r->more[i], &err) == SQ_OK)
		i++;
	if (i < r->n_more)
		sq_say_usage_of(&err);
	else if (r->n_more == 0)
		sq_say_usage("missing: SETTING=VALUE, as max-attempts=5", "");
	else
		code = sq_asks_run(r, set_ask, &s);
	sq_buf_fini(&err);
	json_decref(s.patch);
	return code;
}

/* ---- push test ---- */

struct test {
	const struct sq_run *run;
	bool taken;
};

static void
test_text(struct sq_buf *out, const char *before, const json_t *value)
{
	if (json_string_length(value) == 0)
		return;
	sq_buf_printf(out, "%s", before);
	sq_safe(out, json_string_value(value), json_string_length(value));
}

/* "taken: status 204, 3.204ms, text/plain", or why not. */
static void
test_say(const json_t *said, bool taken, struct sq_buf *out)
{
	const json_t *status = json_object_get(said, "status");
	const char *why = json_string_value(json_object_get(said, "why"));
	char same[32]; /* a reason that says the status alone */

	if (json_is_integer(status))
		sq_buf_printf(out, "%s: status %lld", taken ? "taken" : "not taken",
		    (long long)json_integer_value(status));
	else
		sq_buf_printf(out, "no answer");
	test_text(out, ", ", json_object_get(said, "took"));
	test_text(out, ", ", json_object_get(said, "type"));
	snprintf(same, sizeof same, "status %lld", (long long)json_integer_value(status));
	if (why != NULL && strcmp(why, same) != 0)
		test_text(out, ": ", json_object_get(said, "why"));
	sq_buf_u8(out, '\n');
}

static int
test_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	struct test *t = arg;
	struct sq_buf answer = {0};
	json_t *said = NULL;
	long status;
	int rc = sq_api_queue(api, "POST", t->run->operand, "/test", NULL, &status, &answer, err);

	if (rc == SQ_OK) {
		said = json_loadb((char *)sq_buf_data(&answer), sq_buf_len(&answer), 0, NULL);
		t->taken = json_is_true(json_object_get(said, "taken"));
		if (sq_option_given(t->run->options, SQ_OPTION_JSON))
			sq_buf_append(out, sq_buf_data(&answer), sq_buf_len(&answer));
		else
			test_say(said, t->taken, out);
	}
	json_decref(said);
	sq_buf_fini(&answer);
	return rc;
}

int
sq_run_push_test(const struct sq_run *r)
{
	struct test t = {r, false};
	int code = sq_asks_run(r, test_ask, &t);

	return code == SQ_EXIT_GOOD && !t.taken ? SQ_EXIT_ERROR : code;
}

/* ---- request ---- */

/* The reply as it is; on a terminal without what would move it. */
static int
request_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	struct sq_buf reply = {0};
	bool unmatched;
	int rc = sq_api_publish(api, arg, &unmatched, &reply, err);

	if (isatty(STDOUT_FILENO)) {
		sq_safe(out, (char *)sq_buf_data(&reply), sq_buf_len(&reply));
		sq_buf_append(out, "\n", sq_buf_len(&reply) > 0);
	} else {
		sq_buf_append(out, sq_buf_data(&reply), sq_buf_len(&reply));
	}
	sq_buf_fini(&reply);
	return rc;
}

int
sq_run_request(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	struct sq_api_publish ask = {
	    .topic = r->operand,
	    .message = o->value[SQ_OPTION_MESSAGE],
	    .qos = o->value[SQ_OPTION_WITH_QOS],
	    .key = o->value[SQ_OPTION_KEY],
	    .ttl = o->value[SQ_OPTION_TTL],
	    .order_key = o->value[SQ_OPTION_ORDER_KEY],
	    .content_type = o->value[SQ_OPTION_TYPE],
	    .timeout_s = REQUEST_TIMEOUT_S,
	};
	int code = SQ_EXIT_USAGE;

	if (ask.message != NULL && sq_option_given(o, SQ_OPTION_STDIN))
		sq_say_usage("--message and --stdin exclude each other", "");
	else if (ask.message == NULL && !sq_option_given(o, SQ_OPTION_STDIN))
		sq_say_usage("--message or --stdin is missing", "");
	else if (sq_option_number(o, SQ_OPTION_TIMEOUT, 1, REQUEST_TIMEOUT_MAX_S, &ask.timeout_s) &&
	    sq_asks_properties(o, &ask))
		code = sq_asks_run(r, request_ask, &ask);
	sq_asks_properties_fini(&ask);
	return code;
}
