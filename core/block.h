/* A reference-counted run of bytes, immutable once shared.  The messages of a batch share
 * the block of the batch. */
#ifndef SQ_CORE_BLOCK_H
#define SQ_CORE_BLOCK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct sq_block {
	atomic_uint refs;
	uint32_t size;
	unsigned char bytes[];
};

/* Returns a block of 'size' uninitialised bytes with one reference. */
struct sq_block *sq_block_new(size_t size);
/* Returns a block with a copy of 'size' bytes and one reference. */
struct sq_block *sq_block_copy(const void *p, size_t size);
void sq_block_free(struct sq_block *); /* only by sq_block_unref() */

/* Adds a reference.  Thread: any that has one. */
static inline struct sq_block *
sq_block_ref(struct sq_block *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

/* Gives the reference '*bp' back, if there is one, and nulls it; the last one frees the block.
 * Thread: any. */
static inline void
sq_block_unref(struct sq_block **bp)
{
	struct sq_block *b = *bp;

	*bp = NULL;
	if (b != NULL && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		sq_block_free(b);
}

#endif
