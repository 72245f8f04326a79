/* The broker's table of metrics; see broker/metrics/metrics.h. */
#include "broker/metrics/metrics.h"

#define METRIC_DEF(sym, name, labels, type, help) [SQ_M_##sym] = {name, labels, type, help},
#define METRIC_HISTOGRAM(sym, name_, per_second_, shift_, help_) \
	[SQ_H_##sym] = {.name = name_, .help = help_, .per_second = per_second_, .shift = shift_},

static const struct sq_metric_def metric_defs[] = {SQ_BROKER_METRICS(METRIC_DEF)};
static _Atomic int64_t metric_values[SQ_M_COUNT];

static struct sq_histogram metric_histograms[SQ_H_COUNT] = {SQ_BROKER_HISTOGRAMS(METRIC_HISTOGRAM)};

const struct sq_metrics sq_broker_metrics = {
    .defs = metric_defs,
    .values = metric_values,
    .n = SQ_M_COUNT,
    .program = "broker",
    .histograms = metric_histograms,
    .n_histograms = SQ_H_COUNT,
};
