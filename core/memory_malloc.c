/* Counts what is allocated, in the whole process: malloc() and its kin are replaced by these,
 * which call glibc's ("Replacing malloc" in its manual), so that also libraries are counted.
 * A chunk counts with its head, as it takes room.
 *
 * What is mapped by hand (h2o's buffers of more than 100 MiB, files) is not counted. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/memory.h"
#include "core/memory_priv.h"

enum { HEAD = sizeof(size_t) };

/* glibc's own, under the names that it has for this. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

/* As malloc_usable_size(), with its head, but three times as fast: glibc has the size of a chunk
 * in the word before it, with three flags in its low bits.  sq_memory_start() sees to that. */
static inline int64_t
chunk(const void *p)
{
	return (int64_t)(((const size_t *)p)[-1] & ~(size_t)7);
}

static inline void *
counted(void *p)
{
	if (p != NULL)
		sq_memory_count(chunk(p));
	return p;
}

void *
malloc(size_t size)
{
	return counted(__libc_malloc(size));
}

void *
calloc(size_t n, size_t size)
{
	return counted(__libc_calloc(n, size));
}

void *
realloc(void *p, size_t size)
{
	int64_t before = p != NULL ? chunk(p) : 0;
	void *q = __libc_realloc(p, size);

	if (q != NULL)
		sq_memory_count(chunk(q) - before);
	else if (size == 0)
		sq_memory_count(-before); /* freed */
	return q;
}

void
free(void *p)
{
	if (p == NULL)
		return;
	sq_memory_count(-chunk(p));
	__libc_free(p);
}

void *
memalign(size_t align, size_t size)
{
	return counted(__libc_memalign(align, size));
}

void *
aligned_alloc(size_t align, size_t size)
{
	return counted(__libc_memalign(align, size));
}

int
posix_memalign(void **out, size_t align, size_t size)
{
	void *p;

	if (align % sizeof(void *) != 0 || (align & (align - 1)) != 0 || align == 0)
		return EINVAL;
	p = counted(__libc_memalign(align, size));
	if (p == NULL)
		return ENOMEM;
	*out = p;
	return 0;
}

void *
valloc(size_t size)
{
	return counted(__libc_memalign((size_t)sysconf(_SC_PAGESIZE), size));
}

void *
pvalloc(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return counted(__libc_memalign(page, (size + page - 1) & ~(page - 1)));
}

void
sq_memory_start(void)
{
	void *volatile p = malloc(1000);

	assert(chunk(p) == (int64_t)malloc_usable_size(p) + HEAD);
	free(p);
	/* Large blocks are mapped, and are returned to the system independently of other blocks. */
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}

void
sq_memory_one_arena(void)
{
	mallopt(M_ARENA_MAX, 1);
}

int64_t
sq_memory_allocator_resident(void)
{
	char text[128];
	long long size, resident, shared;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (sscanf(text, "%lld %lld %lld", &size, &resident, &shared) != 3)
		return 0;
	return (resident - shared) * sysconf(_SC_PAGESIZE);
}

uint64_t
sq_memory_allocator_trim(void)
{
	uint64_t start_ms = sq_clock_ms();

	malloc_trim(0);
	return sq_clock_ms() - start_ms;
}
