/* The commands of the command line: one table, for running, help, completion and the manual. */
#ifndef SQ_CLI_VERBS_H
#define SQ_CLI_VERBS_H

#include "cli/options.h"

/* How the program ends. */
enum sq_exit {
	SQ_EXIT_GOOD = 0,
	SQ_EXIT_ERROR = 1,
	SQ_EXIT_USAGE = 2,
	SQ_EXIT_NOT_FOUND = 3,
};

struct sq_run;

struct sq_verb {
	const char *noun, *verb; /* "queues" "ls"; verb "": it has one word */
	/* The word behind them, as "NAME", or "[NAME]", which may be left out; with a space in it, as
	 * "NAME SETTING...", others may follow.  NULL: none. */
	const char *operand;
	const char *help;                  /* begins with a small letter, without an end */
	uint64_t options;                  /* SQ_OPTION_BIT() of those that it takes */
	uint64_t needs;                    /* those of them without which it can't run */
	int (*run)(const struct sq_run *); /* returns the exit code */
	const char *table;                 /* of the view, that it is about; NULL: none */
};

/* A command with what was given to it. */
struct sq_run {
	const struct sq_verb *verb;
	const struct sq_options *options;
	const char *operand; /* NULL: none */
	char **more;         /* words behind it */
	size_t n_more;
	const struct sq_verb *verbs; /* all there are */
	size_t n_verbs;
};

/* Runs what the arguments name.  Returns the program's exit code. */
int sq_verbs_run(int argc, char **argv);

/* --- verbs, each in a file of its name --- */

int sq_run_manifests(const struct sq_run *);
int sq_run_lint(const struct sq_run *);
int sq_run_completion(const struct sq_run *);
int sq_run_help(const struct sq_run *);
int sq_run_man(const struct sq_run *);
int sq_run_pub(const struct sq_run *); /* exchange.c, as the next one */
int sq_run_sub(const struct sq_run *);
int sq_run_top(const struct sq_run *); /* live.c, as the next one */
int sq_run_tail(const struct sq_run *);
int sq_run_remove(const struct sq_run *); /* deeds.c, as the next two */
int sq_run_purge(const struct sq_run *);
int sq_run_redrive(const struct sq_run *);
int sq_run_receive(const struct sq_run *); /* asks.c, as the next ones */
int sq_run_settle(const struct sq_run *);  /* ack, nack, reject, extend */
int sq_run_peek(const struct sq_run *);
int sq_run_declare(const struct sq_run *);
int sq_run_delete(const struct sq_run *);
int sq_run_bind(const struct sq_run *);        /* and unbind */
int sq_run_pause(const struct sq_run *);       /* and resume */
int sq_run_subscribers(const struct sq_run *); /* ls, show */
int sq_run_set(const struct sq_run *);         /* subscribers.c, as the next two */
int sq_run_push_test(const struct sq_run *);
int sq_run_request(const struct sq_run *);
int sq_run_bridges(const struct sq_run *); /* bridges.c: ls, show, pause, resume */
/* Those of other verbs with a URL of the HTTP API. */
int sq_run_pub_http(const struct sq_run *);
int sq_run_purge_http(const struct sq_run *);
int sq_run_redrive_http(const struct sq_run *);
int sq_run_letters_http(const struct sq_run *);

#endif
