/* Pacing: a batch for a queue that runs behind is answered after the queue has shrunk, to slow
 * publishers down to their subscribers.
 *
 * A slow subscriber must not stop others: an answer leaves after PACE_MS at the latest, and no
 * batch waits for a queue from which nothing was taken for PACE_STUCK_MS.  That queue grows to its
 * limit, where its policy decides.  A batch waits for queues of its own shard alone.  While the
 * process is near its memory limit (core/memory.h), each batch waits PACE_MS.
 *
 * Thread: the shard's worker. */
#ifndef SQ_BROKER_SHARD_PACE_H
#define SQ_BROKER_SHARD_PACE_H

#include "broker/shard/shard.h"

/* Begins without waiting calls. */
void sq_pace_init(struct sq_shard *);
/* A message of batch 'c' was put into 'sink': has 'c' wait if the sink's queue runs behind. */
void sq_pace_put(struct sq_shard *, struct sq_call *c, struct sq_sink *sink);
/* Batch 'c' was carried out: has it wait if memory is short. */
void sq_pace_memory(struct sq_shard *, struct sq_call *c);
/* Sends the answer that is in 'c', now or when its wait is over; 'c' belongs to the front then. */
void sq_pace_answer(struct sq_call *c);
/* Items of 'sink' have left: ends waits for it. */
void sq_pace_taken(struct sq_shard *, struct sq_sink *sink);
/* An item has gone to the taker of 'sink' past its queue, which is as long as before. */
void sq_pace_passed(struct sq_shard *, struct sq_sink *sink);
/* Ends the waits for 'sink', which ends. */
void sq_pace_end(struct sq_shard *, struct sq_sink *sink);
/* Ends waits whose time is over. */
void sq_pace_tick(struct sq_shard *, uint64_t now_ms);

#endif
