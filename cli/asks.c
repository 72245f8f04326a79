/* The verbs of the HTTP API: pub and queues purge with a URL of it, receive, ack and its like, queues
 * declare and its like, subscribers. */
#include "cli/asks.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/api/letters.h"
#include "cli/api/publish.h"
#include "cli/api/queues.h"
#include "cli/api/receive.h"
#include "cli/print.h"
#include "cli/term/interrupt.h"
#include "cli/verbs.h"
#include "cli/view/list.h"
#include "cli/view/safe.h"
#include "core/mem.h"
#include "core/percent.h"
#include "k8s/cli/input.h"
#include "proto/props/names.h"

enum {
	ASKS_RECEIVE_MAX = 1000,
	ASKS_PEEK_MAX = 100,
	ASKS_COUNT_MAX = 1000000000,
	ASKS_WAIT_MS = 20000,
	ASKS_LEASE_MS = 30000, /* of a command */
	ASKS_DURATION_MAX_S = 3650 * 86400,
};

/* ---- what all have ---- */

static int
asks_code(int rc)
{
	return rc == SQ_OK ? SQ_EXIT_GOOD : rc == SQ_ENOTFOUND ? SQ_EXIT_NOT_FOUND : SQ_EXIT_ERROR;
}

static const char *
asks_value(const struct sq_options *o, enum sq_option_id id, const char *variable)
{
	const char *value = o->value[id];

	if (value == NULL)
		value = getenv(variable);
	return value != NULL && *value != '\0' ? value : NULL;
}

/* NULL: 'err' has a line, and '*code' is the exit code. */
static struct sq_api *
asks_open(const struct sq_run *r, int *code, struct sq_buf *err)
{
	const struct sq_options *o = r->options;
	const struct sq_api_where where = {
	    .url = asks_value(o, SQ_OPTION_URL, "SQMQOS_URL"),
	    .token_file = asks_value(o, SQ_OPTION_TOKEN, "SQMQOS_TOKEN_FILE"),
	    .ca_file = asks_value(o, SQ_OPTION_CA, "SQMQOS_CA_FILE"),
	    .space = o->value[SQ_OPTION_SPACE],
	};

	*code = SQ_EXIT_USAGE;
	if (where.url != NULL && sq_api_url(where.url))
		return sq_api_open(&where, err);
	sq_buf_printf(err,
	    "%s%s%s asks a broker's HTTP API: --url or SQMQOS_URL is its address, as "
	    "https://HOST:7443",
	    r->verb->noun, r->verb->verb[0] != '\0' ? " " : "", r->verb->verb);
	if (where.url != NULL) {
		sq_buf_printf(err, ", not ");
		sq_safe(err, where.url, strlen(where.url));
	}
	return NULL;
}

int
sq_asks_run(const struct sq_run *r,
    int (*ask)(struct sq_api *, void *arg, struct sq_buf *out, struct sq_buf *err), void *arg)
{
	struct sq_buf out = {0}, err = {0};
	int code;
	struct sq_api *api = asks_open(r, &code, &err);

	sq_interrupt_watch();
	if (api != NULL)
		code = asks_code(ask(api, arg, &out, &err));
	sq_api_close(&api);
	return sq_print(&out, &err, code, SQ_EXIT_ERROR);
}

/* A duration as docs/http.md has it, or the default; false: it is none, which has been said. */
static bool
asks_duration(const struct sq_options *o, enum sq_option_id id, uint64_t *ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = {
	    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"", 1000}};
	const char *text = o->value[id];
	char *end = NULL, what[64];
	unsigned long long n;

	if (text == NULL)
		return true;
	n = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
	for (size_t i = 0; end != NULL && i < SQ_ARRAY_LEN(units); i++) {
		if (strcmp(end, units[i].unit) != 0 ||
		    n > ASKS_DURATION_MAX_S * UINT64_C(1000) / units[i].ms)
			continue;
		*ms = n * units[i].ms;
		return true;
	}
	snprintf(what, sizeof what, "--%s is a duration as 250ms, 30s, 5m or 24h, not ",
	    sq_option_table[id].name);
	return sq_say_usage(what, text);
}

static void
asks_said(struct sq_buf *out, const char *did, const char *name)
{
	sq_buf_printf(out, "%s ", did);
	sq_safe(out, name, strlen(name));
	sq_buf_u8(out, '\n');
}

/* What a verb of the admin endpoint does not take over HTTP; false: it has been said. */
static bool
asks_without(const struct sq_options *o, enum sq_option_id id, const char *verb)
{
	char what[64];

	snprintf(what, sizeof what, "with --url, %s has no --", verb);
	return !sq_option_given(o, id) || sq_say_usage(what, sq_option_table[id].name);
}

static bool
asks_no_admin(const struct sq_options *o, const char *verb)
{
	static const enum sq_option_id others[] = {SQ_OPTION_ADMIN, SQ_OPTION_KUBE_CONTEXT,
	    SQ_OPTION_KUBE_NAMESPACE, SQ_OPTION_POD, SQ_OPTION_KUBECONFIG};

	for (size_t i = 0; i < SQ_ARRAY_LEN(others); i++)
		if (!asks_without(o, others[i], verb))
			return false;
	return true;
}

/* ---- pub ---- */

static int
pub_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	const struct sq_api_publish *ask = arg;
	bool unmatched = false;
	int rc = sq_api_publish(api, ask, &unmatched, out, err);

	if (rc == SQ_OK && unmatched) {
		sq_buf_printf(
		    err, "taken, but no subscription matches; more says: sqmqos why --topic '");
		sq_safe(err, ask->topic, strlen(ask->topic));
		sq_buf_printf(err, "'");
	}
	return rc;
}

bool
sq_asks_properties(const struct sq_options *o, struct sq_api_publish *ask)
{
	for (size_t i = 0; i < o->n_repeated; i++) {
		const char *value = o->repeated[i].value, *equals = strchr(value, '=');
		bool tag = o->repeated[i].id == SQ_OPTION_TAG;

		if (!tag && (equals == NULL || equals == value))
			return sq_say_usage("--property is NAME=VALUE, not ", value);
		ask->properties[ask->n_properties].name = tag
		    ? sq_xstrdup(SQ_PROP_TAG)
		    : sq_xmemdup0(value, (size_t)(equals - value));
		ask->properties[ask->n_properties++].value = tag ? value : equals + 1;
	}
	return true;
}

void
sq_asks_properties_fini(struct sq_api_publish *ask)
{
	for (size_t i = 0; i < ask->n_properties; i++)
		free((char *)ask->properties[i].name);
	ask->n_properties = 0;
}

int
sq_run_pub_http(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	struct sq_api_publish ask = {
	    .topic = r->operand,
	    .message = o->value[SQ_OPTION_MESSAGE],
	    .lines = sq_option_given(o, SQ_OPTION_LINES),
	    .qos = o->value[SQ_OPTION_WITH_QOS],
	    .key = o->value[SQ_OPTION_KEY],
	    .receipt = o->value[SQ_OPTION_RECEIPT],
	    .ttl = o->value[SQ_OPTION_TTL],
	    .delay = o->value[SQ_OPTION_DELAY],
	    .order_key = o->value[SQ_OPTION_ORDER_KEY],
	    .content_type = o->value[SQ_OPTION_TYPE],
	    .retain = sq_option_given(o, SQ_OPTION_WITH_RETAIN),
	    .json = sq_option_given(o, SQ_OPTION_JSON),
	};
	int code = SQ_EXIT_USAGE;

	if (ask.qos == NULL && ask.receipt != NULL)
		ask.qos = "3";
	if (sq_option_given(o, SQ_OPTION_CLIENT) || sq_option_given(o, SQ_OPTION_TIMEOUT))
		sq_say_usage("--client and --timeout are for MQTT", "");
	else if (sq_asks_properties(o, &ask))
		code = sq_asks_run(r, pub_ask, &ask);
	sq_asks_properties_fini(&ask);
	return code;
}

/* ---- receive ---- */

static int
receive_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	(void)out;
	return sq_api_receive(api, arg, err);
}

/* What excludes each other; false: it has been said. */
static bool
receive_agrees(const struct sq_options *o, struct sq_api_receive *ask)
{
	const char *ack = o->value[SQ_OPTION_ACK];

	ask->at_once = ack != NULL && strcmp(ack, "receive") == 0;
	if (ack != NULL && !ask->at_once && strcmp(ack, "manual") != 0)
		return sq_say_usage("--ack is manual or receive, not ", ack);
	if (ask->command != NULL && (ack != NULL || ask->json || sq_option_given(o, SQ_OPTION_MAX)))
		return sq_say_usage("--exec takes one message after the other and settles it: "
				    "without --ack, --max and --json",
		    "");
	if (ask->command == NULL && sq_option_given(o, SQ_OPTION_MESSAGES))
		return sq_say_usage("--count is for --exec; --max is of one request", "");
	return true;
}

int
sq_run_receive(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	struct sq_api_receive ask = {
	    .queue = r->operand,
	    .max = 10,
	    .wait_ms = ASKS_WAIT_MS,
	    .lease = o->value[SQ_OPTION_LEASE],
	    .lease_ms = ASKS_LEASE_MS,
	    .json = sq_option_given(o, SQ_OPTION_JSON),
	    .command = o->value[SQ_OPTION_EXEC],
	};

	if (!sq_option_number(o, SQ_OPTION_MAX, 1, ASKS_RECEIVE_MAX, &ask.max) ||
	    !sq_option_number(o, SQ_OPTION_MESSAGES, 1, ASKS_COUNT_MAX, &ask.count) ||
	    !asks_duration(o, SQ_OPTION_WAIT, &ask.wait_ms) ||
	    !asks_duration(o, SQ_OPTION_LEASE, &ask.lease_ms) || !receive_agrees(o, &ask))
		return SQ_EXIT_USAGE;
	if (ask.command != NULL) {
		ask.max = 1;
		ask.lease = ask.lease != NULL ? ask.lease : "30s";
	}
	return sq_asks_run(r, receive_ask, &ask);
}

struct peek {
	const char *queue;
	uint64_t max;
	bool json;
};

static int
peek_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	const struct peek *p = arg;

	(void)out;
	return sq_api_peek(api, p->queue, p->max, p->json, err);
}

int
sq_run_peek(const struct sq_run *r)
{
	struct peek ask = {r->operand, 20, sq_option_given(r->options, SQ_OPTION_JSON)};

	if (!sq_option_number(r->options, SQ_OPTION_MAX, 1, ASKS_PEEK_MAX, &ask.max))
		return SQ_EXIT_USAGE;
	return sq_asks_run(r, peek_ask, &ask);
}

struct settle {
	const char *lease, *how;
	uint64_t ms;
};

static int
settle_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	const struct settle *s = arg;

	(void)out;
	return sq_api_settle(api, s->lease, s->how, s->ms, err);
}

int
sq_run_settle(const struct sq_run *r)
{
	struct settle ask = {.lease = r->operand, .how = r->verb->noun, .ms = UINT64_MAX};

	if (!asks_duration(r->options, SQ_OPTION_DELAY, &ask.ms) ||
	    !asks_duration(r->options, SQ_OPTION_LEASE, &ask.ms))
		return SQ_EXIT_USAGE;
	return sq_asks_run(r, settle_ask, &ask);
}

/* ---- queues ---- */

struct queue {
	const struct sq_run *run;
	const char *method;
	struct sq_buf rest;      /* behind the queue's name, with a NUL */
	json_t *body;            /* NULL: none */
	const char *done, *made; /* what is said; 'made': at 201, NULL: the same */
};

static int
queue_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	const struct queue *q = arg;
	bool json = sq_option_given(q->run->options, SQ_OPTION_JSON);
	long status = 0;
	int rc = sq_api_queue(api, q->method, q->run->operand, (char *)sq_buf_data(&q->rest),
	    q->body, &status, json ? out : NULL, err);

	if (rc == SQ_OK && !json)
		asks_said(
		    out, status == 201 && q->made != NULL ? q->made : q->done, q->run->operand);
	return rc;
}

static int
queue_run(struct queue *q)
{
	int code;

	sq_buf_u8(&q->rest, '\0');
	code = sq_asks_run(q->run, queue_ask, q);
	sq_buf_fini(&q->rest);
	json_decref(q->body);
	return code;
}

/* The declaration of the file; NULL: it has been said. */
static json_t *
declare_file(const char *path)
{
	struct sq_inputs inputs = {0};
	struct sq_buf err = {0};
	json_t *value = NULL;

	if (sq_inputs_add(&inputs, path, &err) != SQ_OK)
		sq_say_usage_of(&err);
	else if (inputs.n != 1 || inputs.v[0].malformed || inputs.v[0].documents.n != 1 ||
	    !json_is_object(inputs.v[0].documents.v[0].value))
		sq_say_usage(path,
		    inputs.n == 1 && inputs.v[0].malformed
			? ": neither YAML nor JSON"
			: ": the settings of one queue are wanted, as {order: key, bindings: "
			  "[...]}");
	else
		value = json_deep_copy(inputs.v[0].documents.v[0].value);
	sq_inputs_free(&inputs);
	return value;
}

static int
binding_qos(const struct sq_options *o, uint64_t *qos)
{
	*qos = 0;
	return sq_option_number(o, SQ_OPTION_WITH_QOS, 1, 2, qos);
}

/* Adds what the options say to a declaration; false: something is wrong, which has been said. */
static bool
declare_options(const struct sq_options *o, json_t *declaration)
{
	struct sq_buf err = {0};
	json_t *bindings;
	uint64_t qos;

	if (!binding_qos(o, &qos))
		return false;
	for (size_t i = 0; i < o->n_repeated; i++) {
		if (o->repeated[i].id == SQ_OPTION_SET) {
			if (sq_api_queue_set(declaration, o->repeated[i].value, &err) != SQ_OK)
				return sq_say_usage_of(&err);
			continue;
		}
		bindings = json_object_get(declaration, "bindings");
		if (!json_is_array(bindings)) {
			bindings = json_array();
			json_object_set_new(declaration, "bindings", bindings);
		}
		json_array_append_new(bindings,
		    qos > 0 ? json_pack("{s:s, s:I}", "filter", o->repeated[i].value, "qos",
				  (json_int_t)qos)
			    : json_pack("{s:s}", "filter", o->repeated[i].value));
	}
	return true;
}

/* What is not named has its default: who changes one setting may not mean to lose the bindings. */
static void
declare_unbound(const char *queue)
{
	struct sq_buf text = {0};

	sq_safe(&text, queue, strlen(queue));
	fprintf(stderr,
	    "sqmqos: queue %.*s has no bindings now, so nothing comes into it: declare it with all "
	    "that it is to have, or add one by 'sqmqos queues bind'\n",
	    (int)sq_buf_len(&text), (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
}

int
sq_run_declare(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	struct queue q = {
	    .run = r, .method = "PUT", .done = "queue is as declared:", .made = "made queue"};
	bool unbound;
	int code;

	if (o->n_files > 1) {
		sq_say_usage("one file has the settings of a queue", "");
		return SQ_EXIT_USAGE;
	}
	q.body = o->n_files == 1 ? declare_file(o->files[0]) : json_object();
	if (q.body != NULL)
		sq_api_queue_camel(q.body);
	if (q.body == NULL || !declare_options(o, q.body)) {
		json_decref(q.body);
		return SQ_EXIT_USAGE;
	}
	unbound = json_array_size(json_object_get(q.body, "bindings")) == 0;
	code = queue_run(&q);
	if (code == 0 && unbound)
		declare_unbound(r->operand);
	return code;
}

int
sq_run_delete(const struct sq_run *r)
{
	struct queue q = {.run = r, .method = "DELETE", .done = "deleted queue"};

	if (sq_option_given(r->options, SQ_OPTION_WITH_MESSAGES))
		sq_buf_printf(&q.rest, "?with-messages=true");
	return queue_run(&q);
}

int
sq_run_bind(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	const char *filter = o->value[SQ_OPTION_FILTER], *tag = o->value[SQ_OPTION_TAG],
		   *id = o->value[SQ_OPTION_ID];
	bool binds = strcmp(r->verb->verb, "bind") == 0;
	struct queue q = {.run = r,
	    .method = binds ? "PUT" : "DELETE",
	    .done = binds ? "bound queue" : "unbound queue"};
	struct sq_buf made = {0};
	uint64_t qos;

	if (!binding_qos(o, &qos))
		return SQ_EXIT_USAGE;
	if (filter == NULL && tag == NULL && (binds || id == NULL)) {
		sq_say_usage(
		    binds ? "--filter or --tag is missing" : "--id, --filter or --tag is missing",
		    "");
		return SQ_EXIT_USAGE;
	}
	sq_api_binding_id(&made, filter, tag);
	sq_buf_u8(&made, '\0');
	sq_buf_printf(&q.rest, "/bindings/");
	sq_percent_put(&q.rest, id != NULL ? id : (char *)sq_buf_data(&made));
	sq_buf_fini(&made);
	if (binds)
		q.body = json_object();
	if (binds && filter != NULL)
		json_object_set_new(q.body, "filter", json_string(filter));
	if (binds && tag != NULL)
		json_object_set_new(q.body, "tag", json_string(tag));
	if (qos > 0)
		json_object_set_new(q.body, "qos", json_integer((json_int_t)qos));
	return queue_run(&q);
}

int
sq_run_pause(const struct sq_run *r)
{
	bool pauses = strcmp(r->verb->verb, "pause") == 0;
	struct queue q = {
	    .run = r, .method = "POST", .done = pauses ? "paused queue" : "resumed queue"};

	sq_buf_printf(&q.rest, "/%s", r->verb->verb);
	return queue_run(&q);
}

static int
purge_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	const struct sq_run *r = arg;
	struct sq_buf answer = {0};
	json_t *said = NULL;
	long status;
	int rc = sq_api_queue(api, "POST", r->operand, "/purge", NULL, &status, &answer, err);

	if (rc == SQ_OK && sq_option_given(r->options, SQ_OPTION_JSON)) {
		sq_buf_append(out, sq_buf_data(&answer), sq_buf_len(&answer));
	} else if (rc == SQ_OK) {
		said = json_loadb((char *)sq_buf_data(&answer), sq_buf_len(&answer), 0, NULL);
		sq_buf_printf(out, "purged %lld messages of queue ",
		    (long long)json_integer_value(json_object_get(said, "purged")));
		sq_safe(out, r->operand, strlen(r->operand));
		sq_buf_u8(out, '\n');
	}
	json_decref(said);
	sq_buf_fini(&answer);
	return rc;
}

int
sq_run_purge_http(const struct sq_run *r)
{
	if (!asks_no_admin(r->options, "purge") ||
	    !asks_without(r->options, SQ_OPTION_MAX, "purge") ||
	    !asks_without(r->options, SQ_OPTION_BURY, "purge"))
		return SQ_EXIT_USAGE;
	if (!sq_option_given(r->options, SQ_OPTION_YES)) {
		sq_say_usage("purge has what waits gone for good: say --yes", "");
		return SQ_EXIT_USAGE;
	}
	return sq_asks_run(r, purge_ask, (void *)r);
}

static void
redrive_say(const struct sq_api_redrive *r, struct sq_buf *out)
{
	sq_buf_printf(out, "published %llu dead letter%s again", (unsigned long long)r->done,
	    r->done == 1 ? "" : "s");
	if (r->stayed > 0)
		sq_buf_printf(out, "; %llu stay%s: nobody takes %s, or a queue is full",
		    (unsigned long long)r->stayed, r->stayed == 1 ? "s" : "",
		    r->stayed == 1 ? "it" : "them");
	sq_buf_printf(out, "\n");
}

static int
redrive_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	const struct sq_run *r = arg;
	const struct sq_options *o = r->options;
	struct sq_api_redrive ask = {.space = o->value[SQ_OPTION_SPACE],
	    .filter = o->value[SQ_OPTION_FILTER],
	    .reason = o->value[SQ_OPTION_REASON],
	    .to = o->value[SQ_OPTION_TO]};
	int rc;

	(void)sq_option_number(o, SQ_OPTION_MAX, 1, ASKS_COUNT_MAX, &ask.max); /* was looked at */
	rc = sq_api_redrive(api, &ask, err);
	if (rc == SQ_OK && sq_option_given(o, SQ_OPTION_JSON))
		sq_buf_printf(out, "{\"done\": %llu, \"stayed\": %llu}\n",
		    (unsigned long long)ask.done, (unsigned long long)ask.stayed);
	else if (rc == SQ_OK)
		redrive_say(&ask, out);
	else if (ask.done > 0)
		sq_buf_printf(err, "; %llu done before", (unsigned long long)ask.done);
	return rc;
}

int
sq_run_redrive_http(const struct sq_run *r)
{
	const struct sq_options *o = r->options;

	if (!asks_no_admin(o, "redrive") || !asks_without(o, SQ_OPTION_LETTER, "redrive"))
		return SQ_EXIT_USAGE;
	if (r->operand != NULL || o->value[SQ_OPTION_SPACE] == NULL) {
		sq_say_usage(
		    "over HTTP, dead letters are of a space: --space NAME, and no queue", "");
		return SQ_EXIT_USAGE;
	}
	return sq_asks_run(r, redrive_ask, (void *)r);
}

static int
letters_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	const struct sq_options *o = ((const struct sq_run *)arg)->options;
	uint64_t limit = SQ_LIST_ROWS_MAX;

	(void)sq_option_number(o, SQ_OPTION_LIMIT, 1, SQ_LIST_ROWS_MAX, &limit); /* was looked at */
	return sq_api_letters(
	    api, o->value[SQ_OPTION_SPACE], limit, sq_option_given(o, SQ_OPTION_JSON), out, err);
}

int
sq_run_letters_http(const struct sq_run *r)
{
	const struct sq_options *o = r->options;

	if (!asks_no_admin(o, "ls") || !asks_without(o, SQ_OPTION_NAME, "ls") ||
	    !asks_without(o, SQ_OPTION_PREFIX, "ls") || !asks_without(o, SQ_OPTION_WIDE, "ls"))
		return SQ_EXIT_USAGE;
	if (o->value[SQ_OPTION_SPACE] == NULL) {
		sq_say_usage("over HTTP, dead letters are of a space: --space NAME", "");
		return SQ_EXIT_USAGE;
	}
	return sq_asks_run(r, letters_ask, (void *)r);
}

static int
subscribers_ask(struct sq_api *api, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	const struct sq_run *r = arg;
	bool json = sq_option_given(r->options, SQ_OPTION_JSON);

	return r->operand != NULL ? sq_api_queues_show(api, r->operand, json, out, err)
				  : sq_api_queues_list(api, json, out, err);
}

int
sq_run_subscribers(const struct sq_run *r)
{
	return sq_asks_run(r, subscribers_ask, (void *)r);
}
