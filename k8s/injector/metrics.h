/* The injector's metrics: one table, from which code, /metrics and docs/ follow. */
#ifndef SQ_K8S_INJECTOR_METRICS_H
#define SQ_K8S_INJECTOR_METRICS_H

#include "core/metrics.h"
#include "core/reload_metrics.h"

#define SQ_INJECTOR_REQUESTS "sqmqos_injector_requests_total"
#define SQ_INJECTOR_REQUESTS_HELP "Admission requests by webhook and outcome."
#define SQ_INJECTOR_ENDED "sqmqos_injector_connections_ended_total"
#define SQ_INJECTOR_ENDED_HELP "Connections that were ended or refused by a limit."
#define SQ_INJECTOR_WRITES "sqmqos_injector_writes_total"
#define SQ_INJECTOR_WRITES_HELP \
	"Objects that were written: certificates, renewed or restored, and their bundle."
#define SQ_INJECTOR_ENDS "sqmqos_injector_certificate_seconds"
#define SQ_INJECTOR_ENDS_HELP \
	"Seconds until a certificate ends; it is renewed when a third of its life is left."

/* symbol, name, labels or NULL, type, help */
#define SQ_INJECTOR_METRICS(X) \
	X(MUTATE_PATCHED, SQ_INJECTOR_REQUESTS, "webhook=\"mutate\",outcome=\"patched\"", \
	    SQ_COUNTER, SQ_INJECTOR_REQUESTS_HELP) \
	X(MUTATE_UNTOUCHED, SQ_INJECTOR_REQUESTS, "webhook=\"mutate\",outcome=\"untouched\"", \
	    SQ_COUNTER, SQ_INJECTOR_REQUESTS_HELP) \
	X(MUTATE_DENIED, SQ_INJECTOR_REQUESTS, "webhook=\"mutate\",outcome=\"denied\"", \
	    SQ_COUNTER, SQ_INJECTOR_REQUESTS_HELP) \
	X(MUTATE_MALFORMED, SQ_INJECTOR_REQUESTS, "webhook=\"mutate\",outcome=\"malformed\"", \
	    SQ_COUNTER, SQ_INJECTOR_REQUESTS_HELP) \
	X(MUTATE_UNREADY, SQ_INJECTOR_REQUESTS, "webhook=\"mutate\",outcome=\"unready\"", \
	    SQ_COUNTER, SQ_INJECTOR_REQUESTS_HELP) \
	X(VALIDATE_ALLOWED, SQ_INJECTOR_REQUESTS, "webhook=\"validate\",outcome=\"allowed\"", \
	    SQ_COUNTER, SQ_INJECTOR_REQUESTS_HELP) \
	X(VALIDATE_DENIED, SQ_INJECTOR_REQUESTS, "webhook=\"validate\",outcome=\"denied\"", \
	    SQ_COUNTER, SQ_INJECTOR_REQUESTS_HELP) \
	X(VALIDATE_MALFORMED, SQ_INJECTOR_REQUESTS, "webhook=\"validate\",outcome=\"malformed\"", \
	    SQ_COUNTER, SQ_INJECTOR_REQUESTS_HELP) \
	X(VALIDATE_UNREADY, SQ_INJECTOR_REQUESTS, "webhook=\"validate\",outcome=\"unready\"", \
	    SQ_COUNTER, SQ_INJECTOR_REQUESTS_HELP) \
	X(WARNINGS, "sqmqos_injector_warnings_total", NULL, SQ_COUNTER, \
	    "Warnings given with answers, of both webhooks.") \
	X(BAD_REQUESTS, "sqmqos_injector_bad_requests_total", NULL, SQ_COUNTER, \
	    "HTTP requests that no API server makes: another path, method or content type.") \
	X(CONNECTIONS, "sqmqos_injector_connections", NULL, SQ_GAUGE, \
	    "Open connections to the webhook.") \
	X(ENDED_LIMIT, SQ_INJECTOR_ENDED, "reason=\"limit\"", SQ_COUNTER, SQ_INJECTOR_ENDED_HELP) \
	X(ENDED_SLOW, SQ_INJECTOR_ENDED, "reason=\"slow\"", SQ_COUNTER, SQ_INJECTOR_ENDED_HELP) \
	X(ENDED_MEMORY, SQ_INJECTOR_ENDED, "reason=\"memory\"", SQ_COUNTER, \
	    SQ_INJECTOR_ENDED_HELP) \
	X(ENDS_CA, SQ_INJECTOR_ENDS, "certificate=\"ca\"", SQ_GAUGE, SQ_INJECTOR_ENDS_HELP) \
	X(ENDS_BROKER, SQ_INJECTOR_ENDS, "certificate=\"broker\"", SQ_GAUGE, \
	    SQ_INJECTOR_ENDS_HELP) \
	X(ENDS_SERVING, SQ_INJECTOR_ENDS, "certificate=\"webhook\"", SQ_GAUGE, \
	    SQ_INJECTOR_ENDS_HELP) \
	X(WROTE_CA, SQ_INJECTOR_WRITES, "object=\"ca-secret\"", SQ_COUNTER, \
	    SQ_INJECTOR_WRITES_HELP) \
	X(WROTE_BROKER, SQ_INJECTOR_WRITES, "object=\"broker-secret\"", SQ_COUNTER, \
	    SQ_INJECTOR_WRITES_HELP) \
	X(WROTE_WEBHOOK, SQ_INJECTOR_WRITES, "object=\"webhook-configuration\"", SQ_COUNTER, \
	    SQ_INJECTOR_WRITES_HELP) \
	SQ_RELOAD_METRICS(X) \
	X(API_ERRORS, "sqmqos_injector_api_errors_total", NULL, SQ_COUNTER, \
	    "Requests to the API server without the answer that was hoped for.") \
	X(SETTINGS_ERRORS, "sqmqos_injector_settings_errors_total", NULL, SQ_COUNTER, \
	    "Changed settings files that were refused; the last good ones stay.")

enum sq_injector_metric {
#define X(symbol, name, labels, type, help) SQ_IM_##symbol,
	SQ_INJECTOR_METRICS(X)
#undef X
	    SQ_INJECTOR_METRIC_COUNT
};

extern const struct sq_metrics sq_injector_metrics;

/* Counts an answer by its time, in buckets.  Thread: any. */
void sq_injector_took(uint64_t us);
/* Appends the buckets.  Thread: any. */
void sq_injector_write_times(struct sq_buf *out);

#endif
