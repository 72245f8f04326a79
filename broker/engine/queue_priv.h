/* What queue.c and queue_gap.c share.  All but the first under the queue's lock. */
#ifndef SQ_BROKER_ENGINE_QUEUE_PRIV_H
#define SQ_BROKER_ENGINE_QUEUE_PRIV_H

#include "broker/engine/queue.h"

static inline uint32_t
sq_item_bytes(const struct sq_item *item)
{
	return sq_image_size(item->msg.image);
}

/* Counts messages that wait or are unsettled. */
void sq_queue_count(const struct sq_queue *, int64_t n, int64_t bytes);
void sq_queue_count_item(const struct sq_queue *, int n, const struct sq_item *item);
/* Counts bytes in memory. */
void sq_queue_hold(struct sq_queue *, int64_t bytes);
/* Has the owner hand items out. */
void sq_queue_kick(struct sq_queue *);
/* The item has left the head, or was claimed. */
void sq_queue_handed(struct sq_queue *, uint64_t seq);

#endif
