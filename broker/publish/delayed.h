/* Delayed messages: sqmqos-delay (docs/user-guide.md).
 *
 * They wait in memory, ordered by time and then by publish, each with a record in the store; due.c
 * publishes them.  Delayed wills are kept by their sessions. */
#ifndef SQ_BROKER_PUBLISH_DELAYED_H
#define SQ_BROKER_PUBLISH_DELAYED_H

#include "broker/shard/shard.h"
#include "core/heap.h"

struct sq_delayed;

struct sq_later {
	struct sq_heap_node node; /* until it is due */
	struct sq_list due;       /* after that */
	uint64_t id;              /* of its record; rises with each message */
	struct sq_tenant *tenant; /* the publisher's tenant, whose account counts it */
	struct sq_msg msg;
	uint64_t not_from;
};

struct sq_delayed *sq_delayed_new(struct sq_broker *);
void sq_delayed_free(struct sq_delayed **);
/* Reads the delayed messages of the store; before any other use.  Returns the engine's error. */
int sq_delayed_load(struct sq_delayed *, uint64_t now_ms) SQ_MUST_CHECK;

/* Takes the share of the tenant that 'm' needs; false: it is used up.  sq_delayed_add() then adds the
 * message, or sq_delayed_give() gives the share of 'n' messages of 'bytes' back.  Thread: any.
 * Locks: none. */
bool sq_delayed_take(struct sq_tenant *, const struct sq_msg *m) SQ_MUST_CHECK;
void sq_delayed_give(struct sq_tenant *, uint32_t n, uint64_t bytes);
/* The same whether there is room or not. */
void sq_delayed_force(struct sq_tenant *, const struct sq_msg *m);
/* Adds 'm', with a reference, until 'due_ms' on the workers' clock; 'txn' gets its record.
 * 'not_from' as in struct sq_binding.  Thread: any worker.  Locks: its own. */
void sq_delayed_add(struct sq_delayed *, struct sq_txn *txn, struct sq_tenant *,
    const struct sq_msg *m, uint64_t not_from, uint64_t due_ms);

/* --- on the first worker --- */

/* Collects the messages that are due now, in order. */
void sq_delayed_collect(struct sq_delayed *, uint64_t now_ms);
/* The due message behind 'behind' (NULL: the first), which stays until sq_delayed_done().  NULL:
 * there is none. */
struct sq_later *sq_delayed_next(struct sq_delayed *, const struct sq_later *behind);
/* Frees a message that 'txn' has published, and deletes its record by 'txn'. */
void sq_delayed_done(struct sq_delayed *, struct sq_later *, struct sq_txn *txn);

#endif
