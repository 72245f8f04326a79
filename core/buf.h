/* Growable byte buffer with a consumed front: append at the end, drain from
 * the start.  A zeroed struct is an empty buffer. */
#ifndef SQ_CORE_BUF_H
#define SQ_CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sq_buf {
	unsigned char *base;
	size_t start, end, cap; /* offsets into 'base' */
};

static inline size_t
sq_buf_len(const struct sq_buf *b)
{
	return b->end - b->start;
}

static inline unsigned char *
sq_buf_data(const struct sq_buf *b)
{
	return b->start != 0 ? b->base + b->start : b->base;
}

/* Makes room for 'n' more bytes and returns their place.  The caller writes there and adds the
 * bytes written with sq_buf_commit(). */
unsigned char *sq_buf_reserve(struct sq_buf *, size_t n);
static inline void
sq_buf_commit(struct sq_buf *b, size_t n)
{
	b->end += n;
}
/* Appends a copy of 'n' bytes. */
void sq_buf_append(struct sq_buf *, const void *p, size_t n);
/* Drops 'n' bytes from the front. */
void sq_buf_drain(struct sq_buf *, size_t n);
/* Frees the memory of an empty buffer whose capacity is above 'keep' bytes. */
void sq_buf_trim(struct sq_buf *, size_t keep);
/* Frees the memory; the buffer is empty afterwards. */
void sq_buf_fini(struct sq_buf *);
/* Wipes the memory of a buffer that has held a secret, then frees it.  Growing leaves copies
 * behind: reserve room for the whole secret first. */
void sq_buf_wipe(struct sq_buf *);
/* The bytes with a NUL behind them, in memory of their own, for the caller to free; the buffer's memory is
 * freed, and it is empty afterwards. */
char *sq_buf_take_text(struct sq_buf *);
/* Whether both buffers hold the same bytes. */
bool sq_buf_equal(const struct sq_buf *, const struct sq_buf *);

/* Append an integer, big-endian. */
void sq_buf_u8(struct sq_buf *, uint8_t);
void sq_buf_u16(struct sq_buf *, uint16_t);
void sq_buf_u32(struct sq_buf *, uint32_t);
void sq_buf_u64(struct sq_buf *, uint64_t);
/* Appends formatted text, without a NUL. */
void sq_buf_printf(struct sq_buf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
