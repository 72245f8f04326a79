/* The load generator's histogram: the published figures are only as right as
 * its quantiles. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>

#include "bench/hist.h"

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
assert_close(uint64_t got, uint64_t want)
{
	double error = fabs((double)got - (double)want);

	cr_assert(error <= 0.01 * (double)want, "got %llu, want %llu within 1 %%",
	    (unsigned long long)got, (unsigned long long)want);
}

Test(hist, is_all_zero_while_empty)
{
	struct sq_hist *h = sq_hist_new();

	cr_assert_eq(sq_hist_count(h), 0);
	cr_assert_eq(sq_hist_min(h), 0);
	cr_assert_eq(sq_hist_max(h), 0);
	cr_assert_eq(sq_hist_quantile(h, 0.5), 0);
	cr_assert_eq(sq_hist_mean(h), 0);
	sq_hist_free(&h);
	cr_assert_null(h);
}

Test(hist, is_exact_below_256)
{
	struct sq_hist *h = sq_hist_new();

	for (uint64_t v = 1; v <= 200; v++)
		sq_hist_add(h, v);
	for (unsigned percent = 1; percent <= 100; percent++)
		cr_assert_eq(sq_hist_quantile(h, percent / 100.0), 2 * percent);
	cr_assert_float_eq(sq_hist_mean(h), 100.5, 1e-9);
	sq_hist_free(&h);
}

Test(hist, finds_every_single_value_within_one_percent)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int d = -1; d <= 1; d++) {
			uint64_t v = ((uint64_t)1 << bit) + (uint64_t)d;
			struct sq_hist *h = sq_hist_new();

			/* Neighbours, so that it is not the exact minimum or maximum. */
			sq_hist_add(h, 0);
			sq_hist_add(h, v);
			sq_hist_add(h, UINT64_MAX);
			assert_close(sq_hist_quantile(h, 0.5), v);
			sq_hist_free(&h);
		}
	}
}

Test(hist, quantiles_match_the_sorted_values)
{
	static const double quantiles[] = {0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
	enum { N = 20000 };
	uint64_t *v = calloc(N, sizeof *v), seed = 42;
	struct sq_hist *h = sq_hist_new();

	for (unsigned i = 0; i < N; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		v[i] = (seed >> 20) >> (seed & 31); /* over nine decades */
		sq_hist_add(h, v[i]);
	}
	qsort(v, N, sizeof *v, compare);
	for (unsigned i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
		unsigned rank = (unsigned)ceil(quantiles[i] * N);

		assert_close(sq_hist_quantile(h, quantiles[i]), v[rank > 0 ? rank - 1 : 0]);
	}
	cr_assert_eq(sq_hist_quantile(h, 0), v[0]);
	cr_assert_eq(sq_hist_quantile(h, 1), v[N - 1]);
	sq_hist_free(&h);
	free(v);
}

Test(hist, merging_is_the_same_as_adding_all)
{
	struct sq_hist *a = sq_hist_new(), *b = sq_hist_new(), *all = sq_hist_new();

	for (uint64_t i = 1; i < 5000; i++) {
		sq_hist_add(i % 3 == 0 ? a : b, i * i);
		sq_hist_add(all, i * i);
	}
	sq_hist_merge(a, b);
	cr_assert_eq(sq_hist_count(a), sq_hist_count(all));
	cr_assert_eq(sq_hist_min(a), 1);
	cr_assert_eq(sq_hist_max(a), (uint64_t)4999 * 4999);
	for (unsigned i = 0; i <= 1000; i++)
		cr_assert_eq(sq_hist_quantile(a, i / 1000.0), sq_hist_quantile(all, i / 1000.0));
	sq_hist_free(&a);
	sq_hist_free(&b);
	sq_hist_free(&all);
}
