/* Metrics of spans (core/spans.h) and their export, for each program's table. */
#ifndef SQ_CORE_SPANS_METRICS_H
#define SQ_CORE_SPANS_METRICS_H

#include "core/metrics.h"

/* X(symbol, name, labels, type, help). */
#define SQ_SPANS_METRICS(X) \
	X(SPANS_EXPORTED, "sqmqos_spans_exported_total", NULL, SQ_COUNTER, \
	    "Spans of messages that the collector of tracing.endpoint has taken.") \
	X(SPANS_FULL, "sqmqos_spans_dropped_total", "reason=\"full\"", SQ_COUNTER, \
	    "Spans that were dropped: there was no room, or the collector refused them or was " \
	    "away at the end.") \
	X(SPANS_REFUSED, "sqmqos_spans_dropped_total", "reason=\"refused\"", SQ_COUNTER, \
	    "Spans that were dropped: there was no room, or the collector refused them or was " \
	    "away at the end.") \
	X(SPANS_AT_END, "sqmqos_spans_dropped_total", "reason=\"end\"", SQ_COUNTER, \
	    "Spans that were dropped: there was no room, or the collector refused them or was " \
	    "away at the end.") \
	X(SPANS_FAILURES, "sqmqos_spans_export_failures_total", NULL, SQ_COUNTER, \
	    "Requests to the collector that failed and are made again.")

#endif
