/* Counts what is allocated where a sanitizer has the allocator: by its hooks, from
 * sq_memory_start() on.  What it keeps for its own work is not the program's. */
#include <stddef.h>

#include "core/memory.h"
#include "core/memory_priv.h"

/* As <sanitizer/allocator_interface.h>, which clang has and gcc has not. */
extern int __sanitizer_install_malloc_and_free_hooks(
    void (*on_malloc)(const volatile void *, size_t), void (*on_free)(const volatile void *));
extern size_t __sanitizer_get_allocated_size(const volatile void *);

static void
hook_malloc(const volatile void *p, size_t size)
{
	(void)p;
	sq_memory_count((int64_t)size);
}

static void
hook_free(const volatile void *p)
{
	if (p != NULL)
		sq_memory_count(-(int64_t)__sanitizer_get_allocated_size(p));
}

void
sq_memory_start(void)
{
	(void)__sanitizer_install_malloc_and_free_hooks(hook_malloc, hook_free);
}

void
sq_memory_one_arena(void)
{
}

int64_t
sq_memory_allocator_resident(void)
{
	return 0;
}

uint64_t
sq_memory_allocator_trim(void)
{
	return 0;
}
