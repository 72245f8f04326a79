/* Pacing: a batch that was put into a queue which runs behind is answered when
 * the queue has run down again, so that a publisher is not faster than his
 * subscribers can be.
 *
 * Only for a moment, because a subscriber that does not keep up must not stop
 * others: the answer goes out after PACE_MS at the latest, and a queue from which
 * nothing was taken for PACE_STUCK_MS is not waited for; it fills up to its
 * limit, and then its policy says what happens.  Only queues of the own shard are
 * waited for.  While the process is near its limit of memory (core/memory.h) each batch waits
 * PACE_MS. */
#ifndef SQ_BROKER_SHARD_PACE_H
#define SQ_BROKER_SHARD_PACE_H

#include "broker/shard/shard.h"

/* Nothing waits yet. */
void sq_pace_init(struct sq_shard *);
/* A message of batch 'c' was put into 'sink': if that runs behind, 'c' waits. */
void sq_pace_put(struct sq_shard *, struct sq_call *c, struct sq_sink *sink);
/* Batch 'c' was carried out while memory runs short: it waits, whatever it was put into. */
void sq_pace_memory(struct sq_shard *, struct sq_call *c);
/* 'c' has its answer; sends it now or when its wait is over. */
void sq_pace_answer(struct sq_call *c);
/* Items of 'sink' have left. */
void sq_pace_taken(struct sq_shard *, struct sq_sink *sink);
/* Nobody waits for 'sink' any more: it ends. */
void sq_pace_end(struct sq_shard *, struct sq_sink *sink);
/* Ends the waits that are over. */
void sq_pace_tick(struct sq_shard *, uint64_t now_ms);

#endif
