/* The options of the torture app. */
#include "app.h"

#include <getopt.h>
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

void
app_options(struct app_opts *o, int argc, char **argv)
{
	static const struct option known[] = {{"port", 1, NULL, 'p'}, {"id", 1, NULL, 'i'},
	    {"ledger", 1, NULL, 'l'}, {"version", 1, NULL, 'v'}, {"transient", 0, NULL, 't'},
	    {"filter", 1, NULL, 'f'}, {"qos", 1, NULL, 'q'}, {"number", 1, NULL, 'n'},
	    {"rate", 1, NULL, 'r'}, {"window", 1, NULL, 'w'}, {"max-size", 1, NULL, 's'},
	    {"linger", 1, NULL, 'g'}, {"only", 1, NULL, 'o'}, {"keyed", 0, NULL, 'k'},
	    {"willed", 0, NULL, 'W'}, {"end", 0, NULL, 'e'}, {"receive-max", 1, NULL, 'R'},
	    {"hold", 1, NULL, 'h'}, {"root", 1, NULL, 'T'}, {"turn", 1, NULL, 'u'},
	    {"turns", 1, NULL, 'U'}, {NULL, 0, NULL, 0}};
	int c;

	*o = (struct app_opts){.version = 5,
	    .rate = 100,
	    .window = 20,
	    .max_size = 4096,
	    .only = -1,
	    .root = "torture"};
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		unsigned v = optarg != NULL ? (unsigned)strtoul(optarg, NULL, 10) : 0;

		switch (c) {
		case 'p':
			o->port = (int)v;
			break;
		case 'i':
			o->id = optarg;
			break;
		case 'l':
			o->ledger = optarg;
			break;
		case 'v':
			o->version = (int)v;
			break;
		case 't':
			o->transient = true;
			break;
		case 'f':
			o->filter = optarg;
			break;
		case 'q':
			o->qos = (int)v;
			break;
		case 'n':
			o->number = v;
			break;
		case 'r':
			o->rate = v;
			break;
		case 'w':
			o->window = v;
			break;
		case 's':
			o->max_size = v;
			break;
		case 'g':
			o->linger_ms = v;
			break;
		case 'o':
			o->only = (int)v;
			break;
		case 'k':
			o->keyed = true;
			break;
		case 'e':
			o->end = true;
			break;
		case 'W':
			o->willed = true;
			break;
		case 'R':
			o->receive_max = v;
			break;
		case 'h':
			o->hold_ms = v;
			break;
		case 'T':
			o->root = optarg;
			break;
		case 'u':
			if (o->n_turn == APP_FILTERS_MAX)
				app_usage();
			o->turn[o->n_turn++] = optarg;
			break;
		case 'U':
			o->turn_rate = v;
			break;
		default:
			app_usage();
		}
	}
	if (optind != argc - 1 || o->id == NULL || o->ledger == NULL || o->port == 0 ||
	    o->window >= APP_FLIGHTS_MAX / 4 || o->max_size > APP_PAYLOAD_MAX ||
	    o->only >= APP_STREAMS)
		app_usage();
	o->publisher = strcmp(argv[optind], "pub") == 0;
}
