/* The verbs of messages as apps see them: pub and sub. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/api/api.h"
#include "cli/mqtt/pub.h"
#include "cli/mqtt/sub.h"
#include "cli/print.h"
#include "cli/term/interrupt.h"
#include "cli/verbs.h"
#include "core/mem.h"
#include "proto/props/names.h"

enum {
	EXCHANGE_TIMEOUT_MAX_S = 86400,
	EXCHANGE_PUB_TIMEOUT_S = 30,
	EXCHANGE_COUNT_MAX = 1000000000,
};

_Static_assert((int)SQ_OPTION_REPEATED_MAX <= (int)SQ_PUB_PROPERTIES_MAX, "all of them have room");

static const char tag_name[] = SQ_PROP_TAG;

static void
pub_properties_free(struct sq_pub_ask *ask)
{
	for (size_t i = 0; i < ask->n_properties; i++)
		if (ask->properties[i].name != tag_name)
			free((char *)ask->properties[i].name);
}

/* Adds the properties and tags, for pub_properties_free(); false: one is malformed, which has been
 * said. */
static bool
pub_properties(const struct sq_options *o, struct sq_pub_ask *ask)
{
	for (size_t i = 0; i < o->n_repeated; i++) {
		const char *value = o->repeated[i].value, *equals = strchr(value, '=');
		const char *name = tag_name;

		if (o->repeated[i].id == SQ_OPTION_PROPERTY) {
			if (equals == NULL || equals == value)
				return sq_say_usage("--property is NAME=VALUE, not ", value);
			name = sq_xmemdup0(value, (size_t)(equals - value));
			value = equals + 1;
		}
		ask->properties[ask->n_properties].name = name;
		ask->properties[ask->n_properties++].value = value;
	}
	return true;
}

static bool
pub_payload(const struct sq_options *o, struct sq_pub_ask *ask)
{
	unsigned given = sq_option_given(o, SQ_OPTION_MESSAGE) +
	    sq_option_given(o, SQ_OPTION_STDIN) + sq_option_given(o, SQ_OPTION_LINES);

	ask->message = o->value[SQ_OPTION_MESSAGE];
	ask->lines = sq_option_given(o, SQ_OPTION_LINES);
	/* --stdin --lines says the same as --lines. */
	if (given == 1 || (given == 2 && ask->message == NULL))
		return true;
	return sq_say_usage("pub takes one of --message TEXT, --stdin and --lines", "");
}

/* Publishes what has been read from the options. */
static int
pub_run(const struct sq_pub_ask *ask)
{
	struct sq_buf out = {0}, err = {0};
	int rc;

	if (!sq_pub_good(ask, &err)) {
		sq_say_usage_of(&err);
		return SQ_EXIT_USAGE;
	}
	sq_interrupt_watch();
	rc = sq_pub(ask, &err);
	return sq_print(&out, &err, rc == 0 ? SQ_EXIT_GOOD : SQ_EXIT_ERROR, SQ_EXIT_ERROR);
}

/* Whether the URL is of an HTTP API. */
static bool
pub_is_http(const struct sq_options *o)
{
	const char *url = o->value[SQ_OPTION_URL];

	return sq_api_url(url != NULL ? url : getenv("SQMQOS_URL"));
}

/* What MQTT has other words for; false: it has been said. */
static bool
pub_mqtt_takes(const struct sq_options *o)
{
	static const enum sq_option_id http[] = {SQ_OPTION_TTL, SQ_OPTION_DELAY,
	    SQ_OPTION_ORDER_KEY, SQ_OPTION_TYPE, SQ_OPTION_JSON, SQ_OPTION_TOKEN, SQ_OPTION_CA,
	    SQ_OPTION_SPACE};
	char what[64];

	for (size_t i = 0; i < SQ_ARRAY_LEN(http); i++) {
		snprintf(what, sizeof what, "--%s", sq_option_table[http[i]].name);
		if (sq_option_given(o, http[i]))
			return sq_say_usage(what, " is for a --url of https");
	}
	return true;
}

int
sq_run_pub(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	uint64_t wait_s = EXCHANGE_PUB_TIMEOUT_S, qos;
	struct sq_pub_ask ask = {
	    .url = o->value[SQ_OPTION_URL],
	    .client_id = o->value[SQ_OPTION_CLIENT],
	    .topic = r->operand,
	    .retain = sq_option_given(o, SQ_OPTION_WITH_RETAIN),
	    .key = o->value[SQ_OPTION_KEY],
	    .receipt = o->value[SQ_OPTION_RECEIPT],
	};
	int code = SQ_EXIT_USAGE;

	qos = ask.key != NULL || ask.receipt != NULL ? 3 : 1;
	if (pub_is_http(o))
		return pub_payload(o, &ask) ? sq_run_pub_http(r) : SQ_EXIT_USAGE;
	if (pub_mqtt_takes(o) && sq_option_number(o, SQ_OPTION_WITH_QOS, 0, 3, &qos) &&
	    sq_option_number(o, SQ_OPTION_TIMEOUT, 1, EXCHANGE_TIMEOUT_MAX_S, &wait_s) &&
	    pub_payload(o, &ask) && pub_properties(o, &ask)) {
		ask.qos = (unsigned)qos;
		ask.wait_ms = wait_s * 1000;
		code = pub_run(&ask);
	}
	pub_properties_free(&ask);
	return code;
}

int
sq_run_sub(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	uint64_t qos = 1, count = 0, wait_s = 0;
	struct sq_sub_ask ask = {
	    .url = o->value[SQ_OPTION_URL],
	    .client_id = o->value[SQ_OPTION_CLIENT],
	    .filter = r->operand,
	    .json = sq_option_given(o, SQ_OPTION_JSON),
	};
	struct sq_buf out = {0}, err = {0};
	int rc;

	if (!sq_option_number(o, SQ_OPTION_WITH_QOS, 0, 2, &qos) ||
	    !sq_option_number(o, SQ_OPTION_MESSAGES, 1, EXCHANGE_COUNT_MAX, &count) ||
	    !sq_option_number(o, SQ_OPTION_TIMEOUT, 1, EXCHANGE_TIMEOUT_MAX_S, &wait_s))
		return SQ_EXIT_USAGE;
	ask.qos = (unsigned)qos;
	ask.count = count;
	ask.wait_ms = wait_s * 1000;
	if (!sq_sub_good(&ask, &err)) {
		sq_say_usage_of(&err);
		return SQ_EXIT_USAGE;
	}
	sq_interrupt_watch();
	rc = sq_sub(&ask, &err);
	return sq_print(&out, &err, rc == 0 ? SQ_EXIT_GOOD : SQ_EXIT_ERROR, SQ_EXIT_ERROR);
}
