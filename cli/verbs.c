#include "cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "cli/endpoint.h"
#include "cli/help.h"
#include "cli/print.h"
#include "cli/view/why.h"
#include "cli/view/list.h"
#include "core/buf.h"
#include "core/mem.h"
#include "core/suggest.h"

#define BIT(option) SQ_OPTION_BIT(SQ_OPTION_##option)

enum {
	OF_ALL = BIT(HELP) | BIT(VERSION),
	OF_MANIFESTS = BIT(FILE) | BIT(VALUES) | BIT(BUNDLE) | BIT(NAMESPACE) | OF_ALL,
	OF_VIEW = BIT(ADMIN) | BIT(TOKEN) | BIT(KUBE_CONTEXT) | BIT(KUBE_NAMESPACE) | BIT(POD) |
	    BIT(KUBECONFIG) | OF_ALL,
	OF_LS = OF_VIEW | BIT(SPACE) | BIT(NAME) | BIT(PREFIX) | BIT(LIMIT) | BIT(JSON) | BIT(WIDE),
	OF_SHOW = OF_VIEW | BIT(SPACE) | BIT(JSON),
	OF_DEED = OF_VIEW | BIT(JSON),
	OF_API = BIT(URL) | BIT(TOKEN) | BIT(CA) | BIT(SPACE) | OF_ALL,
	OF_RECEIVE = OF_API | BIT(MAX) | BIT(WAIT) | BIT(LEASE) | BIT(ACK) | BIT(EXEC) |
	    BIT(MESSAGES) | BIT(JSON),
	OF_BIND = OF_API | BIT(FILTER) | BIT(TAG) | BIT(ID),
	OF_PURGE = OF_DEED | BIT(SPACE) | BIT(YES) | BIT(BURY) | BIT(MAX) | BIT(URL) | BIT(CA),
	OF_REDRIVE = OF_DEED | BIT(SPACE) | BIT(LETTER) | BIT(MAX) | BIT(URL) | BIT(CA) |
	    BIT(FILTER) | BIT(REASON) | BIT(TO),
	OF_TAIL = OF_VIEW | BIT(SPACE) | BIT(PAYLOAD) | BIT(MESSAGES) | BIT(JSON),
	OF_TOP = OF_VIEW | BIT(SPACE) | BIT(LIMIT) | BIT(BY) | BIT(INTERVAL) | BIT(MESSAGES) |
	    BIT(JSON),
	OF_PUB = BIT(URL) | BIT(CLIENT) | BIT(WITH_QOS) | BIT(MESSAGE) | BIT(STDIN) | BIT(LINES) |
	    BIT(WITH_RETAIN) | BIT(KEY) | BIT(RECEIPT) | BIT(PROPERTY) | BIT(TAG) | BIT(TIMEOUT) |
	    BIT(TTL) | BIT(DELAY) | BIT(ORDER_KEY) | BIT(TYPE) | BIT(JSON) | OF_API,
	OF_REQUEST = OF_API | BIT(WITH_QOS) | BIT(MESSAGE) | BIT(STDIN) | BIT(KEY) | BIT(PROPERTY) |
	    BIT(TAG) | BIT(TIMEOUT) | BIT(TTL) | BIT(ORDER_KEY) | BIT(TYPE),
	OF_SUB = BIT(URL) | BIT(CLIENT) | BIT(WITH_QOS) | BIT(MESSAGES) | BIT(TIMEOUT) | BIT(JSON) |
	    OF_ALL,
	OF_WHY = OF_VIEW | BIT(TOPIC) | BIT(CLIENT) | BIT(SPACE) | BIT(TAG) | BIT(KEY) |
	    BIT(MESSAGE),
};

static int run_ls(const struct sq_run *);
static int run_show(const struct sq_run *);
static int run_why(const struct sq_run *);

static const struct sq_verb verbs[] = {
    {"inject", "", NULL, "print manifests as the injector would make their pods", OF_MANIFESTS,
	BIT(FILE), sq_run_manifests, NULL},
    {"lint", "", "[FILE ...]",
	"print what is wrong in a broker's files, as file:line: reason, or in manifests (-f)",
	OF_MANIFESTS, 0, sq_run_lint, NULL},
    {"explain", "", NULL, "say which queues, bindings, limits and rules manifests would make",
	OF_MANIFESTS, BIT(FILE), sq_run_manifests, NULL},
    {"scale", "", NULL,
	"print the ScaledObjects, for KEDA, that manifests ask for by sqmqos.io/scale",
	OF_MANIFESTS & ~BIT(BUNDLE), BIT(FILE), sq_run_manifests, NULL},
    {"why", "", NULL,
	"say who takes a topic (--topic), or where a message is (--message), and what stands in "
	"the "
	"way",
	OF_WHY, 0, run_why, NULL},
    {"queues", "ls", NULL, "list the queues of a broker", OF_LS, 0, run_ls, "queues"},
    {"queues", "show", "QUEUE", "show all of a queue", OF_SHOW, 0, run_show, "queues"},
    {"queues", "purge", "QUEUE", "have what waits in a queue gone for good", OF_PURGE, 0,
	sq_run_purge, "queues"},
    {"queues", "peek", "QUEUE", "print what waits in a named queue, and take nothing",
	OF_API | BIT(MAX) | BIT(JSON), 0, sq_run_peek, NULL},
    {"queues", "declare", "QUEUE",
	"make a named queue, or change it, by -f FILE, --set and --filter",
	OF_API | BIT(FILE) | BIT(SET) | BIT(FILTER) | BIT(WITH_QOS) | BIT(JSON), 0, sq_run_declare,
	NULL},
    {"queues", "set", "QUEUE SETTING=VALUE...",
	"change settings of a named queue, and leave the others; null is a default",
	OF_API | BIT(JSON), 0, sq_run_set, NULL},
    {"queues", "delete", "QUEUE", "end a named queue", OF_API | BIT(WITH_MESSAGES), 0,
	sq_run_delete, NULL},
    {"queues", "bind", "QUEUE", "have a filter's or a tag's messages come into a named queue",
	OF_BIND | BIT(WITH_QOS), 0, sq_run_bind, NULL},
    {"queues", "unbind", "QUEUE", "take a binding from a named queue", OF_BIND, 0, sq_run_bind,
	NULL},
    {"queues", "pause", "QUEUE", "hand out nothing of a named queue", OF_API, 0, sq_run_pause,
	NULL},
    {"queues", "resume", "QUEUE", "hand out again", OF_API, 0, sq_run_pause, NULL},
    {"subscribers", "ls", NULL, "list named queues, with counts and consumers", OF_API | BIT(JSON),
	0, sq_run_subscribers, NULL},
    {"subscribers", "show", "QUEUE", "show settings, bindings and counts of a named queue",
	OF_API | BIT(JSON), 0, sq_run_subscribers, NULL},
    {"subscribers", "pause", "QUEUE", "hand out, and push, nothing of a named queue", OF_API, 0,
	sq_run_pause, NULL},
    {"subscribers", "resume", "QUEUE", "hand out, and push, again", OF_API, 0, sq_run_pause, NULL},
    {"push", "test", "QUEUE", "post an event to the URL that a named queue is pushed to",
	OF_API | BIT(JSON), 0, sq_run_push_test, NULL},
    {"bridges", "ls", NULL, "list bridges, and whether their peers are there", OF_API | BIT(JSON),
	0, sq_run_bridges, NULL},
    {"bridges", "show", "BRIDGE", "show all of a bridge", OF_API | BIT(JSON), 0, sq_run_bridges,
	NULL},
    {"bridges", "pause", "BRIDGE", "take nothing from a bridge's queue and its peer", OF_API, 0,
	sq_run_bridges, NULL},
    {"bridges", "resume", "BRIDGE", "take from both again", OF_API, 0, sq_run_bridges, NULL},
    {"sessions", "ls", NULL, "list sessions", OF_LS, 0, run_ls, "sessions"},
    {"sessions", "show", "SESSION", "show all of a session, or of those with that client id",
	OF_SHOW, 0, run_show, "sessions"},
    {"sessions", "rm", "SESSION", "end a session, with its client, its queue and subscriptions",
	OF_DEED | BIT(FORCE), 0, sq_run_remove, "sessions"},
    {"dead-letters", "ls", NULL, "list dead letters", OF_LS | BIT(URL) | BIT(CA), 0, run_ls,
	"dead-letters"},
    {"dead-letters", "show", "QUEUE", "show all of the dead letters in a queue, or of one",
	OF_SHOW | BIT(LETTER), 0, run_show, "dead-letters"},
    {"dead-letters", "redrive", "[QUEUE]",
	"publish dead letters again, of a queue or a space, to whoever takes them now", OF_REDRIVE,
	0, sq_run_redrive, "dead-letters"},
    {"subscriptions", "ls", NULL, "list subscriptions", OF_LS, 0, run_ls, "subscriptions"},
    {"bindings", "ls", NULL, "list what comes into named queues", OF_LS, 0, run_ls, "bindings"},
    {"messages", "ls", "QUEUE", "list the messages that wait in a queue", OF_LS, 0, run_ls,
	"messages"},
    {"refusals", "ls", NULL, "list what was refused of late, and why", OF_LS, 0, run_ls,
	"refusals"},
    {"gone", "ls", NULL, "list messages that left their queue undelivered of late", OF_LS, 0,
	run_ls, "gone"},
    {"links", "ls", NULL, "list the links of sidecars", OF_LS & ~BIT(SPACE), 0, run_ls, "links"},
    {"links", "show", "LINK", "show all of a link, by its number or its peer's address",
	OF_SHOW & ~BIT(SPACE), 0, run_show, "links"},
    {"spaces", "ls", NULL, "list spaces, and what each has of the totals", OF_LS, 0, run_ls,
	"spaces"},
    {"spaces", "show", "SPACE", "show all of a space", OF_SHOW & ~BIT(SPACE), 0, run_show,
	"spaces"},
    {"store", "show", NULL, "show the store", OF_SHOW & ~BIT(SPACE), 0, run_show, "store"},
    {"top", "", NULL, "show the fullest queues, slow links and the store, again and again", OF_TOP,
	0, sq_run_top, NULL},
    {"tail", "", "FILTER", "print what passes in the broker, as it passes", OF_TAIL, 0, sq_run_tail,
	NULL},
    {"pub", "", "TOPIC", "publish a message to a sidecar, as an app does, or over HTTP", OF_PUB, 0,
	sq_run_pub, NULL},
    {"sub", "", "FILTER", "print messages as they come from a sidecar", OF_SUB, 0, sq_run_sub,
	NULL},
    {"request", "", "TOPIC", "publish a message over HTTP, and print the first reply to it",
	OF_REQUEST, 0, sq_run_request, NULL},
    {"receive", "", "QUEUE", "take messages from a named queue, over HTTP", OF_RECEIVE, 0,
	sq_run_receive, NULL},
    {"ack", "", "LEASE", "settle a message that was received", OF_API, 0, sq_run_settle, NULL},
    {"nack", "", "LEASE", "give a message back, as an attempt", OF_API | BIT(DELAY), 0,
	sq_run_settle, NULL},
    {"reject", "", "LEASE", "make a message a dead letter", OF_API, 0, sq_run_settle, NULL},
    {"extend", "", "LEASE", "keep a message for longer", OF_API | BIT(LEASE), BIT(LEASE),
	sq_run_settle, NULL},
    {"completion", "bash", NULL,
	"print a script that completes commands; . <(sqmqos completion bash)", OF_ALL, 0,
	sq_run_completion, NULL},
    {"man", "", NULL, "print the manual page; sqmqos man | man -l -", OF_ALL, 0, sq_run_man, NULL},
    {"help", "", NULL, "say what there is", OF_ALL, 0, sq_run_help, NULL},
};

/* ---- verbs of the view ---- */

/* Runs 'ask' on a reader of the broker's view, and prints what it makes. */
static int
view_run(const struct sq_options *o,
    enum sq_found (*ask)(struct sq_tables *, void *arg, struct sq_buf *out, struct sq_buf *err),
    void *arg)
{
	static const int codes[] = {
	    [SQ_FOUND] = SQ_EXIT_GOOD,
	    [SQ_FOUND_NONE] = SQ_EXIT_NOT_FOUND,
	    [SQ_FOUND_ERROR] = SQ_EXIT_ERROR,
	};
	struct sq_buf out = {0}, err = {0};
	struct sq_tables reader;
	int code;
	struct sq_remote *remote = sq_endpoint_open(o, &reader, &code, &err);

	if (remote != NULL)
		code = codes[ask(&reader, arg, &out, &err)];
	sq_remote_close(&remote);
	if (code == SQ_EXIT_ERROR)
		sq_buf_drain(&out, sq_buf_len(&out));
	return sq_print(&out, &err, code, SQ_EXIT_ERROR);
}

static enum sq_found
ask_ls(struct sq_tables *r, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	return sq_list(r, arg, out, err);
}

static int
run_ls(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	uint64_t limit = SQ_LIST_ROWS_MAX;
	struct sq_list_ask ask = {
	    .table = r->verb->table,
	    .space = o->value[SQ_OPTION_SPACE],
	    .name = o->value[SQ_OPTION_NAME],
	    .prefix = o->value[SQ_OPTION_PREFIX],
	    .queue = r->operand,
	    .json = sq_option_given(o, SQ_OPTION_JSON),
	    .wide = sq_option_given(o, SQ_OPTION_WIDE),
	};

	if (!sq_option_number(o, SQ_OPTION_LIMIT, 1, SQ_LIST_ROWS_MAX, &limit))
		return SQ_EXIT_USAGE;
	if (ask.name != NULL && ask.prefix != NULL) {
		sq_say_usage("--name and --prefix: give one of them", "");
		return SQ_EXIT_USAGE;
	}
	if (sq_option_given(o, SQ_OPTION_URL))
		return sq_run_letters_http(r);
	if (sq_option_given(o, SQ_OPTION_CA)) {
		sq_say_usage("--ca is for the HTTP API: --url is its address", "");
		return SQ_EXIT_USAGE;
	}
	ask.limit = (size_t)limit;
	return view_run(o, ask_ls, &ask);
}

static enum sq_found
ask_show(struct sq_tables *r, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	return sq_show(r, arg, out, err);
}

static int
run_show(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	struct sq_list_ask ask = {
	    .table = r->verb->table,
	    .space = o->value[SQ_OPTION_SPACE],
	    .name = r->operand,
	    .letter = o->value[SQ_OPTION_LETTER],
	    .json = sq_option_given(o, SQ_OPTION_JSON),
	    .limit = SQ_LIST_ROWS_MAX,
	};

	return view_run(o, ask_show, &ask);
}

static enum sq_found
ask_why(struct sq_tables *t, void *arg, struct sq_buf *out, struct sq_buf *err)
{
	return sq_why(t, arg, out, err);
}

static int
run_why(const struct sq_run *r)
{
	const struct sq_options *o = r->options;
	struct sq_why_ask ask = {
	    .topic = o->value[SQ_OPTION_TOPIC],
	    .client = o->value[SQ_OPTION_CLIENT],
	    .space = o->value[SQ_OPTION_SPACE],
	    .tag = o->value[SQ_OPTION_TAG],
	    .key = o->value[SQ_OPTION_KEY],
	    .message = o->value[SQ_OPTION_MESSAGE],
	};
	const char *why;

	if (!sq_why_good(&ask, &why)) {
		sq_say_usage(why, "");
		return SQ_EXIT_USAGE;
	}
	return view_run(o, ask_why, &ask);
}

/* ---- all verbs ---- */

/* Says that there is no such word behind a noun (NULL: none at all), and which there are. */
static void
verb_wrong(const char *noun, const char *word)
{
	struct sq_buf text = {0};
	const char *between = "";

	if (word != NULL)
		sq_buf_printf(&text, "%.96s: ", word);
	sq_buf_printf(&text, "%s has ", noun);
	for (size_t i = 0; i < SQ_ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].noun, noun) != 0)
			continue;
		sq_buf_printf(&text, "%s%s", between, verbs[i].verb);
		between = ", ";
	}
	sq_buf_u8(&text, '\0');
	sq_say_usage(word != NULL ? "unknown command " : "a command is missing: ",
	    (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
}

/* The verb that the words begin with, and how many they are; NULL: none, which has been said. */
static const struct sq_verb *
verb_find(char **words, size_t n, size_t *used)
{
	struct sq_suggest near = sq_suggest_start(words[0], strlen(words[0]));
	const struct sq_verb *noun = NULL;
	char detail[2 * SQ_SUGGEST_MAX + 100];

	for (size_t i = 0; i < SQ_ARRAY_LEN(verbs); i++) {
		const struct sq_verb *v = &verbs[i];

		sq_suggest_offer(&near, v->noun, strlen(v->noun), v->noun, strlen(v->noun));
		if (strcmp(words[0], v->noun) != 0)
			continue;
		noun = noun != NULL ? noun : v;
		*used = v->verb[0] != '\0' ? 2 : 1;
		if (*used == 1 || (n > 1 && strcmp(words[1], v->verb) == 0))
			return v;
	}
	if (noun != NULL)
		verb_wrong(noun->noun, n > 1 ? words[1] : NULL);
	else if (near.best != NULL) {
		snprintf(detail, sizeof detail, "%.96s, did you mean %.*s?", words[0],
		    (int)near.best_len, near.best);
		sq_say_usage("unknown command ", detail);
	} else
		sq_say_usage("unknown command ", words[0]);
	return NULL;
}

/* Whether the verb takes what was given; false: what it does not, has been said. */
static bool
verb_takes(const struct sq_verb *v, const struct sq_options *o)
{
	char text[160];

	for (unsigned i = 0; i < SQ_OPTION_COUNT; i++) {
		const struct sq_option *option = &sq_option_table[i];
		bool given = sq_option_given(o, i);

		snprintf(text, sizeof text, "--%s is nothing for ", option->name);
		if (given && (v->options & SQ_OPTION_BIT(i)) == 0)
			return sq_say_usage(text, v->noun);
		if (option->letter != 0)
			snprintf(text, sizeof text, "-%c %s", option->letter, option->argument);
		else
			snprintf(text, sizeof text, "--%s %s", option->name, option->argument);
		if (!given && (v->needs & SQ_OPTION_BIT(i)) != 0)
			return sq_say_usage(text, " is missing");
	}
	return true;
}

static bool
verb_words(const struct sq_verb *v, char **words, size_t n)
{
	size_t wants = v->operand != NULL ? 1 : 0;

	if (v->run == sq_run_manifests)
		return true; /* says itself how files are given */
	if (n > wants && (wants == 0 || strchr(v->operand, ' ') == NULL))
		return sq_say_usage("what is this: ", words[wants]);
	return n >= wants || v->operand[0] == '[' || sq_say_usage("missing: ", v->operand);
}

int
sq_verbs_run(int argc, char **argv)
{
	static struct sq_options o;
	struct sq_run r = {.options = &o, .verbs = verbs, .n_verbs = SQ_ARRAY_LEN(verbs)};
	size_t used = 0;

	if (!sq_options_read(&o, argc, argv))
		return SQ_EXIT_USAGE;
	if (sq_option_given(&o, SQ_OPTION_VERSION))
		return printf("sqmqos %s\n", SQ_VERSION) < 0;
	if (o.n_words == 0 && sq_option_given(&o, SQ_OPTION_HELP))
		return sq_run_help(&r);
	if (o.n_words == 0) {
		sq_say_usage("a command is missing", "");
		return SQ_EXIT_USAGE;
	}
	if ((r.verb = verb_find(o.words, o.n_words, &used)) == NULL)
		return SQ_EXIT_USAGE;
	if (sq_option_given(&o, SQ_OPTION_HELP))
		return sq_help_verb(r.verb);
	if (!verb_words(r.verb, o.words + used, o.n_words - used) || !verb_takes(r.verb, &o))
		return SQ_EXIT_USAGE;
	if (o.n_words > used) {
		r.operand = o.words[used];
		r.more = o.words + used + 1;
		r.n_more = o.n_words - used - 1;
	}
	return r.verb->run(&r);
}
