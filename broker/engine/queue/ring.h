/* A ring of items in order, which grows, and frees its memory after a backlog.  A zeroed struct is
 * an empty ring. */
#ifndef SQ_BROKER_ENGINE_QUEUE_RING_H
#define SQ_BROKER_ENGINE_QUEUE_RING_H

#include "broker/engine/item.h"

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

/* Appends an item; takes over its references, like the next two. */
void sq_ring_push(struct sq_ring *, const struct sq_item *);
/* Insert an item by its seq: the first searches from the end, the second from the front. */
void sq_ring_push_sorted(struct sq_ring *, const struct sq_item *);
void sq_ring_insert(struct sq_ring *, const struct sq_item *);
/* The index of the first item with 'from' as its seq, or a greater one; 'n': there is none. */
uint32_t sq_ring_seek(const struct sq_ring *, uint64_t from);
/* Removes and returns the first item; the ring is not empty. */
struct sq_item sq_ring_pop(struct sq_ring *);
/* Removes the i-th item, from the front, into 'out'. */
void sq_ring_take(struct sq_ring *, uint32_t i, struct sq_item *out);
/* Removes the item of that seq into 'out'; false: there is none. */
bool sq_ring_remove(struct sq_ring *, uint64_t seq, struct sq_item *out);
void sq_ring_fini(struct sq_ring *); /* frees the items too */

#endif
