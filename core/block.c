/* Reference-counted bytes; see core/block.h. */
#include "core/block.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct sq_block *
sq_block_new(size_t size)
{
	struct sq_block *b;

	assert(size <= UINT32_MAX);
	b = sq_xmalloc(sizeof *b + size);
	atomic_init(&b->refs, 1);
	b->size = (uint32_t)size;
	return b;
}

struct sq_block *
sq_block_copy(const void *p, size_t size)
{
	struct sq_block *b = sq_block_new(size);

	if (size != 0)
		memcpy(b->bytes, p, size);
	return b;
}

void
sq_block_free(struct sq_block *b)
{
	assert(atomic_load_explicit(&b->refs, memory_order_relaxed) == 0);
	free(b);
}
