/* What the counting of memory asks of the allocator: core/memory_malloc.c where it is glibc's,
 * core/memory_sanitizer.c where a sanitizer has its own. */
#ifndef SQ_CORE_MEMORY_PRIV_H
#define SQ_CORE_MEMORY_PRIV_H

#include <stdint.h>

/* Anonymous memory of the process, bytes; 0 where it says nothing of what is in use. */
int64_t sq_memory_allocator_resident(void);
/* Gives free memory back to the system; returns the milliseconds that it took. */
uint64_t sq_memory_allocator_trim(void);

#endif
