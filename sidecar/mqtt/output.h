/* What waits to be written to one socket: copied bytes, and references to large
 * payloads that stay in the block they came in.  Tells when QoS 0 deliveries
 * have left, for their credit. */
#ifndef SQ_SIDECAR_MQTT_OUTPUT_H
#define SQ_SIDECAR_MQTT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/block.h"
#include "core/buf.h"
#include "core/err.h"

/* Buffers that drained outputs leave for the next ones, so that a busy client
 * needs no allocation and an idle one no memory. */
struct sq_output_cache {
	struct sq_buf spare[8];
	size_t n;
};

struct sq_output_mark {
	uint64_t end; /* when so much is written */
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
	bool sealed; /* the first mark takes no more */
};

/* Room for 'n' bytes; the caller adds what he wrote with sq_output_commit(). */
unsigned char *sq_output_reserve(struct sq_output *, struct sq_output_cache *, size_t n);
void sq_output_commit(struct sq_output *, size_t n);
/* Puts 'len' bytes that lie in 'block'; takes a reference. */
void sq_output_ref(struct sq_output *, struct sq_block *block, const void *p, size_t len);
/* A QoS 0 delivery of 'size' image bytes ends here. */
void sq_output_mark(struct sq_output *, uint64_t size);
static inline size_t
sq_output_len(const struct sq_output *o)
{
	return (size_t)(o->queued - o->written);
}

/* Writes what the socket takes.  0: everything; SQ_EAGAIN: wait until it is
 * writable; SQ_EIO: broken.  '*msgs' and '*bytes': the marks that were passed. */
int sq_output_write(struct sq_output *, struct sq_output_cache *, int fd, uint64_t *msgs,
    uint64_t *bytes) SQ_MUST_CHECK;
/* Drops everything; '*msgs' and '*bytes' are all marks that were left. */
void sq_output_drop(struct sq_output *, uint64_t *msgs, uint64_t *bytes);
void sq_output_cache_fini(struct sq_output_cache *);

#endif
