/* How many bytes of records are above the last one that was released.  It counts in a fixed number of
 * ranges, so a release may leave a range of up to max / SQ_USED_RANGES bytes counted until the next
 * one.  Pure. */
#ifndef SQ_STORE_SHARED_USED_H
#define SQ_STORE_SHARED_USED_H

#include <stdint.h>

enum { SQ_USED_RANGES = 128 };

struct sq_used {
	struct sq_used_range {
		uint64_t last; /* lsn */
		uint64_t bytes;
	} ranges[SQ_USED_RANGES]; /* oldest first */
	unsigned n;
	uint64_t grain; /* bytes of a range */
	uint64_t bytes; /* of all */
};

void sq_used_init(struct sq_used *, uint64_t max);
/* 'lsn' is above those before. */
void sq_used_add(struct sq_used *, uint64_t lsn, uint64_t bytes);
void sq_used_release(struct sq_used *, uint64_t lsn);

#endif
