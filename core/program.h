/* What every program of ours answers before it does anything: --help,
 * --help-markdown, --version, --check-config, and a line for each reason when it
 * can't run. */
#ifndef SQ_CORE_PROGRAM_H
#define SQ_CORE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/config.h"

enum { SQ_EXIT_FAILED = 1, SQ_EXIT_CONFIG = 2 };

struct sq_program {
	const char *name;  /* "sqmqos-broker" */
	const char *usage; /* what stands before the keys in --help */
	const struct sq_config_key *keys;
	size_t n_keys;
};

/* Prints --help, --help-markdown or --version on stdout, whichever comes first
 * in the arguments; true when that was all that was asked. */
bool sq_program_help(const struct sq_program *, int argc, char **argv);
/* Takes a flag without a value out of the arguments; true if it was there. */
bool sq_program_flag(int *argc, char **argv, const char *flag);
/* The same for --check-config. */
bool sq_program_check_only(int *argc, char **argv);
/* Adds the line in 'why', if there is one, to those in 'problems', and frees it. */
void sq_program_problem(struct sq_buf *problems, struct sq_buf *why);
/* What becomes of a checked configuration: -1 when the program goes on, else its exit
 * code.  Says the 'problems', if any, as sq_program_fail(); else with 'check_only', in
 * one line on stdout, that all is good, and the 'notes'.  Frees both. */
int sq_program_checked(
    const struct sq_program *, bool check_only, struct sq_buf *notes, struct sq_buf *problems);
/* Says on stderr why the program does not run, with its name before each line of
 * 'err', or as lines of the log where that is JSON; frees 'err' and returns 'code'. */
int sq_program_fail(const struct sq_program *, int code, struct sq_buf *err);

#endif
