/* Taking messages out of a queue, and settling them: the verbs receive, ack, nack, reject, extend. */
#ifndef SQ_CLI_API_RECEIVE_H
#define SQ_CLI_API_RECEIVE_H

#include "cli/api/api.h"

struct sq_api_receive {
	const char *queue;
	uint64_t max; /* messages of one request */
	uint64_t wait_ms;
	const char *lease; /* as it is given; NULL: the queue's */
	uint64_t lease_ms; /* of 'command' */
	bool at_once;      /* what is received is settled */
	bool json;
	const char
	    *command;   /* run for each message, which is settled by its exit code; NULL: none */
	uint64_t count; /* with 'command': so many messages; 0: until a signal */
};

/* Receives once and prints the messages, or has them handled by the command until a signal or the count.
 * Prints as it goes on.  As sq_api_ask(); a command that fails is said on stderr, and ends nothing. */
int
sq_api_receive(struct sq_api *, const struct sq_api_receive *, struct sq_buf *err) SQ_MUST_CHECK;

/* Prints what waits in a queue, 'max' messages at most, without taking any. */
int sq_api_peek(
    struct sq_api *, const char *queue, uint64_t max, bool json, struct sq_buf *err) SQ_MUST_CHECK;

/* One lease: 'how' is ack, nack, reject or extend, 'ms' when a nacked message is free again
 * (UINT64_MAX: the queue's retry), or how long an extended lease is from now on. */
int sq_api_settle(struct sq_api *, const char *lease, const char *how, uint64_t ms,
    struct sq_buf *err) SQ_MUST_CHECK;

#endif
