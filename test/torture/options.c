/* The options of the torture app. */
#include "app.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
app_usage(void)
{
	fprintf(stderr,
	    "usage: torture-app pub|sub --port N --id TEXT --ledger FILE\n"
	    "  [--version 4|5] [--transient] [--filter F --qos N]\n"
	    "  [--number N --rate N --window N] [--max-size N] [--linger MS]\n"
	    "  [--only STREAM] [--keyed] [--willed] [--end] [--root TOPIC]\n"
	    "  [--turn FILTER]... [--turns N]\n"
	    "  [--receive-max N] [--hold MS]\n");
	exit(2);
}

/* How the value of an option is read; 'at' is where it goes in struct app_opts. */
enum option_kind {
	OPTION_FLAG,
	OPTION_TEXT,
	OPTION_INT,
	OPTION_UNSIGNED,
	OPTION_TURN, /* one more filter of a publisher's own */
};

static const struct {
	const char *name;
	enum option_kind kind;
	size_t at;
} known[] = {
    {"port", OPTION_INT, offsetof(struct app_opts, port)},
    {"id", OPTION_TEXT, offsetof(struct app_opts, id)},
    {"ledger", OPTION_TEXT, offsetof(struct app_opts, ledger)},
    {"version", OPTION_INT, offsetof(struct app_opts, version)},
    {"transient", OPTION_FLAG, offsetof(struct app_opts, transient)},
    {"filter", OPTION_TEXT, offsetof(struct app_opts, filter)},
    {"qos", OPTION_INT, offsetof(struct app_opts, qos)},
    {"number", OPTION_UNSIGNED, offsetof(struct app_opts, number)},
    {"rate", OPTION_UNSIGNED, offsetof(struct app_opts, rate)},
    {"window", OPTION_UNSIGNED, offsetof(struct app_opts, window)},
    {"max-size", OPTION_UNSIGNED, offsetof(struct app_opts, max_size)},
    {"linger", OPTION_UNSIGNED, offsetof(struct app_opts, linger_ms)},
    {"only", OPTION_INT, offsetof(struct app_opts, only)},
    {"keyed", OPTION_FLAG, offsetof(struct app_opts, keyed)},
    {"willed", OPTION_FLAG, offsetof(struct app_opts, willed)},
    {"end", OPTION_FLAG, offsetof(struct app_opts, end)},
    {"receive-max", OPTION_UNSIGNED, offsetof(struct app_opts, receive_max)},
    {"hold", OPTION_UNSIGNED, offsetof(struct app_opts, hold_ms)},
    {"root", OPTION_TEXT, offsetof(struct app_opts, root)},
    {"turn", OPTION_TURN, 0},
    {"turns", OPTION_UNSIGNED, offsetof(struct app_opts, turn_rate)},
};

enum { KNOWN_N = sizeof known / sizeof known[0] };

static void
option_take(struct app_opts *o, int i, const char *arg)
{
	void *at = (char *)o + known[i].at;

	switch (known[i].kind) {
	case OPTION_FLAG:
		*(bool *)at = true;
		break;
	case OPTION_TEXT:
		*(const char **)at = arg;
		break;
	case OPTION_INT:
		*(int *)at = (int)strtoul(arg, NULL, 10);
		break;
	case OPTION_UNSIGNED:
		*(unsigned *)at = (unsigned)strtoul(arg, NULL, 10);
		break;
	case OPTION_TURN:
		if (o->n_turn == APP_FILTERS_MAX)
			app_usage();
		o->turn[o->n_turn++] = arg;
		break;
	}
}

void
app_options(struct app_opts *o, int argc, char **argv)
{
	struct option all[KNOWN_N + 1] = {0};
	int i = -1;

	for (int k = 0; k < KNOWN_N; k++)
		all[k] = (struct option){known[k].name, known[k].kind != OPTION_FLAG, NULL, 0};
	*o = (struct app_opts){.version = 5,
	    .rate = 100,
	    .window = 20,
	    .max_size = 4096,
	    .only = -1,
	    .root = "torture"};
	for (int c; (c = getopt_long(argc, argv, "", all, &i)) != -1;) {
		if (c != 0)
			app_usage();
		option_take(o, i, optarg);
	}
	if (optind != argc - 1 || o->id == NULL || o->ledger == NULL || o->port == 0 ||
	    o->window >= APP_FLIGHTS_MAX / 4 || o->max_size > APP_PAYLOAD_MAX ||
	    o->only >= APP_STREAMS)
		app_usage();
	o->publisher = strcmp(argv[optind], "pub") == 0;
}
