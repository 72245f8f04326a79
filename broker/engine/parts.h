/* A transaction in parts: what is too large for one goes into several, and is done when all of them
 * are.
 *
 * The user embeds struct sq_parts, zeroed, and keeps it until done().  On the worker of the
 * transactions. */
#ifndef SQ_BROKER_ENGINE_PARTS_H
#define SQ_BROKER_ENGINE_PARTS_H

#include <stdbool.h>

#include "broker/engine/engine.h"

struct sq_parts {
	struct sq_txn *txn;  /* the part under construction */
	struct sq_txn begun; /* the first part */
	/* Called when all parts are done; 'err' is one of their errors: the changes of that part were
	 * not made. */
	void (*done)(struct sq_parts *, int err);
	unsigned pending; /* parts whose commit is not done */
	int err;
};

/* Begins the first part; 'begun' has its worker and its engine. */
void sq_parts_begin(struct sq_parts *, void (*done)(struct sq_parts *, int err));
/* Commits the part under construction, and begins the next one. */
void sq_parts_next(struct sq_parts *);
/* The same.  False, and nothing happens: the part holds nothing durable. */
bool sq_parts_split(struct sq_parts *);
/* Commits the last part. */
void sq_parts_commit(struct sq_parts *);
/* Has done() get 'err', whatever becomes of the parts. */
void sq_parts_fail(struct sq_parts *, int err);

#endif
