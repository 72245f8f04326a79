/* Counters and gauges in Prometheus' text format.
 *
 * Each program has one table of definitions, from which code, /metrics and the reference in docs/
 * follow.  Values are relaxed atomics: the admin thread reads while loops write.
 *
 * Thread: any. */
#ifndef SQ_CORE_METRICS_H
#define SQ_CORE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/histogram.h"

/* No row of a table is a histogram: those of core/histogram.h stand beside it, and others are written
 * by their owners. */
enum sq_metric_type { SQ_COUNTER, SQ_GAUGE, SQ_HISTOGRAM };

struct sq_metric_def {
	const char *name;   /* "sqmqos_messages_received_total" */
	const char *labels; /* "qos=\"0\"" or NULL; rows of one name stand together */
	enum sq_metric_type type;
	const char *help; /* one sentence */
};

/* 'n' definitions and as many values, index by index. */
struct sq_metrics {
	const struct sq_metric_def *defs;
	_Atomic int64_t *values;
	size_t n;
	const char *program; /* "broker", of sqmqos_build_info; NULL: there is no such line */
	struct sq_histogram *histograms;
	size_t n_histograms; /* 0 in tests that have none */
};

static inline void
sq_metric_add(const struct sq_metrics *m, size_t i, int64_t by)
{
	atomic_fetch_add_explicit(&m->values[i], by, memory_order_relaxed);
}

static inline void
sq_metric_set(const struct sq_metrics *m, size_t i, int64_t v)
{
	atomic_store_explicit(&m->values[i], v, memory_order_relaxed);
}

static inline int64_t
sq_metric_get(const struct sq_metrics *m, size_t i)
{
	return atomic_load_explicit(&m->values[i], memory_order_relaxed);
}

/* The histogram 'i'; NULL: the table does not have it. */
static inline struct sq_histogram *
sq_metric_histogram(const struct sq_metrics *m, size_t i)
{
	return i < m->n_histograms ? &m->histograms[i] : NULL;
}

/* Counts a time in the histogram 'i', if the table has it. */
static inline void
sq_metric_observe(const struct sq_metrics *m, size_t i, uint64_t units)
{
	if (i < m->n_histograms)
		sq_histogram_observe(&m->histograms[i], units);
}

/* Appends sqmqos_build_info, the table and the histograms in text format 0.0.4, then process_* lines
 * (CPU seconds, resident bytes, open descriptors, start time). */
void sq_metrics_write(const struct sq_metrics *, struct sq_buf *out);

/* Appends the head of a family (HELP and TYPE), for lines that are in no table. */
void sq_metrics_head(struct sq_buf *out, const char *name, enum sq_metric_type, const char *help);
/* Appends a label's value, escaped. */
void sq_metrics_label(struct sq_buf *out, const char *value);

#endif
