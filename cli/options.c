#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>

#include "cli/print.h"

#define OPTION_ROW(symbol, name, letter, argument, help) {name, letter, argument, help},
const struct sq_option sq_option_table[SQ_OPTION_COUNT] = {SQ_OPTIONS(OPTION_ROW)};
#undef OPTION_ROW

enum { OPTION_FIRST = 256 }; /* what getopt calls the first one */

static void
options_longs(struct option longs[SQ_OPTION_COUNT + 1])
{
	for (int i = 0; i < SQ_OPTION_COUNT; i++) {
		const struct sq_option *o = &sq_option_table[i];

		longs[i] = (struct option){
		    o->name,
		    o->argument != NULL ? required_argument : no_argument,
		    NULL,
		    OPTION_FIRST + i,
		};
	}
	longs[SQ_OPTION_COUNT] = (struct option){0};
}

/* The letters as getopt takes them, behind the ':' that tells a missing value from an unknown
 * option. */
static void
options_letters(char letters[2 * SQ_OPTION_COUNT + 2])
{
	size_t n = 0;

	letters[n++] = ':';
	for (int i = 0; i < SQ_OPTION_COUNT; i++) {
		if (sq_option_table[i].letter == 0)
			continue;
		letters[n++] = sq_option_table[i].letter;
		if (sq_option_table[i].argument != NULL)
			letters[n++] = ':';
	}
	letters[n] = '\0';
}

/* Which option getopt means; -1: none. */
static int
options_id(int c)
{
	if (c >= OPTION_FIRST)
		return c - OPTION_FIRST;
	for (int i = 0; i < SQ_OPTION_COUNT; i++)
		if (sq_option_table[i].letter == c && c != 0)
			return i;
	return -1;
}

/* Keeps the value of an option that may be given several times; false: there are too many. */
static bool
options_repeat(struct sq_options *o, int id, const char *value)
{
	if (id != SQ_OPTION_TAG && id != SQ_OPTION_PROPERTY && id != SQ_OPTION_FILTER &&
	    id != SQ_OPTION_SET)
		return true;
	if (o->n_repeated == SQ_OPTION_REPEATED_MAX)
		return false;
	o->repeated[o->n_repeated++] = (struct sq_option_repeated){(unsigned)id, value};
	return true;
}

bool
sq_options_read(struct sq_options *o, int argc, char **argv)
{
	struct option longs[SQ_OPTION_COUNT + 1];
	char letters[2 * SQ_OPTION_COUNT + 2];
	int c, id;

	options_longs(longs);
	options_letters(letters);
	opterr = 0;
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (c == ':')
			return sq_say_usage("a value is missing for ", argv[optind - 1]);
		if ((id = options_id(c)) < 0)
			return sq_say_usage("unknown option ", argv[optind - 1]);
		if (id == SQ_OPTION_FILE && o->n_files == SQ_OPTION_FILES_MAX)
			return sq_say_usage("too many files", "");
		if (!options_repeat(o, id, optarg))
			return sq_say_usage("too often: --", sq_option_table[id].name);
		o->value[id] = optarg != NULL ? optarg : "";
		if (id == SQ_OPTION_FILE)
			o->files[o->n_files++] = optarg;
	}
	o->words = argv + optind;
	o->n_words = (size_t)(argc - optind);
	return true;
}

bool
sq_option_number(const struct sq_options *o, enum sq_option_id id, uint64_t least,
    uint64_t greatest, uint64_t *out)
{
	const char *text = o->value[id];
	uint64_t n = 0;
	char what[80], detail[160];
	bool good = text != NULL && *text != '\0';

	if (text == NULL)
		return true;
	for (const char *p = text; good && *p != '\0'; p++) {
		good = *p >= '0' && *p <= '9' && n <= greatest;
		n = n * 10 + (uint64_t)(*p - '0');
	}
	if (good && n >= least && n <= greatest) {
		*out = n;
		return true;
	}
	snprintf(what, sizeof what, "--%s is a number from %llu to %llu", sq_option_table[id].name,
	    (unsigned long long)least, (unsigned long long)greatest);
	snprintf(detail, sizeof detail, ", not %.100s", text);
	return sq_say_usage(what, detail);
}
