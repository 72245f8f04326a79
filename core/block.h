/* A reference-counted run of bytes, immutable once shared.  Messages that came
 * together (one batch) share the block they came in. */
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
struct sq_block *sq_block_copy(const void *p, size_t size);
void sq_block_free(struct sq_block *); /* only by sq_block_unref() */

static inline struct sq_block *
sq_block_ref(struct sq_block *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

/* Gives '*bp' back, if any, and nulls it. */
static inline void
sq_block_unref(struct sq_block **bp)
{
	struct sq_block *b = *bp;

	*bp = NULL;
	if (b != NULL && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		sq_block_free(b);
}

#endif
