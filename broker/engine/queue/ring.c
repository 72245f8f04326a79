#include "broker/engine/queue/ring.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"

static void
ring_grow(struct sq_ring *r)
{
	uint32_t cap = r->cap > 0 ? r->cap * 2 : 8;
	struct sq_item *v;

	if (r->n < r->cap)
		return;
	v = sq_xmalloc(cap * sizeof *v);
	for (uint32_t i = 0; i < r->n; i++)
		v[i] = *sq_ring_at(r, i);
	free(r->v);
	*r = (struct sq_ring){v, 0, r->n, cap};
}

void
sq_ring_push(struct sq_ring *r, const struct sq_item *item)
{
	ring_grow(r);
	*sq_ring_at(r, r->n++) = *item;
}

void
sq_ring_push_sorted(struct sq_ring *r, const struct sq_item *item)
{
	uint32_t i;

	sq_ring_push(r, item);
	for (i = r->n - 1; i > 0 && sq_ring_at(r, i - 1)->seq > item->seq; i--)
		*sq_ring_at(r, i) = *sq_ring_at(r, i - 1);
	*sq_ring_at(r, i) = *item;
}

uint32_t
sq_ring_seek(const struct sq_ring *r, uint64_t from)
{
	uint32_t low = 0, high = r->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (sq_ring_at(r, middle)->seq < from)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct sq_item
sq_ring_pop(struct sq_ring *r)
{
	struct sq_item item;

	assert(r->n > 0);
	item = *sq_ring_at(r, 0);
	r->head = (r->head + 1) & (r->cap - 1);
	r->n--;
	if (r->n == 0 && r->cap > 64) { /* a backlog is over: give its memory back */
		free(r->v);
		*r = (struct sq_ring){0};
	}
	return item;
}

void
sq_ring_insert(struct sq_ring *r, const struct sq_item *item)
{
	uint32_t i = 0;

	ring_grow(r);
	r->head = (r->head - 1) & (r->cap - 1);
	r->n++;
	for (; i + 1 < r->n && sq_ring_at(r, i + 1)->seq < item->seq; i++)
		*sq_ring_at(r, i) = *sq_ring_at(r, i + 1);
	*sq_ring_at(r, i) = *item;
}

void
sq_ring_take(struct sq_ring *r, uint32_t i, struct sq_item *out)
{
	assert(i < r->n);
	*out = *sq_ring_at(r, i);
	for (; i > 0; i--)
		*sq_ring_at(r, i) = *sq_ring_at(r, i - 1);
	(void)sq_ring_pop(r);
}

bool
sq_ring_remove(struct sq_ring *r, uint64_t seq, struct sq_item *out)
{
	uint32_t i = 0;

	while (i < r->n && sq_ring_at(r, i)->seq != seq)
		i++;
	if (i == r->n)
		return false;
	sq_ring_take(r, i, out);
	return true;
}

void
sq_ring_fini(struct sq_ring *r)
{
	while (r->n > 0) {
		struct sq_item item = sq_ring_pop(r);

		sq_item_fini(&item);
	}
	free(r->v);
	*r = (struct sq_ring){0};
}
