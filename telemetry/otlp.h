/* Spans in OTLP, as JSON (https://opentelemetry.io/docs/specs/otlp/, "JSON Protobuf Encoding"): ids in
 * hexadecimal, 64-bit numbers as strings.  Attributes follow the semantic conventions of messaging.
 * Pure. */
#ifndef SQ_TELEMETRY_OTLP_H
#define SQ_TELEMETRY_OTLP_H

#include "core/buf.h"
#include "core/spans.h"

/* Who records the spans; members may be NULL, but the service. */
struct sq_otlp_resource {
	const char *service, *pod, *namespace, *node, *host;
};

/* Appends an ExportTraceServiceRequest with 'n' spans. */
void sq_otlp_write(
    struct sq_buf *out, const struct sq_otlp_resource *, const struct sq_span *, size_t n);
/* The number of spans that an answer says were rejected ("partialSuccess"); 0 where it says nothing
 * of that. */
uint64_t sq_otlp_rejected(const void *body, size_t len);

#endif
