/* Memory that is always there.
 *
 * Small allocations of bounded size end the process when memory is out, as
 * they do in h2o: what was acknowledged is durable, and every queue and table
 * has its limit, so running out is a wrong limit and not a state to live in. */
#ifndef SQ_CORE_MEM_H
#define SQ_CORE_MEM_H

#include <stddef.h>

void *sq_xmalloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *sq_xcalloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *sq_xrealloc(void *p, size_t size) __attribute__((alloc_size(2), returns_nonnull));
char *sq_xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/* Copies 'len' bytes and adds a NUL. */
char *sq_xmemdup0(const void *p, size_t len) __attribute__((malloc, returns_nonnull));

/* Compares two secrets of 'len' bytes in constant time; returns true if equal. */
_Bool sq_secret_equal(const void *a, const void *b, size_t len);

#define SQ_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define SQ_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
