/* The output of one socket: copied bytes, and references to large payloads in their blocks.
 * Reports QoS 0 deliveries that have been written, for their credit. */
#ifndef SQ_SIDECAR_MQTT_OUTPUT_H
#define SQ_SIDECAR_MQTT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/block.h"
#include "core/buf.h"
#include "core/err.h"

/* Buffers of drained outputs for reuse, so that a busy client needs no allocation and an idle one
 * no memory. */
struct sq_output_cache {
	struct sq_buf spare[8];
	size_t n;
};

struct sq_output_mark {
	uint64_t end; /* value of 'written' at which the deliveries have left */
	uint64_t msgs, bytes;
};

struct sq_output_ref;

struct sq_output {
	struct sq_buf buf;
	uint64_t buf_done; /* bytes of 'buf' that were written, ever */
	struct sq_output_ref *refs;
	uint32_t n_refs, refs_cap;
	uint64_t queued, written; /* bytes, ever */
	struct sq_output_mark mark[2];
	bool sealed; /* the first mark is complete */
};

/* Room for 'n' bytes; sq_output_commit() adds the bytes that the caller has written there. */
unsigned char *sq_output_reserve(struct sq_output *, struct sq_output_cache *, size_t n);
void sq_output_commit(struct sq_output *, size_t n);
/* Appends 'len' bytes inside 'block' without copying them; takes a new reference to the block. */
void sq_output_ref(struct sq_output *, struct sq_block *block, const void *p, size_t len);
/* Marks the present end as that of a QoS 0 delivery of 'size' image bytes. */
void sq_output_mark(struct sq_output *, uint64_t size);
static inline size_t
sq_output_len(const struct sq_output *o)
{
	return (size_t)(o->queued - o->written);
}

/* Writes as much as the socket takes. 0: all has been written; SQ_EAGAIN: the caller waits until it
 * is writable; SQ_EIO: the connection is broken.  '*msgs' and '*bytes': QoS 0 deliveries that have
 * left. */
int sq_output_write(struct sq_output *, struct sq_output_cache *, int fd, uint64_t *msgs,
    uint64_t *bytes) SQ_MUST_CHECK;
/* Drops the output; '*msgs' and '*bytes': QoS 0 deliveries in it. */
void sq_output_drop(struct sq_output *, uint64_t *msgs, uint64_t *bytes);
void sq_output_cache_fini(struct sq_output_cache *);

#endif
