/* The deliveries reader: what it makes of bytes must not depend on how they were
 * split.  The first byte seeds the split, the rest is the stream. */
#include "net/h2/deliveries.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

enum { MAX = 1024 };

/* Writes down the whole contents of a frame, so that all of it is read. */
static int
see(void *arg, const struct sq_frame *f, struct sq_block *block)
{
	struct sq_buf *out = arg;
	const struct sq_deliver *d = &f->deliver;
	struct sq_bytes targets = d->targets;

	sq_buf_u8(out, f->type);
	if (f->type == SQ_FRAME_DETACHED) {
		sq_buf_u64(out, f->epoch);
		sq_buf_u8(out, f->reason);
	}
	if (f->type != SQ_FRAME_DELIVER)
		return 0;
	if (block != NULL)
		assert(d->image >= block->bytes &&
		    d->image + sq_image_size(d->image) <= block->bytes + block->size);
	if (d->has_origin)
		sq_origin_put(out, &d->origin);
	sq_buf_u32(out, d->expiry_s);
	sq_buf_append(out, d->image, sq_image_size(d->image));
	for (unsigned i = 0; i < d->n; i++) {
		struct sq_target t = sq_target_next(&targets);

		sq_buf_u64(out, t.epoch ^ t.delivery ^ t.queue);
		sq_buf_append(out, t.subs, t.n_subs * 4u);
	}
	return 0;
}

static int
feed(const uint8_t *p, size_t len, uint32_t seed, struct sq_buf *out)
{
	struct sq_deliveries d = {0};
	int rc = 0;

	while (len > 0 && rc == 0) {
		size_t n = seed == 0 ? len : 1 + (seed >> 16) % 37;
		unsigned char *piece;

		n = n < len ? n : len;
		piece = sq_xmalloc(n); /* so that ASan sees a read past it */
		memcpy(piece, p, n);
		rc = sq_deliveries_feed(&d, piece, n, MAX, see, out);
		free(piece);
		p += n;
		len -= n;
		seed = seed != 0 ? seed * 1664525u + 1013904223u : 0;
	}
	sq_deliveries_fini(&d);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct sq_buf whole = {0}, split = {0};
	int a, b;

	if (len < 2)
		return 0;
	a = feed(p + 1, len - 1, 0, &whole);
	b = feed(p + 1, len - 1, (p[0] + 1u) * 65537u, &split);
	assert(a == b && sq_buf_len(&whole) == sq_buf_len(&split));
	if (sq_buf_len(&whole) > 0)
		assert(memcmp(sq_buf_data(&whole), sq_buf_data(&split), sq_buf_len(&whole)) == 0);
	sq_buf_fini(&whole);
	sq_buf_fini(&split);
	return 0;
}
