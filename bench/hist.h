/* A histogram of times with a fixed relative error, in the manner of
 * HdrHistogram: 128 buckets per power of two, so a quantile is off by less
 * than 0.5 %.  Values are nanoseconds here, but the module doesn't care. */
#ifndef SQ_BENCH_HIST_H
#define SQ_BENCH_HIST_H

#include <stdint.h>

struct sq_hist;

/* Returns an empty histogram; never NULL.  Free with sq_hist_free(). */
struct sq_hist *sq_hist_new(void);
void sq_hist_free(struct sq_hist **);

void sq_hist_add(struct sq_hist *, uint64_t value);
void sq_hist_merge(struct sq_hist *into, const struct sq_hist *from);

/* All of these are 0 while the histogram is empty. */
uint64_t sq_hist_count(const struct sq_hist *);
uint64_t sq_hist_min(const struct sq_hist *); /* exact */
uint64_t sq_hist_max(const struct sq_hist *); /* exact */
double sq_hist_mean(const struct sq_hist *);  /* exact */
/* The smallest value that at least 'q' of all values don't exceed, 0 <= q <= 1. */
uint64_t sq_hist_quantile(const struct sq_hist *, double q);

#endif
