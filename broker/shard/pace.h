/* Pacing: a batch for a queue that runs behind is answered when the queue has run down again, so
 * that a publisher is not faster than its subscribers.
 *
 * A subscriber that does not keep up must not stop others: an answer leaves after PACE_MS at the
 * latest, and no batch waits for a queue from which nothing was taken for PACE_STUCK_MS.  That
 * queue fills up to its limit, where its policy decides.  Only queues of the batch's own shard
 * are waited for.  While the process is near its limit of memory (core/memory.h), each batch
 * waits PACE_MS.
 *
 * Thread: all of it on the shard's worker. */
#ifndef SQ_BROKER_SHARD_PACE_H
#define SQ_BROKER_SHARD_PACE_H

#include "broker/shard/shard.h"

/* Nothing waits yet. */
void sq_pace_init(struct sq_shard *);
/* A message of batch 'c' was put into 'sink': 'c' waits if the sink's queue runs behind. */
void sq_pace_put(struct sq_shard *, struct sq_call *c, struct sq_sink *sink);
/* Batch 'c' was carried out: it waits if memory runs short. */
void sq_pace_memory(struct sq_shard *, struct sq_call *c);
/* 'c' has its answer, which leaves now or when its wait is over; 'c' is the front's then. */
void sq_pace_answer(struct sq_call *c);
/* Items of 'sink' have left. */
void sq_pace_taken(struct sq_shard *, struct sq_sink *sink);
/* 'sink' ends, and with it the waits for it. */
void sq_pace_end(struct sq_shard *, struct sq_sink *sink);
/* Ends the waits that are over. */
void sq_pace_tick(struct sq_shard *, uint64_t now_ms);

#endif
