/* The deliveries response as a sequence of frames (docs/link.md, "Deliveries"), read from bytes in
 * any split.
 *
 * Pure.  A frame inside the bytes of one call is handed out in place; a frame over several calls is
 * assembled once, in a block of its own.  A zeroed struct is a reader at the start of a frame. */
#ifndef SQ_NET_H2_DELIVERIES_H
#define SQ_NET_H2_DELIVERIES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/block.h"
#include "core/err.h"
#include "proto/link/frame.h"

struct sq_deliveries {
	struct sq_block *block; /* the frame under assembly */
	size_t have;            /* bytes of it; of 'head' while 'block' is NULL */
	unsigned char head[4];  /* its length field, if that was split */
};

/* A frame.  With 'block' the frame is inside it, and may be kept by a reference; else it is valid
 * during the call.  A result other than 0 ends the feed and is returned. */
typedef int sq_deliveries_fn(void *arg, const struct sq_frame *, struct sq_block *block);

/* Reads the next bytes.  SQ_EINVAL, or SQ_ETOOBIG for a frame above 'max' bytes: the stream is
 * unusable from here. */
int sq_deliveries_feed(struct sq_deliveries *, const unsigned char *p, size_t len, size_t max,
    sq_deliveries_fn *fn, void *arg) SQ_MUST_CHECK;
/* Whether a frame has begun and not ended. */
bool sq_deliveries_partial(const struct sq_deliveries *);
void sq_deliveries_fini(struct sq_deliveries *);

#endif
