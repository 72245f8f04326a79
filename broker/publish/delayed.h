/* Messages that are published later: sqmqos-delay (docs/user-guide.md).
 *
 * They wait in memory, ordered by their time and then by their publishing, each
 * with a record in the store; due.c publishes them.  Delayed wills are their sessions'. */
#ifndef SQ_BROKER_PUBLISH_DELAYED_H
#define SQ_BROKER_PUBLISH_DELAYED_H

#include "broker/shard/shard.h"
#include "core/heap.h"

struct sq_delayed;

struct sq_later {
	struct sq_heap_node node; /* while it waits */
	struct sq_list due;       /* then */
	uint64_t id;              /* of its record; rises with each that is added */
	struct sq_tenant *tenant; /* whose publish it was; it counts in its account */
	struct sq_msg msg;
	uint64_t not_from;
};

struct sq_delayed *sq_delayed_new(struct sq_broker *);
void sq_delayed_free(struct sq_delayed **);
/* Reads what the store has; before any other use.  Returns the engine's error. */
int sq_delayed_load(struct sq_delayed *, uint64_t now_ms) SQ_MUST_CHECK;

/* Keeps a copy of 'm' until 'due_ms' on the workers' clock; its record is in 'txn'.
 * 'not_from' as in struct sq_binding.  SQ_ENOMEM when the tenant has its share.  Any worker. */
int sq_delayed_add(struct sq_delayed *, struct sq_txn *txn, struct sq_tenant *,
    const struct sq_msg *m, uint64_t not_from, uint64_t due_ms) SQ_MUST_CHECK;

/* --- on the first worker --- */

/* Puts what is due by now in order. */
void sq_delayed_collect(struct sq_delayed *, uint64_t now_ms);
/* The next of these behind that one, NULL: the first.  It stays until sq_delayed_done().  NULL:
 * there is none. */
struct sq_later *sq_delayed_next(struct sq_delayed *, const struct sq_later *behind);
/* It was published by 'txn', which deletes its record; it is freed. */
void sq_delayed_done(struct sq_delayed *, struct sq_later *, struct sq_txn *txn);

#endif
