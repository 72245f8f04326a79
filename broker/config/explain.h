/* "--explain-acl IDENTITY VERB OBJECT": the deciding rule, for people who write rules. */
#ifndef SQ_BROKER_CONFIG_EXPLAIN_H
#define SQ_BROKER_CONFIG_EXPLAIN_H

#include <stdbool.h>
#include <stdio.h>

#include "broker/config/config.h"

struct sq_explain {
	const char *identity; /* NULL: the flag is not there; "": nobody */
	const char *verb, *object;
	const char *client, *space; /* NULL: not given */
};

enum { SQ_EXPLAIN_ALLOWED = 0, SQ_EXPLAIN_DENIED = 1 };

/* Takes the flag and its own ("--client ID", "--space NAME") out of the arguments.
 * SQ_EINVAL with a line in 'err': something is missing. */
int
sq_explain_take(int *argc, char **argv, struct sq_explain *out, struct sq_buf *err) SQ_MUST_CHECK;
/* Writes one line with the decision and its rule to 'out'; returns one of the codes above, or
 * SQ_EXIT_CONFIG with a line in 'err'. */
int sq_explain_run(
    const struct sq_explain *, const struct sq_broker_config *, FILE *out, struct sq_buf *err);

#endif
