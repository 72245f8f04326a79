/* Timers: a binary min-heap of intrusive nodes, ordered by their due times.  The heap has no clock:
 * its owner asks for nodes that are due.  A zeroed struct is an empty heap. */
#ifndef SQ_CORE_HEAP_H
#define SQ_CORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sq_heap_node {
	uint64_t due;
	size_t pos;  /* index + 1; 0: in no heap */
	void *owner; /* the caller's */
};

struct sq_heap {
	struct sq_heap_node **v;
	size_t n, cap;
};

/* Puts the node in, or moves a node that is in this heap already. */
void sq_heap_set(struct sq_heap *, struct sq_heap_node *, uint64_t due);
/* Takes the node out; nothing happens if it is in no heap. */
void sq_heap_remove(struct sq_heap *, struct sq_heap_node *);
/* Takes out and returns the earliest node that is due at 'now'; NULL: none is. */
struct sq_heap_node *sq_heap_pop(struct sq_heap *, uint64_t now);
/* Frees the array, not the nodes. */
void sq_heap_fini(struct sq_heap *);

#endif
