/* The allocator's side of counting: core/memory_malloc.c for glibc's, core/memory_sanitizer.c for
 * a sanitizer's. */
#ifndef SQ_CORE_MEMORY_PRIV_H
#define SQ_CORE_MEMORY_PRIV_H

#include <stdint.h>

#include "core/memory.h"

/* This thread's bytes that are not yet in the sum. */
extern _Thread_local int64_t sq_memory_own;
/* Adds them to the sum. */
void sq_memory_flush(void);
/* Returns the most bytes that were in the sum since the last call; two threads that grow it in one
 * moment may miss each other's part. */
int64_t sq_memory_take_most(void);
/* Sets the bytes that the allocator has from the system beyond those counted. */
void sq_memory_keeps(int64_t bytes);

/* Counts 'n' bytes more or fewer for the calling thread. */
static inline void
sq_memory_count(int64_t n)
{
	int64_t own = sq_memory_own + n;

	sq_memory_own = own;
	if (__builtin_expect(own >= SQ_MEMORY_SLACK || own <= -SQ_MEMORY_SLACK, 0))
		sq_memory_flush();
}

/* Anonymous memory of the process in bytes; 0 where it tells nothing about memory in use. */
int64_t sq_memory_allocator_resident(void);

#endif
