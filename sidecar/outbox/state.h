/* The state of a disk outbox in its journal: finished entries, numbers, and held ids.
 *
 *   u64 finished up to (sequence), u64 bytes of those, u64 lowest record needed, u64 next
 *   sequence, u64 bytes appended, u64 run, u64 incarnation, u64 number of the first unfinished
 *   entry, u32 n, n x (u64 first, u64 n) finished behind it; then held ids (held.h)
 *
 * Pure. */
#ifndef SQ_SIDECAR_OUTBOX_STATE_H
#define SQ_SIDECAR_OUTBOX_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"
#include "sidecar/outbox/held.h"

/* A range of entries that were finished before an older one: 'n' sequences from 'first' on. */
struct sq_outbox_skip {
	uint64_t first, n;
};

struct sq_outbox_skips {
	struct sq_outbox_skip *v;
	size_t n;
};

/* Adds a range of 'n' sequences from 'first' on; extends the last range if it adjoins. */
void sq_outbox_skips_add(struct sq_outbox_skips *, uint64_t first, uint64_t n);
bool sq_outbox_skips_has(const struct sq_outbox_skips *, uint64_t seq);
/* Removes sequences up to 'seq'. */
void sq_outbox_skips_prune(struct sq_outbox_skips *, uint64_t seq);
void sq_outbox_skips_fini(struct sq_outbox_skips *);

struct sq_outbox_state {
	uint64_t done_seq, done_bytes; /* end of the finished entries */
	uint64_t low;                  /* the lowest record that is needed */
	uint64_t next_seq, tail_bytes; /* of the appended entries */
	uint64_t run, incarnation;
	uint64_t first_number;        /* of the first entry that is not finished */
	struct sq_outbox_skips skips; /* finished entries behind it */
};

void
sq_outbox_state_put(const struct sq_outbox_state *, const struct sq_outbox_held *, struct sq_buf *);
/* Reads a state; the caller frees the skips of 'state' and the content of 'held'.  SQ_EINVAL:
 * malformed. */
int sq_outbox_state_get(
    struct sq_outbox_state *, struct sq_outbox_held *, struct sq_bytes) SQ_MUST_CHECK;

#endif
