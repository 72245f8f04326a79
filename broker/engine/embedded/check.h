/* Verification of a store that no broker has open: `sqmqos-broker --check-store`. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_CHECK_H
#define SQ_BROKER_ENGINE_EMBEDDED_CHECK_H

#include <stdio.h>

#include "core/err.h"

/* Checks the tables and the journal of a directory, changes nothing, and prints a line for each
 * database, segment and fault.  Returns 0 if all are sound; 1 if one is not, if there is no store,
 * or if a broker has it open.  Forks: to be called while the process has one thread. */
int sq_store_check(const char *dir, FILE *out) SQ_MUST_CHECK;

#endif
