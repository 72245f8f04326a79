/* Histograms of times, in fixed buckets whose bounds are powers of two.
 *
 * A thread counts in one of some lanes, each on cache lines of its own, so that threads do not wait
 * for each other's lines; sq_metrics_write() adds the lanes up.  An observation is two additions and has no
 * lock and no clock.
 *
 * Thread: any. */
#ifndef SQ_CORE_HISTOGRAM_H
#define SQ_CORE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum {
	SQ_HISTOGRAM_LANES = 16,
	SQ_HISTOGRAM_BOUNDS = 24, /* what is above the last is counted in +Inf alone */
	SQ_HISTOGRAM_LINE = 64,   /* bytes of a cache line */
};

struct sq_histogram_lane {
	_Alignas(SQ_HISTOGRAM_LINE) _Atomic uint64_t counts[SQ_HISTOGRAM_BOUNDS + 1];
	_Atomic uint64_t sum;
};

struct sq_histogram {
	const char *name;    /* "sqmqos_store_commit_seconds" */
	const char *help;    /* one sentence */
	uint32_t per_second; /* units of an observation: 1000 or 1000000 */
	uint8_t shift;       /* the first bound is 2^shift units, each further one twice that */
	struct sq_histogram_lane lanes[SQ_HISTOGRAM_LANES];
};

/* The index of the first bound that is not below 'units'; SQ_HISTOGRAM_BOUNDS: there is none. */
static inline unsigned
sq_histogram_bucket(uint64_t units, unsigned shift)
{
	unsigned bits = units > 1 ? 64u - (unsigned)__builtin_clzll(units - 1) : 0;

	if (bits <= shift)
		return 0;
	return bits - shift < SQ_HISTOGRAM_BOUNDS ? bits - shift : SQ_HISTOGRAM_BOUNDS;
}

/* The lane of the calling thread. */
unsigned sq_histogram_lane(void);

/* Counts a time. */
static inline void
sq_histogram_observe(struct sq_histogram *h, uint64_t units)
{
	struct sq_histogram_lane *l = &h->lanes[sq_histogram_lane()];

	atomic_fetch_add_explicit(
	    &l->counts[sq_histogram_bucket(units, h->shift)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->sum, units, memory_order_relaxed);
}

#endif
