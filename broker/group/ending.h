/* Endings: queues that end, with the messages left in them.
 *
 * A queue ends with its group or its session.  It is unbound by then and not found by name; a new
 * group or session of the same name has a queue of its own.  The ending is the queue's only
 * consumer: it reads the queue in slices, a transaction each, counts each message by the reason of
 * the end, makes dead letters of messages of QoS 3, and deletes the queue when it is empty.
 *
 * The record of a stored queue's ending is made in the transaction that deletes the record of its
 * group or session, so a restart continues behind the last committed slice.  A session's delivery
 * from a group's queue may come back to the ending.  A QoS 2 delivery whose handshake spans a
 * restart becomes an orphan at its client, and one more message of the queue here. */
#ifndef SQ_BROKER_GROUP_ENDING_H
#define SQ_BROKER_GROUP_ENDING_H

#include "broker/shard/shard.h"

struct sq_ending;
struct sq_source;

/* Stored: never renumber one. */
enum sq_ending_why {
	SQ_ENDING_EXPIRED = 1,         /* a durable group was without members for too long */
	SQ_ENDING_LEFT = 2,            /* the last member of another group has left */
	SQ_ENDING_SESSION_ENDED = 3,   /* by its client, or by one that took its place */
	SQ_ENDING_SESSION_EXPIRED = 4, /* its client was away for too long */
	SQ_ENDING_DELETED = 5,         /* a named queue, by who may manage it */
};

struct sq_ending_cfg {
	struct sq_queue *queue;   /* belongs to the ending from now on */
	struct sq_source *source; /* belongs to the ending too */
	struct sq_worker *owner;  /* of the queue */
	const char *name;         /* of the queue, */
	uint64_t number;          /* as in sq_record_queue_name() */
	enum sq_ending_why why;
	bool stored; /* the queue is stored; else 'txn' is not used */
	bool lent;   /* others settle items there until sq_ending_release() */
};

/* Begins to end a queue without bindings, whose consumers are all cancelled.  It is read after the
 * commit of 'txn', which marks it as ending, at the earliest at the end of this worker's turn. */
struct sq_ending *
sq_ending_begin(struct sq_broker *, const struct sq_ending_cfg *cfg, struct sq_txn *txn);
/* The holders of queue and source ('lent') no longer use them.  Nulls the pointer.  Thread: any
 * worker. */
void sq_ending_release(struct sq_ending **);

/* The endings of a shard. */
struct sq_endings *sq_endings_new(void);
/* Frees the struct, which has no ending left; nulls the pointer. */
void sq_endings_free(struct sq_endings **);

/* Continues endings that no event wakes.  On the shard's worker. */
void sq_endings_tick(struct sq_shard *);
/* Stops all endings because the broker ends; stored ones continue after the next start.  On the
 * shard's worker. */
void sq_endings_stop(struct sq_shard *);

/* At the start: opens the queues that were ending, before sq_engine_ops.start.ready().  SQ_EINVAL:
 * a record is malformed; it was logged. */
int sq_endings_load(struct sq_broker *) SQ_MUST_CHECK;
/* Continues the loaded endings, once the engine is ready. */
void sq_endings_start(struct sq_broker *);

#endif
