/* The broker's end of a lane: its admitted numbers and their outcomes.
 *
 * Pure.  docs/link.md, "a lane at the broker", is its table.  A number is admitted when its batch
 * comes, gets an outcome, and is done when its commit has ended. */
#ifndef SQ_PROTO_LINK_LANE_IN_H
#define SQ_PROTO_LINK_LANE_IN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "proto/link/frame.h"

struct sq_lane_in {
	uint64_t run;   /* the run of the numbers; 0: none yet */
	uint64_t last;  /* last admitted number */
	uint64_t done;  /* last number whose commit has ended */
	uint64_t kept;  /* outcomes are kept for numbers above this one, up to 'last' */
	uint8_t *codes; /* ring, power of two */
	uint32_t cap;
};

enum sq_lane_verdict {
	SQ_LANE_ADMIT, /* entries from 'skip' on are new and next in line */
	SQ_LANE_KNOWN, /* all admitted before: answer when they are done */
	SQ_LANE_EARLY, /* a gap: park it or answer 409 gap */
	SQ_LANE_RUN,   /* 409 run */
};

/* The verdict on a batch; 'skip' is the number of its entries that were admitted before.  Changes
 * nothing. */
enum sq_lane_verdict
sq_lane_in_offer(const struct sq_lane_in *, const struct sq_batch *, uint16_t *skip);
/* Admits the entries of an SQ_LANE_ADMIT batch; their outcomes are 0 until set. */
void sq_lane_in_admit(struct sq_lane_in *, const struct sq_batch *);
void sq_lane_in_set(struct sq_lane_in *, uint64_t number, uint8_t code);
/* Takes back the entries behind 'number' of the batch that was admitted last; they are offered
 * again. */
void sq_lane_in_cut(struct sq_lane_in *, uint64_t number);
/* The commit of all numbers up to 'number' has ended well. */
void sq_lane_in_done(struct sq_lane_in *, uint64_t number);
/* A commit failed: numbers that are not done count as never admitted. */
void sq_lane_in_failed(struct sq_lane_in *);
/* Copies the outcomes of [first, first + n) to 'out'; false if one isn't kept. */
bool sq_lane_in_outcomes(const struct sq_lane_in *, uint64_t first, uint16_t n, uint8_t *out);
/* Appends the state that outlives a restart: run, last number, and kept outcomes other than 0 (of
 * very many, only the latest).  All numbers count as done. */
void sq_lane_in_save(const struct sq_lane_in *, struct sq_buf *out);
/* Loads a saved state into an empty lane; SQ_EINVAL: malformed. */
int sq_lane_in_load(struct sq_lane_in *, struct sq_bytes saved) SQ_MUST_CHECK;
void sq_lane_in_fini(struct sq_lane_in *);

#endif
