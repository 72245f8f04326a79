/* Metrics of a configuration that is read again (core/reload.h), for each program's table. */
#ifndef SQ_CORE_RELOAD_METRICS_H
#define SQ_CORE_RELOAD_METRICS_H

#include "core/metrics.h"

/* X(symbol, name, labels, type, help). */
#define SQ_RELOAD_METRICS(X) \
	X(RELOAD_GOOD, "sqmqos_config_last_reload_successful", NULL, SQ_GAUGE, \
	    "1 while the configuration was good when it was read last; else what it said before " \
	    "stays.") \
	X(RELOAD_TIME, "sqmqos_config_last_reload_success_timestamp_seconds", NULL, SQ_GAUGE, \
	    "When it was read last and was good, in seconds since 1970.") \
	X(RELOAD_FAILURES, "sqmqos_config_reload_failures_total", NULL, SQ_COUNTER, \
	    "Times that it was read again and was not good.") \
	X(RELOAD_WAITING, "sqmqos_config_waiting_keys", NULL, SQ_GAUGE, \
	    "Keys whose change waits for a restart.")

#endif
