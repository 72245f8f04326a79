/* Log-linear buckets: below 256 a bucket per value, above it the top eight
 * bits of the value select one. */
#include "bench/hist.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum {
	SUB_BITS = 7,
	SUB = 1 << SUB_BITS,
	NBUCKETS = (63 - SUB_BITS) * SUB + 2 * SUB,
};

struct sq_hist {
	uint64_t n, min, max;
	double sum;
	uint64_t bucket[NBUCKETS];
};

static unsigned
hist_index(uint64_t v)
{
	unsigned top = v == 0 ? 0 : 63u - (unsigned)__builtin_clzll(v);
	unsigned shift = top > SUB_BITS ? top - SUB_BITS : 0;

	return shift * SUB + (unsigned)(v >> shift);
}

/* The middle of a bucket. */
static uint64_t
hist_value(unsigned index)
{
	unsigned shift = index < 2 * SUB ? 0 : index / SUB - 1;
	uint64_t low = (uint64_t)(index - shift * SUB) << shift;

	return low + ((uint64_t)1 << shift) / 2;
}

struct sq_hist *
sq_hist_new(void)
{
	struct sq_hist *h = calloc(1, sizeof *h);

	if (h == NULL)
		abort();
	return h;
}

void
sq_hist_free(struct sq_hist **hp)
{
	free(*hp);
	*hp = NULL;
}

void
sq_hist_add(struct sq_hist *h, uint64_t v)
{
	if (h->n == 0 || v < h->min)
		h->min = v;
	if (v > h->max)
		h->max = v;
	h->n++;
	h->sum += (double)v;
	h->bucket[hist_index(v)]++;
}

void
sq_hist_merge(struct sq_hist *into, const struct sq_hist *from)
{
	if (from->n == 0)
		return;
	if (into->n == 0 || from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
	into->n += from->n;
	into->sum += from->sum;
	for (unsigned i = 0; i < NBUCKETS; i++)
		into->bucket[i] += from->bucket[i];
}

uint64_t
sq_hist_count(const struct sq_hist *h)
{
	return h->n;
}

uint64_t
sq_hist_min(const struct sq_hist *h)
{
	return h->min;
}

uint64_t
sq_hist_max(const struct sq_hist *h)
{
	return h->max;
}

double
sq_hist_mean(const struct sq_hist *h)
{
	return h->n == 0 ? 0 : h->sum / (double)h->n;
}

uint64_t
sq_hist_quantile(const struct sq_hist *h, double q)
{
	uint64_t rank, seen = 0, v;

	assert(q >= 0 && q <= 1);
	if (h->n == 0)
		return 0;
	/* 0.07 * 200 is a little above 14 in binary. */
	rank = (uint64_t)fmax(0, ceil(q * (double)h->n - 1e-6));
	if (rank <= 1)
		return h->min;
	if (rank >= h->n)
		return h->max;
	for (unsigned i = 0; i < NBUCKETS; i++) {
		seen += h->bucket[i];
		if (seen < rank)
			continue;
		v = hist_value(i);
		return v < h->min ? h->min : v > h->max ? h->max : v;
	}
	abort();
}
