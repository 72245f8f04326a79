/* Binary heap in an array; nodes know their place, so any can be moved. */
#include "core/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"

static void
heap_place(struct sq_heap *h, size_t i, struct sq_heap_node *n)
{
	h->v[i] = n;
	n->pos = i + 1;
}

static void
heap_up(struct sq_heap *h, size_t i, struct sq_heap_node *n)
{
	while (i > 0 && n->due < h->v[(i - 1) / 2]->due) {
		heap_place(h, i, h->v[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_place(h, i, n);
}

static void
heap_down(struct sq_heap *h, size_t i, struct sq_heap_node *n)
{
	for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
		if (child + 1 < h->n && h->v[child + 1]->due < h->v[child]->due)
			child++;
		if (n->due <= h->v[child]->due)
			break;
		heap_place(h, i, h->v[child]);
	}
	heap_place(h, i, n);
}

void
sq_heap_set(struct sq_heap *h, struct sq_heap_node *n, uint64_t due)
{
	sq_heap_remove(h, n);
	if (h->n == h->cap) {
		h->cap = h->cap > 0 ? h->cap * 2 : 16;
		h->v = sq_xrealloc(h->v, h->cap * sizeof(*h->v));
	}
	n->due = due;
	heap_up(h, h->n++, n);
}

void
sq_heap_remove(struct sq_heap *h, struct sq_heap_node *n)
{
	struct sq_heap_node *last;
	size_t i;

	if (n->pos == 0)
		return;
	i = n->pos - 1;
	assert(i < h->n && h->v[i] == n);
	n->pos = 0;
	last = h->v[--h->n];
	if (last == n)
		return;
	if (i > 0 && last->due < h->v[(i - 1) / 2]->due)
		heap_up(h, i, last);
	else
		heap_down(h, i, last);
}

struct sq_heap_node *
sq_heap_pop(struct sq_heap *h, uint64_t now)
{
	struct sq_heap_node *n = h->n > 0 ? h->v[0] : NULL;

	if (n == NULL || n->due > now)
		return NULL;
	sq_heap_remove(h, n);
	return n;
}

void
sq_heap_fini(struct sq_heap *h)
{
	free(h->v);
	*h = (struct sq_heap){0};
}
