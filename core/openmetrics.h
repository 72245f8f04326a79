/* OpenMetrics 1.0 beside the text format: the exposition as a whole is written in the one, and
 * turned into the other for a client that asks for it.  Thread: any. */
#ifndef SQ_CORE_OPENMETRICS_H
#define SQ_CORE_OPENMETRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/msg.h"

#define SQ_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Whether the value of an Accept header prefers OpenMetrics 1.0 to text/plain: it is named, in that
 * version or in none, and with no lower q. */
bool sq_openmetrics_wanted(struct sq_bytes accept);
/* Appends 'text', a whole exposition in text format 0.0.4 with HELP before TYPE, as OpenMetrics: families of counters lose
 * their _total, those in seconds and bytes get a UNIT, and the end is marked. */
void sq_openmetrics_write(struct sq_bytes text, struct sq_buf *out);

#endif
