/* Emptying a queue, a slice at a time.  On the worker of the transaction. */
#ifndef SQ_BROKER_GROUP_PURGE_H
#define SQ_BROKER_GROUP_PURGE_H

#include <stdbool.h>
#include <stdint.h>

struct sq_burial;
struct sq_sink;
struct sq_txn;

struct sq_purge {
	struct sq_sink *sink;
	const struct sq_burial *burial;
	uint64_t upto; /* seq of the newest message that goes */
	uint64_t most; /* messages at most */
	bool letters;  /* those of QoS 3 become dead letters */
	/* The transaction, which is asked for when there is something to put into it. */
	struct sq_txn *(*txn)(void *arg);
	void *arg;
};

/* Settles the next messages that wait, as many as one transaction may have.  Returns how many, and in
 * '*err' why there are no more: SQ_OK, or as sq_queue_ops.draw says. */
uint64_t sq_purge_slice(const struct sq_purge *, int *err);

#endif
