/* Big-endian integers in memory, and a reader with a bound.  A read past the end sets 'bad' and
 * yields 0, so a decoder checks once, at its own end. */
#ifndef SQ_CORE_BYTES_H
#define SQ_CORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The value of a hexadecimal digit, of either case; -1: it is none. */
static inline int
sq_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline uint16_t
sq_get16(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
sq_get32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return __builtin_bswap32(v);
}

static inline uint64_t
sq_get64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return __builtin_bswap64(v);
}

static inline void
sq_put16(unsigned char *p, uint16_t v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
}

static inline void
sq_put32(unsigned char *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof v);
}

static inline void
sq_put64(unsigned char *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof v);
}

struct sq_reader {
	const unsigned char *p, *end;
	bool bad;
};

static inline struct sq_reader
sq_reader(const void *p, size_t len)
{
	const unsigned char *at = p != NULL ? p : (const unsigned char *)"";

	return (struct sq_reader){at, at + len, false};
}

static inline size_t
sq_reader_left(const struct sq_reader *r)
{
	return (size_t)(r->end - r->p);
}

/* Returns 'n' bytes of the input, or NULL (and 'bad') if fewer are left. */
static inline const unsigned char *
sq_read_bytes(struct sq_reader *r, size_t n)
{
	const unsigned char *p = r->p;

	if (r->bad || sq_reader_left(r) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

static inline uint8_t
sq_read8(struct sq_reader *r)
{
	const unsigned char *p = sq_read_bytes(r, 1);

	return p != NULL ? p[0] : 0;
}

static inline uint16_t
sq_read16(struct sq_reader *r)
{
	const unsigned char *p = sq_read_bytes(r, 2);

	return p != NULL ? sq_get16(p) : 0;
}

static inline uint32_t
sq_read32(struct sq_reader *r)
{
	const unsigned char *p = sq_read_bytes(r, 4);

	return p != NULL ? sq_get32(p) : 0;
}

static inline uint64_t
sq_read64(struct sq_reader *r)
{
	const unsigned char *p = sq_read_bytes(r, 8);

	return p != NULL ? sq_get64(p) : 0;
}

#endif
