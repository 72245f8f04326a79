/* A command that is run for a message: sh -c TEXT, with the payload as its standard input. */
#ifndef SQ_CLI_API_RUN_H
#define SQ_CLI_API_RUN_H

#include <stdint.h>

#include "cli/api/message.h"

struct sq_run_ask {
	const char *command;
	uint64_t every_ms; /* 'again' is called so often while it runs */
	void (*again)(void *arg);
	void *arg;
};

/* Runs it to its end, with the environment and SQMQOS_TOPIC, SQMQOS_ID, SQMQOS_LEASE, SQMQOS_ATTEMPT,
 * SQMQOS_TYPE, SQMQOS_KEY and SQMQOS_ORDER_KEY of the message.  Returns its exit code, 128 and the
 * signal that ended it; SQ_EIO: it could not be started, 'err' has a line. */
int sq_run_command(
    const struct sq_run_ask *, const struct sq_api_message *, struct sq_buf *err) SQ_MUST_CHECK;

#endif
