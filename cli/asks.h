/* What verbs that ask a broker's HTTP API have in common. */
#ifndef SQ_CLI_ASKS_H
#define SQ_CLI_ASKS_H

#include "cli/api/api.h"
#include "cli/api/publish.h"
#include "cli/verbs.h"

/* Runs 'ask' on a connection, and prints what it makes.  Returns the exit code. */
int sq_asks_run(const struct sq_run *,
    int (*ask)(struct sq_api *, void *arg, struct sq_buf *out, struct sq_buf *err), void *arg);
/* Adds properties and tags to what is published; false: one is malformed, which has been said.  End it
 * by sq_asks_properties_fini() either way. */
bool sq_asks_properties(const struct sq_options *, struct sq_api_publish *);
void sq_asks_properties_fini(struct sq_api_publish *);

#endif
