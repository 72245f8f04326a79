/* Allocation that ends the process when memory is out, and comparison of
 * secrets.  At the bottom of everything: knows no other module. */
#include "core/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Says so without allocating, then aborts. */
static _Noreturn void
mem_out(void)
{
	static const char text[] = "out of memory\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);

	(void)n;
	abort();
}

void *
sq_xmalloc(size_t size)
{
	void *p = malloc(size != 0 ? size : 1);

	if (p == NULL)
		mem_out();
	return p;
}

void *
sq_xcalloc(size_t n, size_t size)
{
	void *p = n != 0 && size != 0 ? calloc(n, size) : calloc(1, 1);

	if (p == NULL)
		mem_out();
	return p;
}

void *
sq_xcalloc_aligned(size_t align, size_t size)
{
	void *p = aligned_alloc(align, size);

	if (p == NULL)
		mem_out();
	return memset(p, 0, size);
}

void *
sq_xrealloc(void *p, size_t size)
{
	p = realloc(p, size != 0 ? size : 1);
	if (p == NULL)
		mem_out();
	return p;
}

char *
sq_xstrdup(const char *s)
{
	return sq_xmemdup0(s, strlen(s));
}

char *
sq_xmemdup0(const void *p, size_t len)
{
	char *copy;

	if (len == SIZE_MAX)
		mem_out();
	copy = sq_xmalloc(len + 1);
	if (len != 0)
		memcpy(copy, p, len);
	copy[len] = '\0';
	return copy;
}

_Bool
sq_secret_equal(const void *a, const void *b, size_t len)
{
	const volatile unsigned char *pa = a, *pb = b;
	unsigned char diff = 0;

	for (size_t i = 0; i < len; i++)
		diff |= pa[i] ^ pb[i];
	return diff == 0;
}
