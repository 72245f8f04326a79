/* The sidecar's metrics table and its values. */
#include "sidecar/metrics/metrics.h"

#define METRIC_DEF(sym, name, labels, type, help) {name, labels, type, help},
static const struct sq_metric_def metric_defs[] = {SQ_SIDECAR_METRICS(METRIC_DEF)};
static _Atomic int64_t metric_values[SQ_M_COUNT];

const struct sq_metrics sq_sidecar_metrics = {
    .defs = metric_defs, .values = metric_values, .n = SQ_M_COUNT, .program = "sidecar"};

const struct sq_net_counts sq_sidecar_net_counts = {
    .metrics = &sq_sidecar_metrics,
    .rows =
	{
	    [SQ_NET_LINKS] = SQ_M_LINKS,
	    [SQ_NET_LINKS_LOST] = SQ_M_LINKS_LOST,
	    [SQ_NET_REFUSED_CREDENTIAL] = SQ_M_LINKS_REFUSED_CREDENTIAL,
	    [SQ_NET_REFUSED_BUSY] = SQ_M_LINKS_REFUSED_BUSY,
	    [SQ_NET_REFUSED_OTHER] = SQ_M_LINKS_REFUSED_OTHER,
	    [SQ_NET_REDIRECTS] = SQ_M_REDIRECTS,
	    [SQ_NET_REDIRECTS_IGNORED] = SQ_M_REDIRECTS_IGNORED,
	    [SQ_NET_DIALS] = SQ_M_DIALS,
	    [SQ_NET_REQUESTS] = SQ_M_REQUESTS,
	    [SQ_NET_FRAMES_SKIPPED] = SQ_M_FRAMES_SKIPPED,
	    [SQ_NET_TRUST_CHANGES] = SQ_M_TRUST_CHANGES,
	    [SQ_NET_TRUST_ENDS_FIRST] = SQ_M_TRUST_ENDS_FIRST,
	    [SQ_NET_TRUST_ENDS_LAST] = SQ_M_TRUST_ENDS_LAST,
	    [SQ_NET_PAIR_ENDS] = SQ_M_PAIR_ENDS,
	},
};
