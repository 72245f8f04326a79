/* Memory that is always there.
 *
 * A failed allocation ends the process, as in h2o.  Acknowledged messages are durable, and every
 * queue and table has its limit, so running out of memory means a wrong limit.
 *
 * Thread: any. */
#ifndef SQ_CORE_MEM_H
#define SQ_CORE_MEM_H

#include <stddef.h>

void *sq_xmalloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *sq_xcalloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
/* Zeroed memory that begins at a multiple of 'align', a power of two; 'size' is a multiple of it. */
void *sq_xcalloc_aligned(size_t align, size_t size)
    __attribute__((malloc, alloc_align(1), alloc_size(2), returns_nonnull));
void *sq_xrealloc(void *p, size_t size) __attribute__((alloc_size(2), returns_nonnull));
char *sq_xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/* Copies 'len' bytes and adds a NUL. */
char *sq_xmemdup0(const void *p, size_t len) __attribute__((malloc, returns_nonnull));

/* Whether two secrets of 'len' bytes are equal, in constant time. */
_Bool sq_secret_equal(const void *a, const void *b, size_t len);

#define SQ_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define SQ_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
