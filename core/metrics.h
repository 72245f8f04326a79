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

/* Histograms are in no table: their owners write their lines. */
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

/* Appends the table in text format 0.0.4, then process_* lines (CPU seconds,
 * resident bytes, open descriptors, start time). */
void sq_metrics_write(const struct sq_metrics *, struct sq_buf *out);

/* Appends the head of a family (HELP and TYPE), for lines that are in no table. */
void sq_metrics_head(struct sq_buf *out, const char *name, enum sq_metric_type, const char *help);
/* Appends a label's value, escaped. */
void sq_metrics_label(struct sq_buf *out, const char *value);

#endif
