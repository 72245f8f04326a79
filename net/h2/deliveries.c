/* Frames out of bytes; see net/h2/deliveries.h. */
#include "net/h2/deliveries.h"

#include <assert.h>
#include <string.h>

enum { DELIVERIES_LENGTH = 4 }; /* size of the length field */

static size_t
deliveries_copy(unsigned char *to, size_t have, size_t need, const unsigned char *p, size_t len)
{
	size_t n = need - have < len ? need - have : len;

	memcpy(to + have, p, n);
	return n;
}

/* Starts a frame of 'size' bytes in a block, with the 'len' bytes at 'p'. */
static void
deliveries_begin(struct sq_deliveries *d, size_t size, const unsigned char *p, size_t len)
{
	d->block = sq_block_new(size);
	memcpy(d->block->bytes, p, len);
	d->have = len;
}

/* Adds to a split frame; returns the bytes taken, with the outcome in 'rc'. */
static size_t
deliveries_add(struct sq_deliveries *d, const unsigned char *p, size_t len, size_t max,
    sq_deliveries_fn *fn, void *arg, int *rc)
{
	struct sq_frame frame;
	struct sq_block *block;
	size_t n, used;

	*rc = 0;
	if (d->block == NULL) {
		n = deliveries_copy(d->head, d->have, DELIVERIES_LENGTH, p, len);
		d->have += n;
		if (d->have < DELIVERIES_LENGTH)
			return n;
		*rc = sq_frame_decode(d->head, DELIVERIES_LENGTH, max, &frame, &used);
		assert(*rc != 0); /* a frame is longer than its length field */
		if (*rc == SQ_EAGAIN) {
			deliveries_begin(d, used, d->head, DELIVERIES_LENGTH);
			*rc = 0;
		}
		return n;
	}
	n = deliveries_copy(d->block->bytes, d->have, d->block->size, p, len);
	d->have += n;
	if (d->have < d->block->size)
		return n;
	block = d->block;
	d->block = NULL;
	d->have = 0;
	*rc = sq_frame_decode(block->bytes, block->size, max, &frame, &used);
	if (*rc == 0)
		*rc = fn(arg, &frame, block);
	sq_block_unref(&block);
	return n;
}

int
sq_deliveries_feed(struct sq_deliveries *d, const unsigned char *p, size_t len, size_t max,
    sq_deliveries_fn *fn, void *arg)
{
	struct sq_frame frame;
	size_t used;
	int rc;

	while (len > 0) {
		if (sq_deliveries_partial(d)) {
			used = deliveries_add(d, p, len, max, fn, arg, &rc);
		} else {
			rc = sq_frame_decode(p, len, max, &frame, &used);
			if (rc == SQ_EAGAIN) {
				if (used != 0)
					deliveries_begin(d, used, p, len);
				else
					d->have = deliveries_copy(
					    d->head, 0, DELIVERIES_LENGTH, p, len);
				return 0;
			}
			if (rc == 0)
				rc = fn(arg, &frame, NULL);
		}
		if (rc != 0)
			return rc;
		p += used;
		len -= used;
	}
	return 0;
}

bool
sq_deliveries_partial(const struct sq_deliveries *d)
{
	return d->block != NULL || d->have != 0;
}

void
sq_deliveries_fini(struct sq_deliveries *d)
{
	sq_block_unref(&d->block);
	d->have = 0;
}
