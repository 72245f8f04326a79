/* Finds loss, duplicates and disorder in one publisher's sequence numbers as
 * one receiver sees them, exactly and in constant memory while all is well:
 * only the gaps are kept, sorted, and a late number closes its part of one. */
#ifndef SQ_BENCH_TRACK_H
#define SQ_BENCH_TRACK_H

#include <stdint.h>

struct sq_track_gap {
	uint64_t from, to; /* numbers missing, 'to' excluded */
};

/* All zero is a fresh one.  Read-only for callers. */
struct sq_track {
	uint64_t next;      /* one above the highest number seen */
	uint64_t missing;   /* numbers below 'next' not seen */
	uint64_t late;      /* seen for the first time after a higher one */
	uint64_t duplicate; /* seen again */
	uint64_t forgotten; /* missing numbers of gaps beyond the table's limit */
	struct sq_track_gap *gap;
	uint32_t ngaps, cap;
};

enum sq_track_result { SQ_TRACK_NEXT, SQ_TRACK_SKIP, SQ_TRACK_LATE, SQ_TRACK_DUPLICATE };

enum { SQ_TRACK_GAPS_MAX = 1 << 16 };

void sq_track_fini(struct sq_track *);

/* The slow path of sq_track_see(). */
enum sq_track_result sq_track_odd(struct sq_track *, uint64_t seq);

/* Takes in the number 'seq' (they count from 0). */
static inline enum sq_track_result
sq_track_see(struct sq_track *t, uint64_t seq)
{
	if (__builtin_expect(seq == t->next, 1)) {
		t->next++;
		return SQ_TRACK_NEXT;
	}
	return sq_track_odd(t, seq);
}

/* How many different numbers have been seen. */
static inline uint64_t
sq_track_unique(const struct sq_track *t)
{
	return t->next - t->missing;
}

#endif
