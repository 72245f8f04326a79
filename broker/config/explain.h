/* "--explain-acl IDENTITY VERB OBJECT": which rule decides, for people who write them. */
#ifndef SQ_BROKER_CONFIG_EXPLAIN_H
#define SQ_BROKER_CONFIG_EXPLAIN_H

#include <stdbool.h>
#include <stdio.h>

#include "broker/config/config.h"

struct sq_explain {
	const char *identity; /* NULL: nothing is asked; "": nobody */
	const char *verb, *object;
	const char *client, *space; /* NULL: not said */
};

enum { SQ_EXPLAIN_ALLOWED = 0, SQ_EXPLAIN_DENIED = 1 };

/* Takes the flag and its own ("--client ID", "--space NAME") out of the arguments.
 * SQ_EINVAL with a line in 'err': something is missing. */
int
sq_explain_take(int *argc, char **argv, struct sq_explain *out, struct sq_buf *err) SQ_MUST_CHECK;
/* Says in one line on 'out' what is decided, and by what; returns one of those above, or
 * SQ_EXIT_CONFIG with a line in 'err'. */
int sq_explain_run(
    const struct sq_explain *, const struct sq_broker_config *, FILE *out, struct sq_buf *err);

#endif
