/* The admin endpoint that the options name: an address, or a broker in a Kubernetes cluster. */
#ifndef SQ_CLI_ENDPOINT_H
#define SQ_CLI_ENDPOINT_H

#include "cli/options.h"
#include "cli/view/remote.h"

/* sq_remote_open() of what was given.  NULL: 'err' has a line, and '*code' is the exit code. */
struct sq_remote *
sq_endpoint_open(const struct sq_options *, struct sq_tables *, int *code, struct sq_buf *err);

#endif
