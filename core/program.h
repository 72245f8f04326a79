/* The command line that all our programs share: --help, --help-markdown, --version, --check-config,
 * and a line for each reason why the program cannot run. */
#ifndef SQ_CORE_PROGRAM_H
#define SQ_CORE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/config.h"

enum {
	SQ_EXIT_FAILED = 1,
	SQ_EXIT_CONFIG = 2,
	SQ_EXIT_LOST =
	    75, /* another process has taken the state over: to be started again, as one that follows */
};

struct sq_program {
	const char *name;  /* "sqmqos-broker" */
	const char *usage; /* the text before the keys in --help */
	const struct sq_config_key *keys;
	size_t n_keys;
};

/* Prints the answer to --help, --help-markdown or --version on stdout, to the first of them in the
 * arguments.  True: one of them was there, and the program is done. */
bool sq_program_help(const struct sq_program *, int argc, char **argv);
/* Takes a flag without a value out of the arguments; true if it was there. */
bool sq_program_flag(int *argc, char **argv, const char *flag);
/* Takes a flag with a value, as "--backup DIR" or "--backup=DIR", out of the arguments; '*value' is
 * NULL if it was not there.  SQ_EINVAL with a line in 'err': it has no value, or is there twice. */
int sq_program_value(
    int *argc, char **argv, const char *flag, const char **value, struct sq_buf *err) SQ_MUST_CHECK;
/* Takes --check-config out of the arguments; true if it was there. */
bool sq_program_check_only(int *argc, char **argv);
/* Appends the line in 'why', if there is one, to the lines in 'problems', and frees 'why'. */
void sq_program_problem(struct sq_buf *problems, struct sq_buf *why);
/* The end of a configuration's check: -1 when the program goes on, else its exit code.  Writes the
 * 'problems', if there are any, as sq_program_fail(); else, with 'check_only', a line on stdout that
 * all is good, and the 'notes'.  Frees both. */
int sq_program_checked(
    const struct sq_program *, bool check_only, struct sq_buf *notes, struct sq_buf *problems);
/* Writes the reasons why the program does not run to stderr, the lines of 'err' with the program's
 * name before each, or as JSON lines of the log where that is the format.  Frees 'err' and returns
 * 'code'. */
int sq_program_fail(const struct sq_program *, int code, struct sq_buf *err);
/* Lets the process have as many descriptors as the system allows it. */
void sq_program_raise_files(void);

#endif
