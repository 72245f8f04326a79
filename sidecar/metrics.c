/* The sidecar's metrics table and its values. */
#include "sidecar/metrics.h"

#define METRIC_DEF(sym, name, labels, type, help) {name, labels, type, help},
static const struct sq_metric_def metric_defs[] = {SQ_SIDECAR_METRICS(METRIC_DEF)};
static _Atomic int64_t metric_values[SQ_M_COUNT];

const struct sq_metrics sq_sidecar_metrics = {metric_defs, metric_values, SQ_M_COUNT};
