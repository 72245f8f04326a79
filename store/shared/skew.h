/* By how much the owner's wall clock differs from this broker's, as records show it.
 *
 * A record says in whole seconds when it was made, and this broker knows between which of its own times
 * that was: so each record gives bounds, and those of the last minute together are narrow.  Pure. */
#ifndef SQ_STORE_SHARED_SKEW_H
#define SQ_STORE_SHARED_SKEW_H

#include <stdbool.h>
#include <stdint.h>

enum { SQ_SKEW_WARN_MS = 1000, SQ_SKEW_CLAIM_MS = 10000, SQ_SKEW_KEEP_MS = 60000 };

struct sq_skew {
	bool known;
	int64_t low, high; /* bounds of the owner's clock less this one's, in ms */
	uint64_t since_ms; /* monotonic */
};

/* A record that says 'time_s' was made between 'after_ms' and 'before_ms' of this wall clock. */
void sq_skew_see(
    struct sq_skew *, uint64_t now_ms, uint32_t time_s, uint64_t after_ms, uint64_t before_ms);
/* The least difference that is within the bounds.  Of an owner that has made no record for long, which may
 * be gone, nothing is said: its clock must not keep the others from owning the log for ever. */
int64_t sq_skew_ms(const struct sq_skew *, uint64_t now_ms);

#endif
