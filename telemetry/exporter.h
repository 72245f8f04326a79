/* The exporter of spans (core/spans.h): a thread that takes them out of the rings and posts them to a
 * collector, as OTLP over HTTP.
 *
 *   threads that record -> rings -> exporter: a batch -> POST /v1/traces
 *
 * What waits is bounded: a batch and the rings.  While the collector is away or slow, the rings get
 * full, and what does not fit is dropped and counted; no thread but the exporter's waits. */
#ifndef SQ_TELEMETRY_EXPORTER_H
#define SQ_TELEMETRY_EXPORTER_H

#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/metrics.h"

struct sq_exporter;

enum { SQ_EXPORTER_FLUSH_MS = 2000 }; /* longest that a stop waits for the collector */

struct sq_exporter_cfg {
	const char *endpoint;     /* NULL or "": there is no exporter */
	const char *headers_file; /* NULL or "": none; see headers.h */
	const char *ca_file;      /* NULL or "": the system's authorities */
	const char *service;      /* service.name of the spans */
	const char *pod, *node;   /* NULL: not known */
	size_t per_thread;        /* spans in a thread's ring: see sq_spans_start() */
	const struct sq_metrics *metrics;
	size_t first_metric; /* the row SQ_M_SPANS_EXPORTED, behind which the others are */
};

/* Checks the configuration, and appends a line to 'problems' if it is wrong: see
 * sq_program_problem(). */
void sq_exporter_check(const struct sq_exporter_cfg *, struct sq_buf *problems);
/* Starts to record spans and to export them, if there is an endpoint; else '*out' is NULL.  All
 * strings are copied.  Another result than 0: 'err' has a line.  Thread: one, before others. */
int sq_exporter_start(
    struct sq_exporter **out, const struct sq_exporter_cfg *, struct sq_buf *err) SQ_MUST_CHECK;
/* Exports what is left, for at most SQ_EXPORTER_FLUSH_MS, and frees '*ep', if any.  No thread records
 * any more. */
void sq_exporter_stop(struct sq_exporter **ep);

#endif
