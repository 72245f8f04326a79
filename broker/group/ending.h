/* Endings: queues that nobody wants any more, with what is left in them.
 *
 * A queue ends when its group or its session does.  By then it is unbound and nobody
 * finds it; a group or a session of the same name that comes meanwhile has a queue of its
 * own.  The ending is its only consumer: it reads it in slices, counts each message by the
 * reason of the end, makes dead letters of those of QoS 3, and deletes the queue when it
 * is empty.  A slice is one transaction.
 *
 * The record of a stored queue's ending is made in the transaction that deletes that of
 * its group or session, so a restart goes on where the last slice was committed.  A
 * delivery of a group's queue that a session still has may come back to it; one of QoS 2
 * that is in its handshake over such a restart is with its client an orphan, and here one
 * more message of the queue. */
#ifndef SQ_BROKER_GROUP_ENDING_H
#define SQ_BROKER_GROUP_ENDING_H

#include "broker/shard/shard.h"

struct sq_ending;
struct sq_source;

/* Stored: never renumber one. */
enum sq_ending_why {
	SQ_ENDING_EXPIRED = 1,         /* a durable group was without members for too long */
	SQ_ENDING_LEFT = 2,            /* the last member of another group has left */
	SQ_ENDING_SESSION_ENDED = 3,   /* by its client, or one that took its place */
	SQ_ENDING_SESSION_EXPIRED = 4, /* its client was away for too long */
};

struct sq_ending_cfg {
	struct sq_queue *queue;   /* the ending's from now on */
	struct sq_source *source; /* the same */
	struct sq_worker *owner;  /* of the queue */
	const char *name;         /* of the queue, */
	uint64_t number;          /* as in sq_record_queue_name() */
	enum sq_ending_why why;
	bool stored; /* the queue is; else 'txn' is not used */
	bool lent;   /* others settle there until sq_ending_release(); they hold no lock on it */
};

/* No binding leads to the queue, and no consumer is left that was not cancelled.  It is read
 * once 'txn', which marks it as ending, was committed: by the end of this worker's turn. */
struct sq_ending *
sq_ending_begin(struct sq_broker *, const struct sq_ending_cfg *cfg, struct sq_txn *txn);
/* Those to whom queue and source were lent use them no longer.  Nulls the pointer.  On any
 * worker. */
void sq_ending_release(struct sq_ending **);

/* A shard's. */
struct sq_endings *sq_endings_new(void);
/* None is left. */
void sq_endings_free(struct sq_endings **);

/* Goes on with those that nothing else wakes.  On the shard's worker. */
void sq_endings_tick(struct sq_shard *);
/* The broker ends: what is stored waits for the next start.  On the shard's worker. */
void sq_endings_stop(struct sq_shard *);

/* Start: opens the queues that were ending, before sq_engine_ops.start.ready().  SQ_EINVAL: a
 * record can't be read; it was logged. */
int sq_endings_load(struct sq_broker *) SQ_MUST_CHECK;
/* And goes on with them: the engine is ready, nothing may commit before. */
void sq_endings_start(struct sq_broker *);

#endif
