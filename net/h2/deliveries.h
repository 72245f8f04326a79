/* The deliveries response as a sequence of frames (docs/link.md, "Deliveries"),
 * from bytes that arrive in any split.
 *
 * Pure.  A frame that lies whole in the bytes of one call is handed out where it lies;
 * one that is spread over several calls is put together once, in a block of its
 * own.  A zeroed struct is a reader at the start of a frame. */
#ifndef SQ_NET_H2_DELIVERIES_H
#define SQ_NET_H2_DELIVERIES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/block.h"
#include "core/err.h"
#include "proto/link/frame.h"

struct sq_deliveries {
	struct sq_block *block; /* the frame that is being put together */
	size_t have;            /* bytes of it, or of 'head' while 'block' is NULL */
	unsigned char head[4];  /* its length field, when even that was split */
};

/* A frame.  With 'block' the frame lies in it and may be kept by a reference,
 * else it is valid during the call.  Anything but 0 ends the feed with it. */
typedef int sq_deliveries_fn(void *arg, const struct sq_frame *, struct sq_block *block);

/* Takes the next bytes.  SQ_EINVAL or SQ_ETOOBIG (a frame above 'max' bytes): the
 * stream is unusable from here. */
int sq_deliveries_feed(struct sq_deliveries *, const unsigned char *p, size_t len, size_t max,
    sq_deliveries_fn *fn, void *arg) SQ_MUST_CHECK;
/* Whether a frame has begun and not ended. */
bool sq_deliveries_partial(const struct sq_deliveries *);
void sq_deliveries_fini(struct sq_deliveries *);

#endif
