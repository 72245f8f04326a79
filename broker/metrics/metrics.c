/* The broker's table of metrics; see broker/metrics/metrics.h. */
#include "broker/metrics/metrics.h"

#define METRIC_DEF(sym, name, labels, type, help) [SQ_M_##sym] = {name, labels, type, help},

static const struct sq_metric_def metric_defs[] = {SQ_BROKER_METRICS(METRIC_DEF)};
static _Atomic int64_t metric_values[SQ_M_COUNT];

const struct sq_metrics sq_broker_metrics = {metric_defs, metric_values, SQ_M_COUNT};
