/* Growable byte buffer; see core/buf.h.  Sizes are bounded by the callers: each
 * queue and decoder has its own limit, this is only the memory behind it. */
#include "core/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"

#define BUF_MIN 64u

/* The next capacity that holds 'need' bytes: powers of two. */
static size_t
buf_capacity(size_t need)
{
	size_t cap = BUF_MIN;

	assert(need <= SIZE_MAX / 4);
	while (cap < need)
		cap *= 2;
	return cap;
}

/* Moves the contents to the front, into 'cap' bytes of new memory or, if it is
 * the capacity that is there, in place. */
static void
buf_relocate(struct sq_buf *b, size_t cap)
{
	size_t len = sq_buf_len(b);

	if (cap == b->cap) {
		memmove(b->base, b->base + b->start, len);
	} else if (b->start == 0) {
		b->base = sq_xrealloc(b->base, cap);
	} else {
		unsigned char *base = sq_xmalloc(cap);

		memcpy(base, b->base + b->start, len);
		free(b->base);
		b->base = base;
	}
	b->cap = cap;
	b->start = 0;
	b->end = len;
}

unsigned char *
sq_buf_reserve(struct sq_buf *b, size_t n)
{
	size_t len = sq_buf_len(b);

	assert(n <= SIZE_MAX / 8 && len <= SIZE_MAX / 8);
	if (n > b->cap - b->end || b->base == NULL) {
		/* Moving at most half of the buffer keeps appends linear in total. */
		if (b->base != NULL && len + n <= b->cap && len <= b->cap / 2)
			buf_relocate(b, b->cap);
		else
			buf_relocate(b, buf_capacity(len + n > b->cap ? len + n : b->cap + 1));
	}
	return b->base + b->end;
}

void
sq_buf_append(struct sq_buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(sq_buf_reserve(b, n), p, n);
	b->end += n;
}

void
sq_buf_drain(struct sq_buf *b, size_t n)
{
	assert(n <= sq_buf_len(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void
sq_buf_trim(struct sq_buf *b, size_t keep)
{
	if (sq_buf_len(b) != 0 || b->cap <= keep)
		return;
	sq_buf_fini(b);
}

void
sq_buf_fini(struct sq_buf *b)
{
	free(b->base);
	*b = (struct sq_buf){0};
}

void
sq_buf_wipe(struct sq_buf *b)
{
	if (b->base != NULL)
		explicit_bzero(b->base, b->cap);
	sq_buf_fini(b);
}

char *
sq_buf_take_text(struct sq_buf *b)
{
	char *text = sq_xmemdup0(sq_buf_data(b), sq_buf_len(b));

	sq_buf_fini(b);
	return text;
}

bool
sq_buf_equal(const struct sq_buf *a, const struct sq_buf *b)
{
	size_t len = sq_buf_len(a);

	return len == sq_buf_len(b) &&
	    (len == 0 || memcmp(sq_buf_data(a), sq_buf_data(b), len) == 0);
}

void
sq_buf_u8(struct sq_buf *b, uint8_t v)
{
	*sq_buf_reserve(b, 1) = v;
	b->end += 1;
}

void
sq_buf_u16(struct sq_buf *b, uint16_t v)
{
	sq_put16(sq_buf_reserve(b, 2), v);
	b->end += 2;
}

void
sq_buf_u32(struct sq_buf *b, uint32_t v)
{
	sq_put32(sq_buf_reserve(b, 4), v);
	b->end += 4;
}

void
sq_buf_u64(struct sq_buf *b, uint64_t v)
{
	sq_put64(sq_buf_reserve(b, 8), v);
	b->end += 8;
}

void
sq_buf_printf(struct sq_buf *b, const char *fmt, ...)
{
	va_list ap;
	size_t room = 128;
	int n;

	for (;;) {
		char *p = (char *)sq_buf_reserve(b, room);

		va_start(ap, fmt);
		n = vsnprintf(p, room, fmt, ap);
		va_end(ap);
		assert(n >= 0);
		if ((size_t)n < room)
			break;
		room = (size_t)n + 1;
	}
	b->end += (size_t)n;
}
