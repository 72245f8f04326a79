/* Verifies a store that no broker has open: `sqmqos-broker --check-store`. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_CHECK_H
#define SQ_BROKER_ENGINE_EMBEDDED_CHECK_H

#include <stdio.h>

#include "core/err.h"

/* Checks the tables and the journal of a directory, changes nothing, and prints a
 * line for each database, segment and fault.  Returns 0 when all is sound, 1 when
 * something is not, when there is no store, or when a broker has it.  Forks: call it
 * while there is one thread. */
int sq_store_check(const char *dir, FILE *out) SQ_MUST_CHECK;

#endif
