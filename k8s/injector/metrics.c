/* The injector's table of metrics and its values; see k8s/injector/metrics.h. */
#include "k8s/injector/metrics.h"

#include "core/mem.h"

#define TIMES "sqmqos_injector_request_seconds"

static const struct sq_metric_def defs[SQ_INJECTOR_METRIC_COUNT] = {
#define X(symbol, name, labels, type, help) {name, labels, type, help},
    SQ_INJECTOR_METRICS(X)
#undef X
};
static _Atomic int64_t values[SQ_INJECTOR_METRIC_COUNT];
const struct sq_metrics sq_injector_metrics = {
    .defs = defs, .values = values, .n = SQ_INJECTOR_METRIC_COUNT, .program = "injector"};

static const struct bound {
	uint64_t us;
	const char *text;
} bounds[] = {
    {250, "0.00025"},
    {500, "0.0005"},
    {1000, "0.001"},
    {2500, "0.0025"},
    {5000, "0.005"},
    {10000, "0.01"},
    {25000, "0.025"},
    {100000, "0.1"},
    {500000, "0.5"},
    {2500000, "2.5"},
};
static _Atomic uint64_t counts[SQ_ARRAY_LEN(bounds) + 1], sum_us;

void
sq_injector_took(uint64_t us)
{
	size_t i = 0;

	while (i < SQ_ARRAY_LEN(bounds) && us > bounds[i].us)
		i++;
	atomic_fetch_add_explicit(&counts[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&sum_us, us, memory_order_relaxed);
}

void
sq_injector_write_times(struct sq_buf *out)
{
	unsigned long long n = 0, us = atomic_load_explicit(&sum_us, memory_order_relaxed);

	sq_metrics_head(
	    out, TIMES, SQ_HISTOGRAM, "Time from a whole request to its answer, in seconds.");
	for (size_t i = 0; i <= SQ_ARRAY_LEN(bounds); i++) {
		n += atomic_load_explicit(&counts[i], memory_order_relaxed);
		sq_buf_printf(out, TIMES "_bucket{le=\"%s\"} %llu\n",
		    i < SQ_ARRAY_LEN(bounds) ? bounds[i].text : "+Inf", n);
	}
	sq_buf_printf(out, TIMES "_sum %llu.%06llu\n", us / 1000000, us % 1000000);
	sq_buf_printf(out, TIMES "_count %llu\n", n);
}
