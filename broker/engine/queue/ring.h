/* Items in order: a ring that grows, and gives its memory back when a backlog is
 * over.  A zeroed struct is an empty one. */
#ifndef SQ_BROKER_ENGINE_QUEUE_RING_H
#define SQ_BROKER_ENGINE_QUEUE_RING_H

#include "broker/engine/engine.h"

struct sq_ring {
	struct sq_item *v;
	uint32_t head, n, cap; /* cap: power of two */
};

/* The i-th item, from the front. */
static inline struct sq_item *
sq_ring_at(const struct sq_ring *r, uint32_t i)
{
	return &r->v[(r->head + i) & (r->cap - 1)];
}

/* At the end; takes the item's references, as the next two do. */
void sq_ring_push(struct sq_ring *, const struct sq_item *);
/* Where its seq says: the first looks from the end, the second from the front. */
void sq_ring_push_sorted(struct sq_ring *, const struct sq_item *);
void sq_ring_insert(struct sq_ring *, const struct sq_item *);
/* Takes the first item; there is one. */
struct sq_item sq_ring_pop(struct sq_ring *);
/* Takes the item of that seq, if it is there. */
bool sq_ring_remove(struct sq_ring *, uint64_t seq, struct sq_item *out);
void sq_ring_fini(struct sq_ring *); /* with its items */

#endif
