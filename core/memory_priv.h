/* What the counting of memory asks of the allocator: core/memory_malloc.c where it is glibc's,
 * core/memory_sanitizer.c where a sanitizer has its own. */
#ifndef SQ_CORE_MEMORY_PRIV_H
#define SQ_CORE_MEMORY_PRIV_H

#include <stdint.h>

#include "core/memory.h"

/* Of this thread, not yet in what all see. */
extern _Thread_local int64_t sq_memory_own;
/* Adds it to that. */
void sq_memory_flush(void);
/* The allocator has so many bytes of the system's beyond what is counted. */
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

/* Anonymous memory of the process, bytes; 0 where it says nothing of what is in use. */
int64_t sq_memory_allocator_resident(void);

#endif
